"""Crops of a picture against torchvision's, and against the words of the papers written out."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from data_fixtures import noise
from PIL import Image
from torch import Tensor
from torchvision.transforms import Compose, InterpolationMode, PILToTensor, Resize, TenCrop
from torchvision.transforms import functional as pillow

from torchinception.data.crops import Count, check_crops, crops
from torchinception.data.transforms import Preprocess
from torchinception.errors import UsageError

SHAPES = [(50, 50), (61, 90), (90, 61), (33, 34), (20, 80), (200, 55)]
METHODS = ["bilinear", "bicubic", "bilinear_tf1", "bilinear_torch"]


def to_tensor(image: Image.Image) -> Tensor:
    return pillow.pil_to_tensor(image)


@pytest.mark.parametrize("resize", ["shorter side", "stretch"])
@pytest.mark.parametrize("method", METHODS)
def test_one_crop_is_the_usual_one(resize: str, method: str) -> None:
    look, picture = Preprocess(size=28, crop=0.7, resize=resize, interpolation=method), noise(0, 61, 90)
    assert torch.equal(crops(look, picture, 1), look.cut(picture)[None])


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "crop"), [(28, 0.875), (27, 0.8), (30, 1.0)])  # 27 of 34: the margin is odd
def test_ten_crops_are_torchvisions(height: int, width: int, method: str, size: int, crop: float) -> None:
    picture = noise(0, height, width)
    theirs = Compose([Resize(round(size / crop), InterpolationMode(method)), TenCrop(size)])(Image.fromarray(picture))
    found = crops(Preprocess(size=size, crop=crop, interpolation=method), picture, 10)
    assert torch.equal(found, torch.stack([PILToTensor()(each) for each in theirs]))


@pytest.mark.parametrize(("height", "width"), [(40, 70), (70, 40), (55, 55), (56, 41)])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("size", "sides"), [(224, (256, 288, 320, 352)), (28, (32, 36, 40, 44)), (299, (342, 384, 427, 470))]
)
def test_144_crops_are_what_the_paper_says(
    height: int, width: int, method: str, size: int, sides: tuple[int, ...]
) -> None:
    image, mode = Image.fromarray(noise(0, height, width)), InterpolationMode(method)
    expected = []
    for side in sides:
        resized = pillow.resize(image, side, mode)
        assert min(resized.size) == side
        right, bottom = resized.width - side, resized.height - side
        for left, top in ((0, 0), (round(right / 2), round(bottom / 2)), (right, bottom)):
            square = resized.crop((left, top, left + side, top + side))
            expected += [*pillow.five_crop(square, size), pillow.resize(square, [size, size], mode)]
    assert len(expected) == 72
    plain, mirrored = crops(Preprocess(size=size, interpolation=method), noise(0, height, width), 144).split(72)
    assert torch.equal(plain, torch.stack([to_tensor(each) for each in expected]))
    assert torch.equal(mirrored, torch.stack([to_tensor(pillow.hflip(each)) for each in expected]))


def test_the_squares_of_a_wide_picture_are_left_centre_right_and_of_an_upright_one_top_centre_bottom() -> None:
    ramp = np.repeat(np.linspace(0, 255, 160, dtype=np.uint8)[None, :, None], 40, 0).repeat(3, 2)
    for picture in (ramp, ramp.transpose(1, 0, 2).copy()):
        whole = crops(Preprocess(size=28), picture, 144)[:18].float().reshape(3, 6, -1)[:, 5].mean(1)
        assert (whole[0] < 40, 110 < whole[1] < 145, whole[2] > 215) == (True, True, True)


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("method", METHODS)
def test_ten_crops_of_a_stretched_picture_are_boxes_of_one_size_in_its_corners_and_centre(
    height: int, width: int, method: str
) -> None:
    picture = noise(0, height, width)
    look = Preprocess(size=28, crop=0.75, resize="stretch", interpolation=method)
    found, mirrored = crops(look, picture, 10).split(5)
    h, w = (length - 2 * int(length * 0.125) for length in (height, width))
    corners = picture[:h, :w], picture[:h, -w:], picture[-h:, :w], picture[-h:, -w:]
    whole = Preprocess(size=28, crop=1, resize="stretch", interpolation=method)
    assert torch.equal(found[:4], torch.stack([whole.cut(corner) for corner in corners]))
    assert torch.equal(found[4], look.cut(picture))
    assert torch.equal(mirrored, found.flip(3))


@pytest.mark.parametrize(
    ("look", "count", "cause"),
    [
        (Preprocess(size=28), 2, "1, 10 or 144 crops, not 2"),
        (Preprocess(size=28), 0, "1, 10 or 144 crops, not 0"),
        (Preprocess(size=28, resize="stretch"), 144, "use 1 or 10"),
        (Preprocess(size=28, resize="stretch", crop=1), 10, "use 1"),
    ],
)
def test_crops_that_do_not_exist_are_refused(look: Preprocess, count: Count, cause: str) -> None:
    for ask in (lambda: check_crops(look, count), lambda: crops(look, noise(0), count)):
        with pytest.raises(UsageError, match=cause):
            ask()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (27, 29), (1000, 2)])
@pytest.mark.parametrize(("resize", "count"), [("shorter side", 10), ("shorter side", 144), ("stretch", 10)])
def test_odd_shapes_have_as_many_crops(shape: tuple[int, int], resize: str, count: Count) -> None:
    found = crops(Preprocess(size=28, resize=resize), noise(0, *shape), count)
    assert (found.dtype, found.shape) == (torch.uint8, (count, 3, 28, 28))


@pytest.mark.parametrize("count", [10, 144])
@pytest.mark.parametrize("turn", [lambda strip: strip, lambda strip: strip.transpose(1, 0, 2)])
def test_of_a_long_strip_the_middle_is_looked_at(count: Count, turn: Callable[[np.ndarray], np.ndarray]) -> None:
    strip = np.zeros((2, 50_000, 3), np.uint8)  # resized whole, it would take 2 GB
    strip[:, 25_000 - 4 : 25_000 + 4] = 9
    assert crops(Preprocess(size=224), turn(strip), count).unique().tolist() == [9]

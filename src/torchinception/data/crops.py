"""Several crops of a picture, whose answers an evaluation averages: 10 as AlexNet, 144 as GoogLeNet."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from torchinception.data.images import Picture
from torchinception.data.module import Key, Keyed, read_picture
from torchinception.data.samples import Sample
from torchinception.data.transforms import Preprocess, resize, stack
from torchinception.errors import UsageError

Count = Literal[1, 10, 144]
COUNTS: tuple[Count, ...] = get_args(Count)
SCALES = (8 / 7, 9 / 7, 10 / 7, 11 / 7)  # 256, 288, 320 and 352 for 224 pixels


class Crops(Keyed):
    """Samples as (uint8 (count, 3, size, size), label); of one crop, what `Pictures` without `augment` give."""

    def __init__(self, samples: Sequence[Sample], preprocess: Preprocess, count: Count) -> None:
        self.samples, self.preprocess, self.count, self.seed = samples, preprocess, count, 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        sample = self.samples[key[1]]
        return crops(self.preprocess, read_picture(sample), self.count), sample.label


def check_crops(look: Preprocess, count: int) -> Count:
    """The number of crops, if there is such a rule for this preprocessing.

    Raises:
        UsageError: there is none.
    """
    known = next((each for each in COUNTS if each == count), None)
    if known is None:
        raise UsageError(f"a picture has 1, 10 or 144 crops, not {count}")
    if known == 144 and look.resize == "stretch":
        raise UsageError("144 crops are of pictures that keep their shape, and this model stretches them; use 1 or 10")
    if known == 10 and look.resize == "stretch" and look.crop == 1:
        raise UsageError("this model looks at the whole of a stretched picture, so there are no 10 crops; use 1")
    return known


def crops(look: Preprocess, picture: Picture | Image.Image, count: Count) -> Tensor:
    """RGB uint8 (H, W, 3), or an RGB image -> uint8 (count, 3, size, size).

    1: `look.cut`.

    10 (Krizhevsky et al. 2012, section 4.1): the shorter side resized as in `look.cut`, then the four corners and the
    centre, and those of the mirrored picture: torchvision's `Resize` and `TenCrop` of a Pillow image to the bit. With
    "stretch", which cuts before it resizes, a box as large as the middle of `look.cut` in the four corners and the
    centre, each resized, and their mirrors.

    144 (arXiv:1409.4842, section 7): the shorter side resized to 256, 288, 320 and 352; of each the left, centre and
    right square (top, centre and bottom of an upright picture); of each square the four corners and the centre of
    224 x 224 and the square itself resized to that; and their mirrors, which come last.
    Differs: for other sizes than 224 the four sides are in proportion, to whole pixels. Of a picture longer than 4 to
    1, "shorter side" takes the middle 4 to 1, as `look.cut` does.

    Raises:
        UsageError: as `check_crops`.
    """
    known = check_crops(look, count)
    if known == 1:
        return look.cut(picture)[None]
    picture = np.asarray(picture)
    if known == 144:
        return _with_mirrors([crop for scale in SCALES for crop in _at_scale(look, picture, scale)])
    if look.resize == "stretch":
        height, width = (length - 2 * int((length - length * look.crop) / 2) for length in picture.shape[:2])
        return _with_mirrors([_fill(look, box) for box in _five(picture, height, width)])
    resized = _resize_shorter(look, picture, round(look.size / look.crop))
    five, mirrored = (_five(whole, look.size, look.size) for whole in (resized, resized[:, ::-1]))
    return stack([_fill(look, crop) for crop in (*five, *mirrored)])


def _at_scale(look: Preprocess, picture: Picture, scale: float) -> list[Tensor]:
    side = round(look.size * scale)
    resized = _resize_shorter(look, picture, side)
    down, along = (length - side for length in resized.shape[:2])  # one of them is 0
    places = [(0, 0), (round(down / 2), round(along / 2)), (down, along)]
    squares = [resized[top : top + side, left : left + side] for top, left in places]
    return [_fill(look, crop) for square in squares for crop in (*_five(square, look.size, look.size), square)]


def _five(picture: Picture, height: int, width: int) -> list[Picture]:
    """The four corners, row by row, and the centre."""
    down, along = picture.shape[0] - height, picture.shape[1] - width
    places = [(0, 0), (0, along), (down, 0), (down, along), (round(down / 2), round(along / 2))]
    return [picture[top : top + height, left : left + width] for top, left in places]


def _fill(look: Preprocess, box: Picture) -> Tensor:
    """RGB uint8 (H, W, 3) -> uint8 (3, size, size): all of it, stretched if it has to be."""
    whole = Preprocess(size=look.size, resize="stretch", crop=1, interpolation=look.interpolation)
    return whole.cut(np.ascontiguousarray(box))


def _resize_shorter(look: Preprocess, picture: Picture, to: int) -> Picture:
    side = min(picture.shape[:2])
    top, left = (max(0, (length - 4 * side) // 2) for length in picture.shape[:2])
    picture = picture[top : top + 4 * side, left : left + 4 * side]  # a long strip would take all memory
    height, width = (int(to * length / side) for length in picture.shape[:2])
    return np.asarray(resize(Image.fromarray(picture), width, height, look.interpolation))


def _with_mirrors(found: list[Tensor]) -> Tensor:
    plain = stack(found)
    return torch.cat([plain, plain.flip(3)])

import contextlib
import io
import os
import pickle
import re
import struct
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from data_fixtures import encode, noise
from PIL import Image

from torchinception.data.images import Picture, Source, load_image
from torchinception.errors import ImageError

UPRIGHT: dict[int, Callable[[Picture], Picture]] = {  # the EXIF standard's table of what row 0 and column 0 show
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}
SMALL = Image.fromarray(noise(0, 12, 16))
EXIF = Image.Exif()
EXIF.update({0x010E: "garden", 0x0112: 6, 0x8769: {0x9286: b"in June"}})  # description, orientation, comment
FILES = {
    "JPEG": encode(SMALL, "JPEG", exif=EXIF),
    "PNG": encode(SMALL, "PNG", exif=EXIF),
    "WEBP": encode(SMALL, "WEBP", exif=EXIF),
    "GIF": encode(SMALL, "GIF", save_all=True, append_images=[SMALL.rotate(180)]),
    "BMP": encode(SMALL, "BMP"),
}


def refusal(source: Source) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(source)
    return caught.value.reason


def png_with_header(width: int, height: int) -> bytes:
    content = bytearray(encode(SMALL))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_exif_orientation_says(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = load_image(encode(SMALL, kind))
    assert np.array_equal(load_image(encode(SMALL, kind, exif=exif)), UPRIGHT[orientation](stored))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_pictures_come_back_pixel_by_pixel(kind: str) -> None:
    assert np.array_equal(load_image(encode(SMALL, kind, lossless=True)), noise(0, 12, 16))


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
@pytest.mark.parametrize(("alpha", "level"), [(0, 255), (128, 127), (255, 0)])  # 255 - 128 = 127
def test_black_shows_white_as_far_as_it_is_transparent(mode: str, kind: str, alpha: int, level: int) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, alpha)).convert(mode)
    assert np.array_equal(load_image(encode(image, kind, lossless=True)), np.full((4, 4, 3), level, np.uint8))


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_transparent_colour_shows_white_and_the_others_stay(mode: str) -> None:
    image = Image.new(mode, (2, 1))
    image.putpixel((1, 0), (9, 9, 9) if mode == "RGB" else 9)
    if mode == "P":
        image.putpalette([0, 0, 0] * 9 + [9, 9, 9])
    content = encode(image, transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert load_image(content).tolist() == [[[255, 255, 255], [9, 9, 9]]]


def test_sixteen_bit_grey_is_scaled_to_the_nearest_of_256_levels() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    levels = load_image(encode(Image.fromarray(ramp))).astype(int)
    assert (np.abs(levels * 257 - ramp[:, :, None]) <= 128).all()  # half of 65535 / 255


@pytest.mark.parametrize(
    ("image", "kind", "pixel"),
    [
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", (255, 0, 0)),
        (Image.new("1", (8, 8), 1), "PNG", (255, 255, 255)),
        (Image.new("L", (8, 8), 77), "JPEG", (77, 77, 77)),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(image: Image.Image, kind: str, pixel: tuple[int, int, int]) -> None:
    found = load_image(encode(image, kind)).astype(int)
    assert np.abs(found - pixel).max() <= 1  # the rounding of JPEG's colour conversion


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "MPO"])  # MPO: a phone's JPEG with further pictures in it
def test_of_several_pictures_in_a_file_the_first_counts(kind: str) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    found = load_image(encode(first, kind, save_all=True, append_images=[second])).astype(int)
    assert np.abs(found - (255, 0, 0)).max() <= 2  # lossy kinds


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_known_by_its_content_not_its_name(tmp_path: Path, kind: str) -> None:
    for name in ("a.jpg", "a.txt", "a"):
        (tmp_path / name).write_bytes(FILES[kind])
        assert np.array_equal(load_image(tmp_path / name), load_image(FILES[kind]))


@pytest.mark.parametrize("kind", ["TIFF", "EPS", "PPM", "ICO", "PDF", "TGA", "HTML", "text"])
def test_foreign_formats_are_refused_whatever_their_name(tmp_path: Path, kind: str) -> None:
    texts = {"HTML": b"<!doctype html><title>404</title>", "text": b"hello"}
    (tmp_path / "a.jpg").write_bytes(texts.get(kind) or encode(SMALL, kind))
    assert refusal(tmp_path / "a.jpg") == "not a picture"


@pytest.mark.parametrize("kind", FILES)
def test_a_picture_cut_off_anywhere_is_refused_or_lost_no_pixel(kind: str) -> None:
    content = encode(SMALL, kind)
    for length in range(len(content)):
        with contextlib.suppress(ImageError):
            assert np.array_equal(load_image(content[:length]), load_image(content)), length
            assert length >= len(content) - 20  # PNG's last checksum and end mark


@pytest.mark.parametrize("side_px", [8000, 12_000, 20_000, 2**31 - 1])
def test_too_many_pixels_are_refused_by_the_header_alone(side_px: int) -> None:
    assert refusal(png_with_header(side_px, side_px)) == "too large"  # decoding would find it broken


def test_what_is_missing_empty_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert refusal(tmp_path / "none.jpg") == "missing"
    assert refusal(tmp_path / "empty.jpg") == refusal(b"") == "empty"
    assert refusal(tmp_path) not in ("missing", "empty")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b.jpg"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    assert refusal(name)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    reader = threading.Thread(target=refusal, args=[tmp_path / "a.jpg"])
    reader.start()
    reader.join(2)
    if waits := reader.is_alive():
        os.close(os.open(tmp_path / "a.jpg", os.O_WRONLY))  # let the reader go
    assert not waits


def test_images_and_arrays_are_taken_as_they_are_and_left_alone() -> None:
    array = noise(1, 5, 7)
    for source in (array, Image.fromarray(array)):
        assert np.array_equal(load_image(source), noise(1, 5, 7))
        assert np.array_equal(np.array(source), noise(1, 5, 7))
    assert np.array_equal(load_image(array[:, :, 0]), np.dstack([array[:, :, 0]] * 3))


CUT = Image.open(io.BytesIO(FILES["PNG"][:150]))
NO_PICTURES = [np.zeros(shape, np.uint8) for shape in ((4, 4, 4), (3, 4, 4), (0, 4, 3), (0, 4), (4,))]


@pytest.mark.parametrize("source", [*NO_PICTURES, Image.new("F", (4, 4)), Image.new("RGB", (0, 4)), CUT])
def test_images_and_arrays_without_clear_pixels_are_refused(source: Source) -> None:
    assert refusal(source)


@pytest.mark.parametrize("source", ["none.jpg", b"", b"hello", FILES["PNG"][:200], np.zeros((1, 1), np.float32), "/"])
def test_a_refusal_has_a_short_code_and_survives_pickling(source: Source) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(source)
    error = caught.value
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.path, copy.reason, copy.advice, str(copy)) == (error.path, error.reason, error.advice, str(error))
    assert re.fullmatch("[a-z][a-z ]{2,20}", error.reason)


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_picture_is_decoded_or_refused_and_nothing_else(kind: str) -> None:
    for seed in range(100):
        random, content = Random(f"{kind} {seed}"), bytearray(FILES[kind])
        for _ in range(random.choice((1, 3, 30))):
            content[random.randrange(random.choice((150, len(content))))] ^= 1 << random.randrange(8)
        with contextlib.suppress(ImageError):
            picture = load_image(bytes(content))
            assert (picture.dtype, picture.ndim, picture.shape[2]) == (np.uint8, 3, 3), seed

"""Pictures turned as their EXIF block says, if it says anything that can be read."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_fixtures import encode, noise
from hostile_files import SEEDS, SMALL, SMOOTH, exif_block, jpeg_with
from PIL import Image, ImageOps

from torchinception.data.images import FORMATS, Picture, load_image
from torchinception.data.kinds import read_orientation

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


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_exif_orientation_says(tmp_path: Path, kind: str, orientation: int) -> None:
    image = SMOOTH if kind == "JPEG" else SMALL
    content = encode(image, kind, exif=oriented(orientation), lossless=True)
    (tmp_path / "picture").write_bytes(content)
    found = load_image(content)
    near = 25 if kind == "JPEG" else 0  # colours are stored at half the resolution
    assert np.abs(found.astype(int) - UPRIGHT[orientation](np.asarray(image))).max() <= near
    assert np.array_equal(found, UPRIGHT[orientation](load_image(encode(image, kind, lossless=True))))
    for source in (tmp_path / "picture", Image.open(io.BytesIO(content))):
        assert np.array_equal(load_image(source), found)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_of_many_bands_is_turned_as_one(monkeypatch: pytest.MonkeyPatch, orientation: int) -> None:
    monkeypatch.setattr("torchinception.data.kinds.BAND_PX", 70)  # two of 20 rows, and the last is shorter than that
    content = encode(SMALL.crop((0, 0, 24, 19)), exif=oriented(orientation))
    assert np.array_equal(load_image(content), UPRIGHT[orientation](noise(0, 20, 24)[:19]))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_tiff_is_turned_as_its_orientation_says(orientation: int) -> None:
    for options in (dict(), dict(compression="tiff_lzw")):
        content = encode(SMALL.copy(), "TIFF", exif=oriented(orientation), **options)
        assert np.array_equal(load_image(content, formats=(*FORMATS, "TIFF")), UPRIGHT[orientation](noise(0, 20, 24)))


ENTRY = (0x0112, 3, 1, 6)
BROKEN_EXIF = {
    "no block": b"Exif\0\0",
    "another byte order": b"Exif\0\0XX*\0" + exif_block([ENTRY])[10:],
    "a table that begins beyond its end": exif_block([ENTRY])[:10] + struct.pack("<I", 9999),
    "a table cut within the entry": exif_block([ENTRY])[:-8],
    "text for a number": exif_block([(0x0112, 2, 1, 6)]),
    "two numbers": exif_block([(0x0112, 3, 2, 6)]),
    "no such orientation": exif_block([(0x0112, 3, 1, 9)]),
    "nothing of it": b"",
    "random bytes": b"Exif\0\0" + noise(6).tobytes(),
}


@pytest.mark.parametrize("block", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
def test_a_picture_whose_exif_cannot_be_read_is_shown_as_it_is_stored(block: bytes) -> None:
    expected = load_image(SEEDS["jpeg"])
    assert np.array_equal(load_image(jpeg_with(SEEDS["jpeg"], (0xE1, block))), expected)
    image = Image.open(io.BytesIO(SEEDS["jpeg"]))
    image.info["exif"] = block
    assert np.array_equal(load_image(image), expected)


@pytest.mark.parametrize("extra", [[], [(0x8769, 4, 1, 8)], [(0x0100, 7, 2**31, 8), (0x0101, 5, 2**32 - 1, 1)]])
def test_an_orientation_is_found_whatever_else_its_exif_block_claims(extra: list[tuple[int, int, int, int]]) -> None:
    assert read_orientation(exif_block([*extra, ENTRY], following=8)) == 6
    assert read_orientation(exif_block([*extra, (0x0112, 4, 1, 8)])) == 8  # a longer integer than the standard's


def test_an_orientation_in_either_byte_order_is_what_pillow_finds() -> None:
    for order, start in (("<", b"II*\0"), (">", b"MM\0*")):
        block = b"Exif\0\0" + start + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
        content = jpeg_with(SEEDS["jpeg"], (0xE1, block))
        assert np.array_equal(load_image(content), ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
        assert load_image(content).shape == (24, 20, 3)

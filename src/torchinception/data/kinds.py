"""Pixels of any kind -> RGB uint8, by these rules, and the right way up.

| kind of pixels (Pillow's mode) | shown as |
|---|---|
| RGB, RGBX | as they are; a fourth channel without meaning is left out |
| grey (L), 1 bit (1) | the same in all three channels; 1 bit is 0 or 255 |
| palette (P) | the colours of the palette |
| with alpha (RGBA, LA, PA, RGBa, La), a transparent colour or palette | over white: c * a/255 + 255 - a |
| CMYK, and YCCK, which decoders turn into CMYK | (255 - ink) * (255 - black) / 255; a JPEG's are stored inverted |
| YCbCr | as JFIF defines it: 0 to 255, ITU-R BT.601 |
| HSV | the hexcone, hue 0 to 255 for the full circle |
| LAB | to sRGB, by LittleCMS |
| 16-bit grey (I;16), 32-bit integers (I) from 0 to 65,535 | value / 257, to the nearest |
| 16-bit colour, 16-bit grey with alpha (PNG, TIFF) | the high byte of each channel: Pillow reads no more |
| floating point (F) from 0 to 1 | value * 255, to the nearest |
| integers or floating point beyond that range, not a number | refused: any scale would be a guess |

Colour profiles (ICC) and gamma are left alone: the numbers count as sRGB, as in the sets that networks were trained on.
"""

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image

ORIENTATION = 0x0112
BAND_PX = 1 << 18  # pixels converted at a time, which keeps copies small: a picture of 50 MP takes 150 MB, not 500

Turn = Image.Transpose
TURNS = {  # EXIF's orientation: how the stored rows are turned, and whether the first comes last, right or below
    2: (Turn.FLIP_LEFT_RIGHT, False),
    3: (Turn.ROTATE_180, True),
    4: (Turn.FLIP_TOP_BOTTOM, True),
    5: (Turn.TRANSPOSE, False),
    6: (Turn.ROTATE_270, True),
    7: (Turn.TRANSVERSE, True),
    8: (Turn.ROTATE_90, False),
}


class UnknownKindError(ValueError):
    """Pixels that no rule turns into colours."""


def read_orientation(exif: object) -> int:
    """The orientation in an EXIF block, 1 to 8; 1, which is upright, if it tells none or cannot be read.

    Read here, not by Pillow, which unpacks every entry of the block and copies what each points to.
    """
    if not isinstance(exif, bytes):
        return 1
    exif = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")  # some write it twice
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack(order + "H", exif[start : start + 2].ljust(2, b"\0"))
    entries = exif[start + 2 : start + 2 + 12 * count]
    for tag, kind, number, value in struct.iter_unpack(order + "HHI4s", entries[: len(entries) // 12 * 12]):
        if tag == ORIENTATION:
            found = struct.unpack(order + "I", value)[0] if kind == 4 else struct.unpack(order + "HH", value)[0]
            return int(found) if kind in (3, 4) and number == 1 and found in TURNS else 1
    return 1


def upright(image: Image.Image, orientation: int) -> npt.NDArray[np.uint8]:
    """A decoded picture as RGB uint8 (H, W, 3), turned as `orientation` says.

    Raises:
        UnknownKindError: numbers that no rule turns into colours.
    """
    width, height = image.size
    turn, backwards = TURNS.get(orientation, (None, False))
    across = orientation >= 5
    picture = np.empty((width, height, 3) if across else (height, width, 3), np.uint8)
    rows = max(1, BAND_PX // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = image if rows >= height else image.crop((0, top, width, bottom))
        colours = to_rgb(band)
        if turn is not None:
            colours = colours.transpose(turn)
        place = slice(height - bottom, height - top) if backwards else slice(top, bottom)
        picture[(slice(None), place) if across else place] = np.asarray(colours)
    return picture


def to_rgb(image: Image.Image) -> Image.Image:
    """By the rules above."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return from_numbers(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def from_numbers(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits; the bounds are those of the table, whatever the numbers in use."""
    numbers = np.asarray(image)
    top = 1 if image.mode == "F" else 65535
    if not (numbers.min() >= 0 and numbers.max() <= top):  # which no comparison with NaN is
        found = f"numbers from {numbers.min():g} to {numbers.max():g}, not 0 to {top:,}"
        raise UnknownKindError(f"{found}; scale them to 8 bits a channel")
    if image.mode == "F":
        levels = np.rint(numbers * 255).astype(np.uint8)
    else:
        levels = ((numbers.astype(np.uint32) + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        levels[numbers == transparent] = 255
    return Image.fromarray(levels).convert("RGB")

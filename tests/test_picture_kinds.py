"""Each kind of pixels against the rule for it, written down here a second time in plain arithmetic."""

import colorsys
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_fixtures import encode, noise
from hostile_files import SEEDS, SMALL, chunk, exif_block, png, sixteen_bits, ycck
from PIL import Image

from torchinception.data.images import FORMATS, Picture, load_image
from torchinception.errors import ImageError

WITH_TIFF = (*FORMATS, "TIFF")
ALPHAS = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOURS = noise(5, 16, 16)
GREYS = COLOURS[:, :, 0]
RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)


def over_white(colours: Picture, alphas: Picture) -> np.ndarray:
    weight = alphas[:, :, None] / 255.0
    return np.rint(colours.reshape(*alphas.shape, -1) * weight + 255 * (1 - weight)) * np.ones(3)


def apart(found: Picture, expected: Any) -> int:
    """The largest difference."""
    return int(np.abs(found.astype(int) - np.asarray(expected)).max())


# transparency


def test_colour_with_alpha_shows_over_white() -> None:
    image = Image.fromarray(np.dstack([COLOURS, ALPHAS]))
    for content in (encode(image), encode(image, "WEBP", lossless=True, exact=True)):
        assert apart(load_image(content), over_white(COLOURS, ALPHAS)) <= 1  # rounded twice
    assert apart(load_image(image), over_white(COLOURS, ALPHAS)) <= 1


def test_grey_with_alpha_shows_over_white() -> None:
    image = Image.fromarray(np.dstack([GREYS, ALPHAS]))
    for source in (image, encode(image)):
        assert apart(load_image(source), over_white(GREYS, ALPHAS)) <= 1


def test_colours_multiplied_by_their_alpha_show_over_white() -> None:
    stored = (COLOURS * (ALPHAS[:, :, None] / 255)).astype(np.uint8)
    expected = stored.astype(int) + 255 - ALPHAS[:, :, None]
    image = Image.frombytes("RGBa", (16, 16), np.dstack([stored, ALPHAS]).tobytes())
    assert apart(load_image(image), expected) <= 2  # Pillow divides by alpha and multiplies again
    grey = Image.frombytes("La", (16, 16), np.dstack([stored[:, :, 0], ALPHAS]).tobytes())
    assert apart(load_image(grey), expected[:, :, :1]) <= 2


def test_a_palette_with_a_level_of_alpha_for_each_colour_shows_over_white() -> None:
    image = Image.fromarray(ALPHAS, "P")  # every index once
    image.putpalette(COLOURS.tobytes())
    alphas = ALPHAS[::-1].copy()
    expected = over_white(COLOURS, alphas)
    assert apart(load_image(encode(image, transparency=alphas.tobytes())), expected) <= 1
    both = Image.merge("PA", (image, Image.fromarray(alphas)))
    assert apart(load_image(both), expected) <= 1
    image.putpalette(np.dstack([COLOURS, alphas]).tobytes(), "RGBA")
    assert apart(load_image(image), expected) <= 1


@pytest.mark.parametrize(("depth", "level"), [(1, 1), (2, 2), (4, 7), (8, 200), (16, 51400)])
def test_a_transparent_grey_shows_white_and_the_others_stay(depth: int, level: int) -> None:
    top = (1 << depth) - 1
    row = int(f"{level:0{depth}b}{0:0{depth}b}".ljust(max(8, 2 * depth), "0"), 2).to_bytes(max(1, depth // 4), "big")
    content = png(2, 1, depth, 0, [row], chunk(b"tRNS", struct.pack(">H", level)))
    assert load_image(content).tolist() == [[[255] * 3, [0] * 3]]
    shown = load_image(png(2, 1, depth, 0, [row])).tolist()
    assert shown == [[[round(level * 255 / top)] * 3, [0] * 3]]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_shows_white_and_the_others_stay(depth: int) -> None:
    code, levels = ("B", (9, 8, 7, 9, 8, 200)) if depth == 8 else ("H", (0x912, 0x834, 0x756, 0x912, 0x834, 0xC800))
    colour = struct.pack(">3H", *levels[:3])
    content = png(2, 1, depth, 2, [struct.pack(f">6{code}", *levels)], chunk(b"tRNS", colour))
    assert load_image(content).tolist() == [[[255] * 3, [9, 8, 200]]]


def test_a_transparent_colour_of_a_gif_shows_white() -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert load_image(encode(image, "GIF", transparency=0)).tolist() == [[[255] * 3, [40, 50, 60]]]


# sixteen bits and more


def test_sixteen_bit_grey_is_scaled_to_the_nearest_of_256_levels() -> None:
    expected = np.rint(RAMP / 257)[:, :, None]
    contents = [encode(Image.fromarray(RAMP)), encode(Image.fromarray(RAMP), "TIFF")]
    for content in contents:
        assert apart(load_image(content, formats=WITH_TIFF), expected) == 0
    for mode, stored in (("I;16", RAMP), ("I;16B", RAMP.astype(">u2"))):
        assert apart(load_image(Image.frombytes(mode, (256, 256), stored.tobytes())), expected) == 0
    assert apart(load_image(Image.fromarray(RAMP.astype(np.int32))), expected) == 0


def test_sixteen_bit_colour_shows_its_high_bytes() -> None:
    colours = np.dstack([RAMP, RAMP[::-1], RAMP.T])
    content = png(256, 256, 16, 2, [row.astype(">u2").tobytes() for row in colours])
    assert np.array_equal(load_image(content), colours >> 8)


@pytest.mark.parametrize(("channels", "colours"), [(2, 4), (4, 6)])
def test_sixteen_bits_with_alpha_show_their_high_bytes_over_white(channels: int, colours: int) -> None:
    values = np.random.default_rng(channels).integers(0, 65536, (20, 24 * channels))  # as in sixteen_bits
    high = (values >> 8).reshape(20, 24, channels).astype(np.uint8)
    expected = over_white(high[:, :, :-1], high[:, :, -1])
    assert apart(load_image(sixteen_bits(channels, colours)), expected) <= 1


def test_floating_point_from_0_to_1_is_scaled_by_255() -> None:
    ramp = (RAMP / 65535).astype(np.float32)
    expected = np.rint(ramp * 255)[:, :, None]
    for source in (Image.fromarray(ramp), encode(Image.fromarray(ramp), "TIFF")):
        assert apart(load_image(source, formats=WITH_TIFF), expected) == 0


@pytest.mark.parametrize("value", [-0.1, 1.001, 200.0, float("nan"), float("inf")])
def test_floating_point_beyond_0_to_1_is_refused_with_what_was_found(value: float) -> None:
    numbers = np.full((4, 4), 0.5, np.float32)
    numbers[3, 3] = value
    with pytest.raises(ImageError, match=f"unknown kind; numbers from .*{value:g}.* not 0 to 1; scale them") as caught:
        load_image(Image.fromarray(numbers))
    assert caught.value.reason == "unknown kind"


@pytest.mark.parametrize("value", [-1, 65536, 2**31 - 1])
def test_integers_beyond_sixteen_bits_are_refused(value: int) -> None:
    with pytest.raises(ImageError, match=r"unknown kind; numbers from .* not 0 to 65,535"):
        load_image(Image.fromarray(np.array([[5, value]], np.int32)))


@pytest.mark.parametrize(("bits", "black"), [(16, 0), (12, 1), (32, 0)])
def test_a_tiff_whose_levels_pillow_would_misread_is_refused(bits: int, black: int) -> None:
    entries = [(256, 4, 1, 2), (257, 4, 1, 1), (258, 3, 1, bits), (262, 3, 1, black), (273, 4, 1, 8), (277, 3, 1, 1)]
    with pytest.raises(ImageError, match=f"unknown kind; {bits} bits"):
        load_image(exif_block(entries, bytes(8))[6:], formats=WITH_TIFF)


# ink, other colour spaces, few bits


def inked(planes: np.ndarray) -> np.ndarray:
    inks = planes.astype(float)
    return (255 - inks[:, :, :3]) * (255 - inks[:, :, 3:]) / 255


def test_ink_is_taken_from_white_and_black_from_what_is_left() -> None:
    planes = np.dstack([COLOURS, GREYS.T])
    assert apart(load_image(Image.fromarray(planes, "CMYK")), inked(planes)) <= 1
    assert apart(load_image(encode(Image.fromarray(planes, "CMYK"), "TIFF"), formats=WITH_TIFF), inked(planes)) <= 1


@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255), (30, 60, 90, 40)])
def test_a_jpeg_of_ink_is_read_as_adobe_stores_it_inverted(inks: tuple[int, ...]) -> None:
    planes = np.broadcast_to(np.array(inks, np.uint8), (16, 16, 4))
    content = encode(Image.fromarray(planes, "CMYK"), "JPEG", quality=100)
    assert b"Adobe" in content
    assert apart(load_image(content), inked(planes)) <= 2  # JPEG's own rounding


@pytest.mark.parametrize("stored", [(0, 128, 128, 255), (76, 85, 255, 255), (29, 255, 107, 255), (150, 90, 160, 180)])
def test_a_jpeg_of_ycck_is_read_as_adobe_stores_it(stored: tuple[int, ...]) -> None:
    luma, blue, red, black = (float(level) for level in stored)  # of ink: paper has luma 0; of black, 255 is none
    inks = [luma + 1.402 * (red - 128), luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128)]
    inks = np.clip([*inks, luma + 1.772 * (blue - 128)], 0, 255)
    content = ycck(np.broadcast_to(np.array(stored, np.uint8), (16, 16, 4)))
    assert apart(load_image(content), (255 - inks) * black / 255) <= 3  # JPEG's own rounding, twice


def test_luma_and_chroma_become_colours_as_jfif_says() -> None:
    luma, blue, red = (plane.astype(float) for plane in np.moveaxis(COLOURS, 2, 0))
    green = luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128)
    expected = np.dstack([luma + 1.402 * (red - 128), green, luma + 1.772 * (blue - 128)]).clip(0, 255)
    assert apart(load_image(Image.fromarray(COLOURS, "YCbCr")), expected) <= 1


def test_hue_saturation_and_value_become_colours() -> None:
    flat = (COLOURS / 255).reshape(-1, 3)
    expected = np.array([colorsys.hsv_to_rgb(*pixel) for pixel in flat]).reshape(16, 16, 3) * 255
    assert apart(load_image(Image.fromarray(COLOURS, "HSV")), expected) <= 3  # Pillow rounds in between


@pytest.mark.parametrize(
    ("lightness", "a", "b"), [(100, 0, 0), (0, 0, 0), (54, 0, 0), (60, 30, 20), (50, -40, 30), (40, 20, -45)]
)
def test_lab_becomes_srgb(lightness: float, a: int, b: int) -> None:
    stored = round(lightness * 2.55)
    middle = (stored / 2.55 + 16) / 116
    relative = [middle + a / 500, middle, middle - b / 200]
    relative = [side**3 if side > 6 / 29 else (side - 4 / 29) * 3 * (6 / 29) ** 2 for side in relative]
    xyz = np.array(relative) * (0.9642, 1, 0.8249)  # the white of D50, as ICC profiles have it
    to_linear = [[3.1339, -1.6169, -0.4906], [-0.9788, 1.9161, 0.0335], [0.0719, -0.2290, 1.4052]]
    linear = np.clip(to_linear @ xyz, 0, 1)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    image = Image.new("LAB", (4, 4), (stored, a + 128, b + 128))
    for source in (image, encode(image.copy(), "TIFF")):
        assert apart(load_image(source, formats=WITH_TIFF), expected) <= 2  # 8 bits in, 8 bits out


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_one_bit_is_black_or_white(kind: str) -> None:
    bits = (GREYS > 99) * np.uint8(255)
    content = encode(Image.fromarray(bits).convert("1"), kind)
    assert apart(load_image(content, formats=WITH_TIFF), bits[:, :, None]) == 0


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("colours", [2, 4, 16, 256])
def test_a_palette_shows_its_colours(kind: str, colours: int) -> None:
    image = Image.fromarray(ALPHAS & (colours - 1), "P")
    image.putpalette(COLOURS.reshape(256, 3)[:colours].tobytes())
    expected = COLOURS.reshape(256, 3)[ALPHAS & (colours - 1)]
    content = encode(image.convert("RGB") if kind == "WEBP" else image, kind, lossless=True)
    assert apart(load_image(content, formats=WITH_TIFF), expected) == 0


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "JPEG", "GIF"])
def test_grey_is_the_same_in_all_channels(kind: str) -> None:
    smooth = np.linspace(0, 255, 256).astype(np.uint8).reshape(16, 16)
    content = encode(Image.fromarray(smooth), kind, quality=100)
    assert apart(load_image(content, formats=WITH_TIFF), smooth[:, :, None]) <= (1 if kind == "JPEG" else 0)


def test_a_fourth_channel_without_meaning_is_left_out() -> None:
    image = Image.frombytes("RGBX", (16, 16), np.dstack([COLOURS, ALPHAS]).tobytes())
    assert np.array_equal(load_image(image), COLOURS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_colour_profile_changes_nothing(kind: str) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    content = encode(SMALL, kind, icc_profile=profile, lossless=True)
    assert np.array_equal(load_image(content), load_image(encode(SMALL, kind, lossless=True)))


@pytest.mark.parametrize("name", [name for name in SEEDS if name != "png 2 bits tRNS"])
def test_path_bytes_and_image_show_the_same_pixels(tmp_path: Path, name: str) -> None:
    content = SEEDS[name]
    (tmp_path / "a.txt").write_bytes(content)
    found = load_image(content, formats=WITH_TIFF)
    assert np.array_equal(load_image(tmp_path / "a.txt", formats=WITH_TIFF), found)
    assert np.array_equal(load_image(Image.open(io.BytesIO(content))), found)

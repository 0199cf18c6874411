import io
from dataclasses import replace

import numpy as np
import pytest
from data_fixtures import noise
from PIL import Image

from torchinception.classifier import Prediction
from torchinception.errors import UsageError
from torchinception.explaining import METHODS, Explanation, draw_sheet
from torchinception.explaining.fonts import find_fonts
from torchinception.explaining.sheet import MOST

LONG = "a fish of the carp family that lives in slow waters, with a very long name indeed"
NAMES = ("tench", LONG, "Щука $x^2$ & <b>", "猫", "bad \udcff name\n")


def explanation(size: int = 28, method: str = "gradcam", *, heads: int = 0, count: int = 5) -> Explanation:
    best = Prediction(NAMES[:count], (0.5, 0.25, 0.125, 0.0625, 0.00001)[:count], NAMES[:count])
    top = Prediction(NAMES[:3], (0.5, 0.3, 0.2), NAMES[:3])
    y, x = np.mgrid[:size, :size]
    heat = np.exp(-((x - size * 0.75) ** 2 + (y - size / 4) ** 2) / size).astype(np.float32)
    return Explanation(
        picture=noise(1, size, size),
        heat=heat,
        method=method,
        stage="inception_3b" if method in ("gradcam", "layer-activations") else None,
        label="tench",
        name="tench",
        probability=0.5,
        best=best,
        heads={f"inception_4{letter}": top for letter in "ad"[:heads]},
        gap=0.004 if method == "integrated-gradients" else None,
    )


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.array(image.convert("RGB"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [28, 299])
def test_a_sheet_is_the_same_bytes_each_time_whatever_the_names(method: str, size: int) -> None:
    found = [explanation(size, method, heads=2), explanation(size, method, count=1)]
    titles = [f"/photos/{LONG}/a.jpg", "猫\udcff $\n.png"]
    assert draw_sheet(found, titles) == draw_sheet(found, titles)


def test_each_explanation_has_a_row_of_the_same_height() -> None:
    one, five = (pixels(draw_sheet([explanation()] * n, ["a.png"] * n)) for n in (1, 5))
    assert five.shape == (5 * one.shape[0], *one.shape[1:])
    for row in range(5):
        part = five[row * len(one) : (row + 1) * len(one)]
        assert np.abs(part.astype(int) - one).mean() < 1  # letters may begin at another fraction of a pixel


def test_the_picture_stands_in_the_sheet_as_the_network_sees_it() -> None:
    found = explanation()
    sheet = pixels(draw_sheet([found], ["a.png"]))
    side, left, top = 264, 24, 58  # 2.2 inches at 120 pixels, below the title
    centres = ((np.arange(28) + 0.5) * side / 28).astype(int)
    assert np.array_equal(sheet[top + centres][:, left + centres], found.picture)


def test_the_map_is_brightest_where_the_heat_is_and_grey_where_there_is_none() -> None:
    found = replace(explanation(), picture=np.full((28, 28, 3), 100, np.uint8))
    sheet = pixels(draw_sheet([found], ["a.png"])).astype(int)
    part = sheet[58 : 58 + 264, 306 : 306 + 264]
    size = 264 / 28
    hot, cold = (part[int((y + 0.5) * size), int((x + 0.5) * size)] for x, y in ((20, 5), (3, 24)))
    assert hot.sum() > cold.sum() + 100
    assert np.ptp(cold) <= 2
    assert np.ptp(hot) > 50


def test_heads_make_a_sheet_wider_and_no_heat_at_all_can_be_drawn() -> None:
    plain, wide = (pixels(draw_sheet([explanation(heads=n)], ["a"])) for n in (0, 2))
    assert wide.shape[1] > plain.shape[1] + 300
    found = replace(explanation(), heat=np.zeros((28, 28), np.float32))
    assert pixels(draw_sheet([found], ["a"])).shape == plain.shape


@pytest.mark.parametrize("count", [0, MOST + 1])
def test_no_sheet_is_empty_or_endless(count: int) -> None:
    with pytest.raises(UsageError, match=f"1 to {MOST} explanations"):
        draw_sheet([explanation()] * count, ["a"] * count)


def test_a_letter_that_no_font_has_is_written_as_its_number() -> None:
    families, numbers = find_fonts(["Щука γάτα tench", "\uf8f0 \udcff\n"])  # of private use, and of no text
    assert families[0] == "DejaVu Sans"
    assert numbers[0xDCFF] == "\\udcff"
    assert set(numbers) <= {0xF8F0, 0xDCFF}
    assert find_fonts(["\u24b6"])[1] == {}  # a letter in a circle, which only the STIX fonts of matplotlib have
    assert draw_sheet([explanation()], ["\u24b6"]) != draw_sheet([explanation()], ["\u24b7"])
    assert find_fonts(["Щука"]) == (["DejaVu Sans"], {})


def test_the_peak_is_the_middle_of_the_hottest_part() -> None:
    heat = np.zeros((10, 10), np.float32)
    heat[2:5, 6:9] = 1
    assert replace(explanation(), heat=heat).peak == (7, 3)
    heat[9, 0] = 2
    assert replace(explanation(), heat=heat).peak == (0, 9)

"""Contact sheets, as they are to be looked at."""

import io
import unicodedata

import numpy as np
import pytest
from data_fixtures import noise
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from torchinception.data.contact import CELL_PX, COLUMNS, GAP_PX, MARKS, TILES, Tile, draw_sheet, sheet_names, thumbnail
from torchinception.data.images import Picture


def draw(*tiles: Tile, title: str = "bag", subtitle: str = "12 pictures") -> Picture:
    with Image.open(io.BytesIO(draw_sheet(title, subtitle, tiles))) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def pixels_of(sheet: Picture, colour: str) -> int:
    return int((sheet == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(2).sum())


@given(st.lists(st.text(min_size=1, max_size=300), unique=True, max_size=6))
@example(["a", "A", "a/b", "a_b", "..", ".", "CON", "x" * 500, "字" * 200, "Å", "A\u030a", "\udcff", "a\n"])
@example(["a b", "a_b-c8687a08", "A_B-C8687A08"])
def test_every_class_has_a_file_name_that_any_system_takes(classes: list[str]) -> None:
    names = sheet_names(classes)
    assert list(names) == classes
    assert len({unicodedata.normalize("NFD", name).casefold() for name in names.values()}) == len(classes)
    for name in names.values():
        assert name.startswith("class-")
        assert name.endswith(".png")
        assert len(name.encode()) <= 150
        assert not set(name) & set('/\\:*?"<>| \0\n')


def test_plain_names_stay_as_they_are() -> None:
    assert sheet_names(["t-shirt", "n01440764", "Rose_2.1", "Роза"]) == {
        name: f"class-{name}.png" for name in ("t-shirt", "n01440764", "Rose_2.1", "Роза")
    }


@pytest.mark.parametrize("count", [1, 8, 9, TILES])
def test_a_sheet_has_a_row_for_every_eight_pictures(count: int) -> None:
    sheet = draw(*[Tile(thumbnail(noise(n, 200, 300)), f"{n}.png") for n in range(count)])
    assert sheet.shape[1] == draw(*[Tile(thumbnail(noise(0)), "")] * min(max(count, 4), COLUMNS)).shape[1]
    rows = [draw(*[Tile(thumbnail(noise(0)), "")] * n).shape[0] for n in (8, 16)]
    assert sheet.shape[0] == rows[0] + (-(-count // COLUMNS) - 1) * (rows[1] - rows[0])


@pytest.mark.parametrize("shape", [(1, 1), (3000, 2), (2, 3000), (28, 28), (500, 375), (128, 128)])
def test_pictures_of_any_shape_fit_into_a_cell(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    with Image.open(io.BytesIO(thumbnail(picture))) as image:
        assert max(image.size) <= CELL_PX
        assert max(shape) > CELL_PX or image.size == shape[::-1]
    assert draw(Tile(thumbnail(picture), "a.png")).shape[1] >= 4 * CELL_PX


def test_small_pictures_are_shown_in_whole_pixels() -> None:
    checks = np.indices((28, 28)).sum(0) % 2 * 255
    sheet = draw(Tile(thumbnail(np.repeat(checks[:, :, None], 3, 2).astype(np.uint8)), ""))
    side = CELL_PX // 28 * 28
    assert pixels_of(sheet, "#000000") == side * side // 2  # INK is another black


@pytest.mark.parametrize("mark", MARKS)
def test_what_stands_out_is_framed_and_the_legend_says_why(mark: str) -> None:
    grey = thumbnail(np.full((64, 64, 3), 128, np.uint8))
    plain, marked = draw(Tile(grey, "a"), Tile(grey, "b")), draw(Tile(grey, "a", mark), Tile(grey, "b"))
    assert pixels_of(plain, MARKS[mark]) == 0
    assert pixels_of(marked, MARKS[mark]) > 4 * 4 * CELL_PX  # the frame's four sides, and the legend's
    assert marked.shape[0] > plain.shape[0]
    assert pixels_of(marked, MARKS[mark]) == pixels_of(draw(Tile(grey, "a"), Tile(grey, "b", mark)), MARKS[mark])


@pytest.mark.parametrize("letter", ["ö", "ñ", "ж", "λ", "ş"])
def test_letters_beyond_english_ones_are_drawn(letter: str) -> None:
    assert not np.array_equal(draw(title=letter), draw(title="\ue000"))  # a letter that no font has: an empty box


@pytest.mark.parametrize("text", ["very long " * 50, "\udcff\x00\n", "字" * 300])
def test_any_name_can_be_a_title_and_a_caption(text: str) -> None:
    tile = thumbnail(noise(0, 40, 40))
    sheet = draw(Tile(tile, text), title=text, subtitle=text)
    assert sheet.shape == draw(Tile(tile, "a"), title="b", subtitle="c").shape
    edge = sheet[:, -GAP_PX:]
    assert (edge == 255).all()  # nothing is written over the margin


def test_equal_pictures_give_equal_sheets() -> None:
    tiles = [Tile(thumbnail(noise(n, 90, 70)), f"{n}") for n in range(3)]
    assert draw_sheet("a", "b", tiles) == draw_sheet("a", "b", tiles)

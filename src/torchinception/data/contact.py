"""Contact sheets: the pictures of a class on a grid, to look at what a network will be shown."""

import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from torchinception.data.images import Picture

COLUMNS, ROWS = 8, 6
TILES = COLUMNS * ROWS
CELL_PX, GAP_PX, MARGIN_PX, FRAME_PX, CAPTION_PX, HEAD_PX, LEGEND_PX = 128, 12, 24, 4, 18, 92, 26
PAPER, GROUND, INK, QUIET = "#ffffff", "#f1f2f4", "#1a1c20", "#666c76"
MARKS = {  # why a picture stands out -> the colour of its frame; of several reasons the first counts
    "duplicate": "#d7263d",
    "near-duplicate": "#f08a00",
    "small, flat or very long": "#2a6fdb",
}
MAX_NAME_BYTES = 80  # of the class in a file's name, of which there may be 255


class Tile(NamedTuple):
    """A picture on a sheet: as `thumbnail` gives it, the text below, and one of `MARKS` or nothing."""

    content: bytes
    caption: str
    mark: str = ""


def thumbnail(picture: Picture) -> bytes:
    """A picture, RGB uint8 (H, W, 3), made to fit into a cell; compressed, for many are kept until a sheet is drawn."""
    image = Image.fromarray(picture)
    image.thumbnail((CELL_PX, CELL_PX), reducing_gap=2.0)
    buffer = io.BytesIO()
    if max(image.size) <= CELL_PX // 2:  # enlarged on the sheet, so that each pixel is seen
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def sheet_names(classes: Iterable[str]) -> dict[str, str]:
    """A file name for each class: of letters and digits, which every system takes; no two differ by case alone."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in classes:
        safe = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name))
        safe = safe.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        if safe != name:
            safe += f"-{digest}"
        while safe.casefold() in taken:
            safe += f"-{digest}"
        taken.add(safe.casefold())
        names[name] = f"class-{safe}.png"
    return names


def draw_sheet(title: str, subtitle: str, tiles: Sequence[Tile]) -> bytes:
    """A PNG with at most `TILES` pictures, under the name of their class and a line about them."""
    marks = [mark for mark in MARKS if any(tile.mark == mark for tile in tiles)]
    head = HEAD_PX + (LEGEND_PX if marks else 0)
    columns = min(COLUMNS, max(4, len(tiles)))
    rows = -(-len(tiles) // columns)
    width = 2 * MARGIN_PX + columns * (CELL_PX + GAP_PX) - GAP_PX
    height = head + rows * (CELL_PX + CAPTION_PX + GAP_PX) - GAP_PX + MARGIN_PX
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    inner = width - 2 * MARGIN_PX
    draw.text((MARGIN_PX, 16), _shorten(title, _font(28), inner), INK, _font(28))
    draw.text((MARGIN_PX, 56), _shorten(subtitle, _font(14), inner), QUIET, _font(14))
    _draw_legend(draw, marks)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left = MARGIN_PX + column * (CELL_PX + GAP_PX)
        top = head + row * (CELL_PX + CAPTION_PX + GAP_PX)
        _draw_tile(sheet, draw, left, top, tile)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_tile(sheet: Image.Image, draw: ImageDraw.ImageDraw, left: int, top: int, tile: Tile) -> None:
    with Image.open(io.BytesIO(tile.content)) as image:
        enlarged = max(1, CELL_PX // max(image.size))  # whole pixels, so that 28 x 28 are not blurred
        shown = image.resize((image.width * enlarged, image.height * enlarged), Image.Resampling.NEAREST)
    box = (left, top, left + CELL_PX - 1, top + CELL_PX - 1)
    draw.rectangle(box, GROUND)
    sheet.paste(shown, (left + (CELL_PX - shown.width) // 2, top + (CELL_PX - shown.height) // 2))
    if tile.mark:
        around = (box[0] - FRAME_PX, box[1] - FRAME_PX, box[2] + FRAME_PX, box[3] + FRAME_PX)
        draw.rectangle(around, outline=MARKS[tile.mark], width=FRAME_PX)
    draw.text((left, top + CELL_PX + FRAME_PX), _shorten(tile.caption, _font(11), CELL_PX), QUIET, _font(11))


def _draw_legend(draw: ImageDraw.ImageDraw, marks: Sequence[str]) -> None:
    left, top = MARGIN_PX, HEAD_PX - 6
    for mark in marks:
        draw.rectangle((left, top, left + 13, top + 13), outline=MARKS[mark], width=3)
        draw.text((left + 20, top - 1), mark, INK, _font(12))
        left += 40 + int(draw.textlength(mark, _font(12)))


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The end says more than the beginning: names of files differ there."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)  # letters that can stay
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength("…" + text[-middle:]) <= width:
            low = middle
        else:
            high = middle - 1
    return "…" + text[len(text) - low :]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's DejaVu, for Pillow's own font has no letter beyond English ones, not even an ö."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)

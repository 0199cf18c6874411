"""A picture of boxes, lines and words: its SVG, light or dark as the reader's screen is, and its PNG."""

import io
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Kind = Literal["input", "reduce", "conv", "pool", "join", "residual", "other", "frame"]
Anchor = Literal["start", "middle", "end"]

# light fill, light edge, dark fill, dark edge; the first three are close to GoogLeNet's figure 2
COLOURS: dict[Kind, tuple[str, str, str, str]] = {
    "input": ("#f3f4f6", "#9ca3af", "#1f2937", "#6b7280"),
    "reduce": ("#fdf3c8", "#c9a227", "#453a0f", "#d4b13c"),
    "conv": ("#d9e8fb", "#4a86c8", "#163556", "#6aa5e3"),
    "pool": ("#fbdcdc", "#cf6262", "#552022", "#e08585"),
    "join": ("#dcf1dd", "#55a15b", "#173d1d", "#74bd79"),
    "residual": ("#e9e0f7", "#8a67c4", "#33234f", "#ab8be0"),
    "other": ("#ececec", "#8b8b8b", "#333a44", "#8b949e"),
    "frame": ("none", "#9ca3af", "none", "#6b7280"),
}
PAGE, INK, FAINT, WIRE = ("#ffffff", "#0d1117"), ("#1f2328", "#e6edf3"), ("#59636e", "#9aa4af"), ("#59636e", "#9aa4af")
PIXELS = 2  # of a PNG for one unit of a drawing
FINER = 2  # times as large is it drawn, and then shrunk, which smooths it


@dataclass(frozen=True)
class Box:
    """A rectangle; (x, y) is its upper left corner, y growing downwards."""

    x: float
    y: float
    width: float
    height: float
    kind: Kind
    radius: float = 4


@dataclass(frozen=True)
class Line:
    """Straight pieces from point to point, an arrow's head at the end if asked for."""

    points: tuple[tuple[float, float], ...]
    arrow: bool = True


@dataclass(frozen=True)
class Text:
    """One line; (x, y) is where its middle line is anchored. `upward` reads from below to above."""

    x: float
    y: float
    text: str
    size: float = 12
    anchor: Anchor = "middle"
    bold: bool = False
    faint: bool = False
    upward: bool = False


Shape = Box | Line | Text


@dataclass(frozen=True)
class Drawing:
    """Shapes on a page of `width` x `height`, drawn in order; the same shapes are the same bytes."""

    title: str
    width: float
    height: float
    shapes: tuple[Shape, ...]

    def svg(self) -> str:
        """The file's text; it loads nothing, and follows the reader's choice of light or dark."""
        width, height = _number(self.width), _number(self.height)
        body = "\n".join(_element(shape) for shape in self.shapes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img">\n<title>{escape(self.title)}</title>\n<style>\n{_rules(0)}\n'
            f"@media (prefers-color-scheme: dark) {{\n{_rules(1)}\n}}\n</style>\n"
            f'<rect class="page" width="{width}" height="{height}"/>\n{body}\n</svg>\n'
        )

    def png(self) -> bytes:
        """The file's bytes, in the light colours."""
        scale = PIXELS * FINER
        image = Image.new("RGB", (round(self.width * scale), round(self.height * scale)), PAGE[0])
        for shape in self.shapes:
            _paint(image, shape, scale)
        image = image.resize((round(self.width * PIXELS), round(self.height * PIXELS)), Image.Resampling.BOX)
        file = io.BytesIO()
        image.save(file, "PNG", optimize=True)
        return file.getvalue()


def text_width(text: str, size: float = 12) -> float:
    """How wide a line is at most in the fonts that browsers take for sans-serif."""
    return len(text) * size * 0.6


def _rules(dark: int) -> str:
    fonts = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
    rules = [
        f".page {{ fill: {PAGE[dark]} }}",
        f"text {{ fill: {INK[dark]}; font-family: {fonts}; dominant-baseline: central }}",
        f".faint {{ fill: {FAINT[dark]} }}",
        f".wire {{ fill: none; stroke: {WIRE[dark]}; stroke-width: 1.3 }}",
        f".head {{ fill: {WIRE[dark]} }}",
        *(f".{kind} {{ fill: {c[2 * dark]}; stroke: {c[2 * dark + 1]} }}" for kind, c in COLOURS.items()),
        ".frame { stroke-dasharray: 5 4 }",
    ]
    return "\n".join(rules)


def _element(shape: Shape) -> str:
    match shape:
        case Box():
            x, y, width, height, radius = map(_number, (shape.x, shape.y, shape.width, shape.height, shape.radius))
            return f'<rect class="{shape.kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}"/>'
        case Line():
            points = " ".join(f"{_number(x)},{_number(y)}" for x, y in shape.points)
            line = f'<polyline class="wire" points="{points}"/>'
            if not shape.arrow:
                return line
            head = " ".join(f"{_number(x)},{_number(y)}" for x, y in _head(shape))
            return f'{line}<polygon class="head" points="{head}"/>'
        case Text():
            faint = ' class="faint"' if shape.faint else ""
            bold = ' font-weight="600"' if shape.bold else ""
            x, y = _number(shape.x), _number(shape.y)
            turned = f' transform="rotate(-90 {x} {y})"' if shape.upward else ""
            return (
                f'<text{faint} x="{x}" y="{y}" font-size="{_number(shape.size)}" text-anchor="{shape.anchor}"'
                f"{bold}{turned}>{escape(shape.text)}</text>"
            )


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _head(line: Line) -> tuple[tuple[float, float], ...]:
    """The triangle at the end of an arrow, whose last piece is upright or level."""
    (x0, y0), (x1, y1) = line.points[-2:]
    length = max(abs(x1 - x0), abs(y1 - y0)) or 1
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    back, side = 7, 3.5
    return (
        (x1, y1),
        (x1 - back * dx - side * dy, y1 - back * dy + side * dx),
        (x1 - back * dx + side * dy, y1 - back * dy - side * dx),
    )


@cache
def _font(bold: bool, size: float) -> ImageFont.FreeTypeFont:
    """DejaVu, which comes with matplotlib; the font that comes with Pillow lacks the sign of multiplication."""
    import matplotlib as mpl

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", name), size)


def _paint(image: Image.Image, shape: Shape, scale: int) -> None:
    draw = ImageDraw.Draw(image)
    match shape:
        case Box():
            corners = (shape.x, shape.y, shape.x + shape.width, shape.y + shape.height)
            fill, edge = COLOURS[shape.kind][:2]
            draw.rounded_rectangle(
                [value * scale for value in corners],
                min(shape.radius, shape.width / 2, shape.height / 2) * scale,
                None if fill == "none" else fill,
                edge,
                scale,
            )
        case Line():
            for start, end in pairwise(shape.points):
                draw.line([value * scale for value in (*start, *end)], WIRE[0], round(1.3 * scale))
            if shape.arrow:
                draw.polygon([(x * scale, y * scale) for x, y in _head(shape)], WIRE[0])
        case Text():
            font = _font(shape.bold, shape.size * scale)
            left, top, right, bottom = (round(value) for value in font.getbbox(shape.text, anchor="lm"))
            margin = 2 * scale
            stamp = Image.new("L", (right - left + 2 * margin, bottom - top + 2 * margin))
            ImageDraw.Draw(stamp).text((margin - left, margin - top), shape.text, 255, font, anchor="lm")
            length = right - left
            before = round({"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor] * length)
            x, y = round(shape.x * scale), round(shape.y * scale)
            colour = FAINT[0] if shape.faint else INK[0]
            if shape.upward:
                stamp = stamp.transpose(Image.Transpose.ROTATE_90)
                corner = (x + top - margin, y - (length - before) - margin)
            else:
                corner = (x - before - margin, y + top - margin)
            image.paste(colour, corner, stamp)

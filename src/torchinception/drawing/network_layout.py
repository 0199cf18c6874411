"""A whole network, stage by stage from left to right: maps to scale, auxiliary heads where they hang."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torchinception.drawing.canvas import Box, Drawing, Kind, Line, Shape, Text, text_width
from torchinception.drawing.parts import Chain, Operation, Repeat, Split, Sum

TALLEST, WIDEST, NARROWEST, LOWEST = 170.0, 46.0, 5.0, 8.0  # of a box
PITCH, GAP, MARGIN = 40.0, 14.0, 20.0  # from stage to stage at least, between boxes, around it all
LINE = 15.0  # of text in a head
LEGEND: dict[Kind, str] = {
    "conv": "convolution",
    "reduce": "1×1 convolution",
    "pool": "pool",
    "join": "branches",
    "residual": "residual",
    "other": "linear",
}


@dataclass(frozen=True)
class Column:
    """A stage: its name, what it is in a word or two, and the shape that it puts out."""

    name: str
    what: str
    kind: Kind
    shape: tuple[int, ...]


def describe(chain: Chain, side: int) -> tuple[Kind, str]:
    """The kind of a stage, and a word or two about it; `side` is that of the map that goes in."""
    match chain:
        case (Repeat() as part,):
            return "residual", f"{part.count} × residual"
        case (Sum() as part,):
            return "residual", "residual" + _halving(part.shape, side)
        case (Split() as part,):
            return "join", f"{len(part.branches)} branches" + _halving(part.shape, side)
        case (Operation() as first, Operation() as second) if "depthwise" in first.title:
            return "conv", f"{first.title.split()[0]} separable" + (" /2" if "/2" in first.short + second.short else "")
        case _:
            operations = [part for part in chain if isinstance(part, Operation)]
            return operations[0].kind, ", ".join(part.short for part in operations)


def lay_out_network(
    title: str, subtitle: str, columns: Sequence[Column], heads: Mapping[str, Chain], size: int
) -> Drawing:
    """The columns with their labels below, the heads above the stage of their name."""
    most = max(column.shape[0] for column in columns)
    panels = {name: _head_lines(chain) for name, chain in heads.items()}
    roof = MARGIN + 44 + (max((len(lines) for lines in panels.values()), default=-2) + 1) * LINE + 24
    floor = roof + TALLEST + 16
    axis = roof + TALLEST / 2
    shapes: list[Shape] = []
    x, taken = MARGIN, MARGIN
    boxes: list[Box] = []
    for column in columns:
        side = column.shape[1] if len(column.shape) == 3 else 1
        height = max(LOWEST, TALLEST * math.sqrt(side / size))
        width = max(NARROWEST, WIDEST * math.sqrt(column.shape[0] / most))
        pitch = max(PITCH, width + GAP)
        centre = x + pitch / 2
        boxes.append(Box(centre - width / 2, axis - height / 2, width, height, column.kind, 2))
        if column.name in panels:
            taken = _hang(shapes, panels[column.name], centre, axis - height / 2, taken)
        shape = " × ".join(map(str, column.shape))
        shapes.append(Text(centre - 7, floor, column.name, 12, "end", bold=True, upward=True))
        label = f"{shape} · {column.what}" if column.what else shape
        shapes.append(Text(centre + 7, floor, label, 11, "end", faint=True, upward=True))
        x += pitch
    labels = max(text_width(f"{' × '.join(map(str, c.shape))} · {c.what}", 10.5) for c in columns)
    labels = max(labels, *(text_width(c.name, 12.5) for c in columns))
    legend = {kind: text for kind, text in LEGEND.items() if any(column.kind == kind for column in columns)}
    width = max(x + MARGIN, text_width(title, 16) + 2 * MARGIN, text_width(subtitle, 11) + 2 * MARGIN, taken + MARGIN)
    width = max(width, _legend_width(legend))
    foot = floor + labels + 26
    shapes += _legend(legend, foot)
    scale = "Height grows with the square root of the map's side, width with that of its channels."
    rows = _wrap(scale, width - 2 * MARGIN)
    shapes += [Text(MARGIN, foot + 20 + 15 * row, text, 11, "start", faint=True) for row, text in enumerate(rows)]
    wires = [Line(((a.x + a.width, axis), (b.x, axis)), arrow=False) for a, b in pairwise(boxes)]
    heading = [
        Text(MARGIN, MARGIN + 6, title, 16, "start", bold=True),
        Text(MARGIN, MARGIN + 27, subtitle, 11, "start", faint=True),
    ]
    bottom = foot + 20 + 15 * len(rows) + MARGIN - 8
    return Drawing(f"{title}: {subtitle}", width, bottom, (*heading, *wires, *boxes, *shapes))


def _hang(shapes: list[Shape], lines: Sequence[str], centre: float, top: float, taken: float) -> float:
    """A panel above a stage, to the right of x = `taken`; how far it reaches."""
    width = max(text_width(line, 11) for line in lines) + 10
    left = max(taken, centre - width / 2)
    ceiling = MARGIN + 44
    height = LINE * len(lines) + 10
    x = min(max(centre, left + 10), left + width - 10)
    shapes.append(Line(((centre, top), (centre, top - 12), (x, top - 12), (x, ceiling + height))))
    shapes.append(Box(left, ceiling, width, height, "frame", 6))
    for index, line in enumerate(reversed(lines)):  # the way up is the way through
        y = ceiling + 5 + LINE * (index + 0.5)
        shapes.append(Text(left + width / 2, y, line, 11, bold=index == 0))
    return left + width + 8


def _head_lines(chain: Chain) -> list[str]:
    lines: list[str] = []
    for part in chain:
        if isinstance(part, Operation) and part.short != "ReLU":
            outputs = "" if part.kind == "pool" or "dropout" in part.short else f", {part.shape[0]}"
            lines.append(part.short + outputs)
    return [*lines, "auxiliary head"]


def _halving(shape: tuple[int, ...], side: int) -> str:
    return f" /{round(side / shape[1])}" if shape[1] < side * 0.75 else ""


def _legend(kinds: Mapping[Kind, str], y: float) -> list[Shape]:
    shapes: list[Shape] = []
    x = MARGIN
    for kind, text in kinds.items():
        shapes += [Box(x, y - 6, 12, 12, kind, 2), Text(x + 18, y, text, 11, "start")]
        x += 18 + text_width(text, 11) + 12
    return shapes


def _legend_width(kinds: Mapping[Kind, str]) -> float:
    return 2 * MARGIN + sum(30 + text_width(text, 11) for text in kinds.values())


def _wrap(text: str, width: float) -> list[str]:
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if text_width(longer, 11) > width and rows[-1]:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows

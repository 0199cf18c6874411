"""Explanations as a picture: a row each, with what the network saw, where it looked, and what it says."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from torchinception.classifier import Prediction
from torchinception.errors import UsageError
from torchinception.explaining.explanation import Explanation
from torchinception.explaining.fonts import find_fonts

HEAT = "inferno"  # its lightness rises evenly, and it is the same to the colour-blind
FINAL, HEAD, OTHER = "#2a6f97", "#9a6324", "#c9ced6"
INK, FAINT = "#1c2024", "#5f6b7a"
ROW_INCHES, DPI = 3.0, 120
SIGNED = {"Software": "inception explain"}  # instead of matplotlib's version
MOST = 20  # rows: a sheet of 20 is 7200 pixels long
WORDS = {
    "gradcam": "Grad-CAM at {stage}: what speaks for the class",
    "integrated-gradients": "Integrated gradients from grey: what adds to the class; {gap} is not accounted for",
    "occlusion": "Occlusion: what the class is lost without",
    "layer-activations": "Activations of {stage}, whatever the class",
}
STYLE: Any = {"font.size": 9.5, "text.color": INK, "axes.labelcolor": INK, "xtick.color": FAINT, "ytick.color": INK}


def draw_sheet(explanations: Sequence[Explanation], titles: Sequence[str]) -> bytes:
    """A PNG of one row an explanation, the same bytes for the same explanations and fonts.

    From left to right: the part of the picture that the network sees; the heat map over it, grey where it is cold, with
    a cross at its peak; the likeliest classes; what each auxiliary head takes it for, if the network has heads. Only
    what speaks for the class is drawn. A letter that no font of this machine has is written as its number.

    Args:
        explanations: one to 20.
        titles: what to call each picture.

    Raises:
        UsageError: no explanation, more than 20, or not as many titles.
    """
    if not 1 <= len(explanations) <= MOST or len(titles) != len(explanations):
        raise UsageError(
            f"a sheet has 1 to {MOST} explanations and as many titles, not {len(explanations)} and {len(titles)}"
        )
    heads = any(explanation.heads for explanation in explanations)
    families, numbers = find_fonts([*titles, *(name for e in explanations for name in (e.name, *_all_names(e)))])
    explanations = [_rename(explanation, numbers) for explanation in explanations]
    with mpl.rc_context(STYLE | {"font.family": families}):
        figure = Figure(figsize=(13.0 if heads else 10.2, ROW_INCHES * len(explanations)), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        rows = figure.subfigures(len(explanations), 1, squeeze=False)[:, 0]
        for row, explanation, title in zip(rows, explanations, titles, strict=True):
            _draw_row(row, explanation, title.translate(numbers), heads=heads)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata=SIGNED)
    return buffer.getvalue()


def check_sheet(path: Path) -> None:
    """Refuse to write a sheet over anything but an older one.

    Raises:
        UsageError: the name is not a PNG's, or something else is there.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path} does not end in .png, which a sheet is")
    if path.exists():
        try:
            with Image.open(path, formats=("PNG",)) as image:
                ours = image.info.get("Software") == SIGNED["Software"]
        except (OSError, ValueError):
            ours = False
        if not ours:
            raise UsageError(f"{path} exists and is no sheet; choose another name for it")


def _all_names(explanation: Explanation) -> list[str]:
    return [name for found in (explanation.best, *explanation.heads.values()) for name in found.names]


def _rename(explanation: Explanation, numbers: Mapping[int, str]) -> Explanation:
    best, *heads = (
        replace(found, names=tuple(name.translate(numbers) for name in found.names))
        for found in (explanation.best, *explanation.heads.values())
    )
    name = explanation.name.translate(numbers)
    return replace(explanation, name=name, best=best, heads=dict(zip(explanation.heads, heads, strict=True)))


def _draw_row(row: SubFigure, explanation: Explanation, title: str, *, heads: bool) -> None:
    width = 13.0 if heads else 10.2
    side, top = 2.2, ROW_INCHES - 0.48

    def place(left: float, bottom: float, across: float, up: float) -> Axes:
        return row.add_axes((left / width, bottom / ROW_INCHES, across / width, up / ROW_INCHES))

    def write(x: float, y: float, text: str, **style: Any) -> None:
        row.text(x / width, y / ROW_INCHES, text, parse_math=False, va="baseline", **style)

    write(0.2, top + 0.12, _short(title, 36, at_start=True), size=10.5, weight="bold")
    seen = place(0.2, top - side, side, side)
    seen.imshow(explanation.picture, interpolation="nearest")
    over = place(0.2 + side + 0.15, top - side, side, side)
    _draw_heat(over, explanation)
    bar = row.add_axes(((0.42 + 2 * side) / width, (top - side) / ROW_INCHES, 0.09 / width, side / ROW_INCHES))
    scale = row.figure.colorbar(ScalarMappable(cmap=HEAT), cax=bar)
    scale.set_ticks([0, 1], labels=["none", "most"])
    scale.ax.tick_params(labelsize=7.5, length=0, pad=3)
    scale.outline.set_visible(False)
    for axes in (seen, over):
        axes.set_axis_off()
    words = WORDS[explanation.method].format(stage=explanation.stage, gap=_percent(explanation.gap or 0))
    write(0.2, 0.1, words, size=7.5, color=FAINT)

    left = 0.9 + 2 * side
    about = "" if explanation.method == "layer-activations" else "explained: "
    write(left, top + 0.12, f"{about}{_short(explanation.name, 34)}  {explanation.probability:.1%}", size=10.5)
    likely = place(left, top - side, width - left - (4.3 if heads else 0.9), side)
    _draw_bars(likely, explanation.best, FINAL, explanation.label, rows=5)
    for number, (name, opinion) in enumerate(explanation.heads.items()):
        high = (side - 0.28 * (len(explanation.heads) - 1)) / len(explanation.heads)
        high = min(high, 1.0)
        bottom = top - high - number * (high + 0.34)
        write(width - 3.75, bottom + high + 0.1, f"what {name} already knows", size=8.5, color=FAINT)
        axes = place(width - 3.75, bottom, 2.85, high - 0.05)
        _draw_bars(axes, opinion, HEAD, explanation.label, rows=3)


def _draw_heat(axes: Axes, explanation: Explanation) -> None:
    heat = explanation.heat.clip(min=0)
    strength = heat / heat.max() if heat.max() > 0 else heat
    grey = explanation.picture.mean(2, keepdims=True) / 255
    colour = colormaps[HEAT](strength)[..., :3]
    opacity = 0.15 + 0.6 * strength[..., None]
    axes.imshow(np.clip(grey * (1 - opacity) + colour * opacity, 0, 1), interpolation="nearest")
    if heat.max() > 0:
        axes.plot(*explanation.peak, "+", color="white", markersize=9, markeredgewidth=2.4)
        axes.plot(*explanation.peak, "+", color="black", markersize=8, markeredgewidth=1.0)


def _draw_bars(axes: Axes, found: Prediction, colour: str, label: str, *, rows: int) -> None:
    """A bar a class, its name above it; the class that is explained in full colour."""
    axes.set_xlim(0, 1)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_axis_off()
    for row, (unique, name, probability) in enumerate(
        zip(found.classes, found.names, found.probabilities, strict=True)
    ):
        axes.barh(row + 0.22, 1, 0.26, color="#eef0f3")
        axes.barh(row + 0.22, probability, 0.26, color=colour if unique == label else OTHER)
        axes.text(0, row + 0.02, _short(name, 44), va="bottom", size=8.5, parse_math=False)
        axes.text(1.02, row + 0.22, _percent(probability), va="center", size=8.5, color=INK)


def _percent(probability: float) -> str:
    return "<0.1%" if 0 < probability < 0.0005 else f"{probability:.1%}"


def _short(text: str, most: int, *, at_start: bool = False) -> str:
    """At most so many letters; of a path the end is what counts."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    return f"…{text[1 - most :]}" if at_start else f"{text[: most - 1]}…"

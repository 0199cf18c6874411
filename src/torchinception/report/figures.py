"""The figures of a report as SVG, in the colours of the page that they stand in."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.rcsetup import cycler
from matplotlib.ticker import MaxNLocator, PercentFormatter

from torchinception.report.records import Bin

INK = "#010203"  # stands for the colour of the page's text, which is light on a dark page
BLUE, ORANGE = "#4c8ed9", "#d9822b"  # readable on white and on black
LINES = (BLUE, ORANGE, "#3fa45b", "#b07cd8", "#c9556b", "#8a8f98")
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 11, "figure.constrained_layout.use": True}
STYLE |= {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25}
STYLE |= {"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK}
STYLE |= {"grid.color": INK, "figure.facecolor": "none", "axes.facecolor": "none", "legend.frameon": False}
STYLE |= {"axes.prop_cycle": cycler("color", LINES), "axes.titlesize": 12, "axes.axisbelow": True}
MOST_CLASSES = 24  # that a matrix is readable with
MOST_LETTERS = 28


def curves(history: Sequence[Mapping[str, float]]) -> dict[str, Markup]:
    """By what they show: the loss, that of each head if there are several, accuracy and learning rate, by epoch."""
    keys = list(history[0]) if history else []
    heads = [key for key in keys if key.startswith("train_loss_")]
    panels = {
        "Loss": ["train_loss", "val_loss"],
        "Loss of each head": heads,
        "Accuracy": ["train_top1", "val_top1"],
        "Learning rate": ["learning_rate"],
    }
    found = {}
    for title, wanted in panels.items():
        shown = [key for key in wanted if key in keys]
        if shown:
            found[title] = _panel(title, history, shown)
    return found


def _panel(title: str, history: Sequence[Mapping[str, float]], keys: Sequence[str]) -> Markup:
    figure, axes = _one(4.4, 2.9)
    axes.set(xlabel="epoch", title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    if title == "Accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    mark = "o" if len(history) < 40 else None
    for key in keys:
        label = key.removeprefix("train_loss_") if title == "Loss of each head" else key.split("_")[0]
        axes.plot([row["epoch"] for row in history], [row[key] for row in history], marker=mark, ms=3, label=label)
    if len(keys) > 1:
        axes.legend()
    return _svg(figure, title)


def confusion(classes: Sequence[str], counts: Mapping[str, Mapping[str, int]]) -> Markup:
    """A matrix of at most `MOST_CLASSES` classes; colours are fractions of a row of all classes."""
    rows = [[counts.get(truth, {}).get(guess, 0) for guess in classes] for truth in classes]
    sums = [max(1, sum(counts.get(truth, {}).values())) for truth in classes]
    side = max(3.6, 1.7 + 0.4 * len(classes))
    figure, axes = _one(side, side)
    axes.set(xlabel="named", ylabel="is")
    fractions = np.array(rows) / np.array(sums)[:, None]
    for place, fraction in np.ndenumerate(fractions):
        if fraction:
            axes.add_patch(Rectangle((place[1] - 0.5, place[0] - 0.5), 1, 1, color=BLUE, alpha=_tint(fraction)))
            text = str(rows[place[0]][place[1]])
            axes.text(place[1], place[0], text, ha="center", va="center", size=9 if len(text) < 4 else 7)
    axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5), aspect="equal")
    axes.set_xticks(range(len(classes)), [shorten(name) for name in classes], rotation=90, parse_math=False)
    axes.set_yticks(range(len(classes)), [shorten(name) for name in classes], parse_math=False)
    axes.grid(visible=False)
    return _svg(figure, "confusion")


def _tint(fraction: float) -> float:
    return 0.08 + 0.62 * float(fraction)  # text stays readable on all of them


def reliability(bins: Sequence[Bin]) -> Markup:
    """How often guesses were right against how sure they were, and how many there were of each."""
    figure = Figure(figsize=(4.4, 4.6))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges, width = np.arange(len(bins)) / len(bins), 1 / len(bins)
    full = [place for place, each in enumerate(bins) if each.pictures]
    above.bar(
        edges[full], [bins[i].accuracy or 0 for i in full], width, align="edge", color=BLUE, alpha=0.7, label="right"
    )
    above.plot([0, 1], [0, 1], "--", color=INK, lw=1, label="as sure as right")
    above.plot([bins[i].confidence for i in full], [bins[i].accuracy for i in full], "o", color=ORANGE, ms=4)
    above.set(ylabel="right", ylim=(0, 1.02), xlim=(0, 1))
    above.legend(loc="upper left")
    below.bar(edges, [each.pictures for each in bins], width, align="edge", color=BLUE, alpha=0.7)
    below.set(xlabel="how sure the first guess was", ylabel="pictures")
    below.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    above.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    below.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _svg(figure, "reliability")


def shorten(name: str) -> str:
    """For an axis."""
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


def _one(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def _svg(figure: Figure, name: str) -> Markup:
    """Ids get `name` in front, since all figures stand in one page."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has it
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()[buffer.getvalue().index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL).replace(INK, "currentColor")
    own = re.sub(r"\W+", "-", name.lower())
    text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{own}-", text)
    return Markup(text)  # noqa: S704, matplotlib escapes its text

"""`report.html`: what was run and how it went, in one file that works offline."""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from torchinception.files import write_atomically

Guesses = Sequence[tuple[str, float]]
Mistake = tuple[npt.NDArray[np.uint8], str, Guesses]  # picture, its class, likeliest classes
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 11, "axes.spines.top": False}
STYLE |= {"axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "figure.constrained_layout.use": True}


def write_report(
    path: str | Path,
    *,
    title: str,
    facts: Mapping[str, Mapping[str, object]],
    history: Sequence[Mapping[str, float]],
    per_class: Mapping[str, float | None],
    confusion: Sequence[Sequence[int]],
    split: str,
    mistakes: Sequence[Mistake],
) -> None:
    """Write the report; every text in it is escaped.

    Args:
        path: where to write.
        title: what was run on what.
        facts: headed tables of name and value.
        history: one row an epoch, as in `metrics.csv`.
        per_class: the fraction of each class's pictures that were named rightly; None without pictures.
        confusion: `confusion[i][j]` counts pictures of class i named j, over the classes of the model in order.
        split: which pictures `per_class`, `confusion` and `mistakes` are about.
        mistakes: pictures (uint8 (H, W, 3)) with their class and what they were taken for, worst first.
    """
    environment = Environment(loader=PackageLoader(__name__, "."), autoescape=True, undefined=StrictUndefined)
    with mpl.rc_context(STYLE):
        page = environment.get_template("report.html.jinja").render(
            title=title,
            facts=facts,
            curves=_curves(history),
            confusion=_confusion(list(per_class), confusion),
            per_class=per_class,
            split=split,
            mistakes=[(_data_uri(picture), truth, guesses) for picture, truth, guesses in mistakes],
        )
    write_atomically(path, page)


def _curves(history: Sequence[Mapping[str, float]]) -> Markup:
    figure = Figure(figsize=(10, 3.4))
    epochs = [row["epoch"] for row in history]
    for place, (name, label) in enumerate(
        (("loss", "Loss"), ("top1", "Accuracy"), ("learning_rate", "Learning rate")), 1
    ):
        axes = figure.add_subplot(1, 3, place, title=label, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for key, style in ((f"train_{name}", "C0-"), (f"val_{name}", "C1-"), (name, "C2-")):
            if key in history[0]:
                axes.plot(epochs, [row[key] for row in history], style, marker=".", label=key.split("_")[0])
        if name != "learning_rate":
            axes.legend(frameon=False)
    return _svg(figure)


def _confusion(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> Markup:
    counts = np.array(confusion)
    side = max(4.5, min(14.0, 1.8 + 0.45 * len(classes)))
    figure = Figure(figsize=(side, side))
    axes = figure.add_subplot(xlabel="named", ylabel="is")
    axes.imshow(counts / counts.sum(1, keepdims=True).clip(1), cmap="Blues", vmin=0, vmax=1)
    short = [name if len(name) <= 40 else name[:39] + "…" for name in classes]
    axes.set_xticks(range(len(classes)), short, rotation=90, parse_math=False)
    axes.set_yticks(range(len(classes)), short, parse_math=False)
    axes.grid(visible=False)
    if len(classes) <= 25:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                dark = count > counts[i].sum() / 2
                axes.text(j, i, str(count), ha="center", va="center", size=9, color="white" if dark else "black")
    return _svg(figure)


def _svg(figure: Figure) -> Markup:
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has it
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return Markup(buffer.getvalue()[buffer.getvalue().index("<svg") :])  # noqa: S704, matplotlib escapes its text


def _data_uri(picture: npt.NDArray[np.uint8]) -> str:
    image, buffer = Image.fromarray(picture), io.BytesIO()
    image.thumbnail((160, 160))
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

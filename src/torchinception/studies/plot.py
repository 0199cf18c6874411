"""The panels of which studies make their plots."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from torchinception.studies.measures import target_of
from torchinception.studies.records import Result
from torchinception.studies.study import Measure, Panel, Study

COLORS = ("#1b6ca8", "#e08e2b", "#3a9a5b", "#b5446e", "#7a5ca8", "#555555")
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "torchinception",  # equal results, equal bytes
    "svg.fonttype": "none",
}
WIDTH, HEIGHT = 6.0, 3.8  # inches of a panel


def plot(study: Study, result: Result) -> bytes:
    """Panels side by side over one legend; SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH * len(study.panels), HEIGHT), layout="constrained")
        for number, panel in enumerate(study.panels, 1):
            panel(figure.add_subplot(1, len(study.panels), number), result)
        handles = [
            mpl.lines.Line2D([], [], color=color, marker="o", label=outcome.name)
            for color, outcome in zip(COLORS, result.outcomes, strict=False)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False)
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def accuracy_curves(axes: Axes, result: Result) -> None:
    """Held-out accuracy after each twentieth of the steps: the mean of the seeds, and from the worst to the best."""
    _title(axes, "accuracy on held-out pictures, mean and range of seeds", "step")
    for color, outcome in zip(COLORS, result.outcomes, strict=False):
        if outcome.runs:
            found = 100 * np.array([run.accuracies for run in outcome.runs])
            axes.plot(result.checkpoints, found.mean(0), color=color)
            axes.fill_between(result.checkpoints, found.min(0), found.max(0), color=color, alpha=0.1, linewidth=0)
    axes.yaxis.set_major_formatter("{x:.0f} %")


def with_target(baseline: str) -> Panel:
    """`accuracy_curves`, and the accuracy to which steps are counted."""

    def panel(axes: Axes, result: Result) -> None:
        accuracy_curves(axes, result)
        if result.outcome(baseline).runs:
            target = 100 * target_of(baseline, result)
            axes.axhline(target, color="#999999", linestyle=":", linewidth=1)
            axes.set_xlabel("step (dotted: the accuracy that steps are counted to)")

    return panel


def gradient_norms(axes: Axes, result: Result) -> None:
    """The early gradient's length of each stage: the mean of the seeds, and their range."""
    _title(axes, "length of the gradient by stage, in the first twentieth of the steps", "")
    for color, outcome in zip(COLORS, result.outcomes, strict=False):
        runs = [run.gradients for run in outcome.runs if run.gradients]
        if runs:
            stages = list(runs[0])
            found = np.array([[run[stage] for stage in stages] for run in runs])
            axes.plot(stages, found.mean(0), color=color, marker="o", markersize=3)
            axes.fill_between(stages, found.min(0), found.max(0), color=color, alpha=0.1, linewidth=0)
    axes.set_yscale("log")
    axes.tick_params(axis="x", labelrotation=60, labelsize=8)


def bars(measure: Measure) -> Panel:
    """A measure's mean of each variant, and the range of its values."""

    def panel(axes: Axes, result: Result) -> None:
        _title(axes, measure.heading, "")
        for place, (color, outcome) in enumerate(zip(COLORS, result.outcomes, strict=False)):
            values = [value for value in measure.of(result, outcome) if np.isfinite(value)]
            if values:
                mean = sum(values) / len(values)
                error = [[mean - min(values)], [max(values) - mean]]
                axes.barh(place, mean, color=color, xerr=error, error_kw=dict(ecolor="#333333", capsize=3))
            axes.annotate(
                measure.describe(measure.of(result, outcome)),
                (max(values, default=0), place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        axes.set_yticks([])
        axes.invert_yaxis()
        axes.margins(x=0.35)

    return panel


def seeds(measure: Measure) -> Panel:
    """A dot for each seed's figure, and a line at their mean: for differences too small for bars."""

    def panel(axes: Axes, result: Result) -> None:
        _title(axes, f"{measure.heading} of each seed", "")
        for place, (color, outcome) in enumerate(zip(COLORS, result.outcomes, strict=False)):
            values = measure.of(result, outcome)
            if values:
                axes.scatter(values, [place] * len(values), color=color, alpha=0.6)
                axes.plot([sum(values) / len(values)] * 2, [place - 0.3, place + 0.3], color=color)
        axes.xaxis.set_major_formatter(lambda value, _: measure.show(value))
        axes.set_yticks([])
        axes.invert_yaxis()

    return panel


def _title(axes: Axes, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(below)

"""Cases as bars, in one PNG."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from torchinception.bench.records import Case

COLORS = {"ours": "#1b6ca8", "peer": "#b0b0b0", "runtime": "#e08e2b"}
LABELS = {"ours": "ours", "peer": "in PyTorch", "runtime": "in a runtime"}
STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
ACROSS = 2  # cases beside one another
WIDTH, ROW, AROUND = 7.0, 0.34, 1.1  # inches: of a case; of a bar; of a case's title and axis


def plot(cases: Sequence[Case]) -> bytes:
    """Milliseconds a picture of every side that was timed, the fastest on top, a case a panel; PNG."""
    across = min(ACROSS, len(cases))
    down = -(-len(cases) // across)
    bars = max(len(case.rows) for case in cases)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH * across, down * (AROUND + ROW * bars) + 0.4), layout="constrained")
        for place, case in enumerate(cases, 1):
            _draw(figure.add_subplot(down, across, place), case)
        kinds = {row.kind for case in cases for row in case.rows}
        handles = [Patch(color=COLORS[kind], label=label) for kind, label in LABELS.items() if kind in kinds]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _draw(axes: Axes, case: Case) -> None:
    threads = f"{case.threads} thread{'s' * (case.threads > 1)}"
    axes.set_title(f"{case.network}, batch {case.batch}, {threads}", loc="left", fontweight="bold")
    axes.set_xlabel(f"ms a picture ({case.clock})")
    timed = case.timed
    values = [case.milliseconds(row) for row in timed]
    found = axes.barh([row.side for row in timed], values, color=[COLORS[row.kind] for row in timed])
    speeds = [case.speed(row) for row in timed]
    texts = [f"{ms:.3g} ms" + (f"  {s.median:.2f} x" if s else "") for ms, s in zip(values, speeds, strict=True)]
    axes.bar_label(found, texts, padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.3)
    axes.tick_params(axis="y", length=0)

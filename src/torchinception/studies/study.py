"""What a study is: variants of one network or its training, what is measured of each, and what is claimed of them."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from torchinception.models import Spec
from torchinception.studies.records import Outcome, Result
from torchinception.training.recipe import Loss, Optimizer, Schedule

HARD, COSINE = Loss(label_smoothing=0.0), Schedule(name="cosine")
Panel = Callable[[Axes, Result], None]


@dataclass(frozen=True)
class Variant:
    """A network and how it is trained. The `schedule` counts in runs: one epoch of it is the whole run."""

    name: str
    spec: Spec
    optimizer: Optimizer
    loss: Loss = HARD
    schedule: Schedule = COSINE


@dataclass(frozen=True)
class Measure:
    """A figure of a variant: values of each seed, of each turn of the clock, or a single exact one."""

    heading: str
    of: Callable[[Result, Outcome], tuple[float, ...]]
    show: Callable[[float], str]
    exact: bool = False
    relative: bool = False  # shown beside that of the first variant

    def describe(self, values: Sequence[float]) -> str:
        """Mean ± standard deviation; apart from them how many are infinite."""
        finite = [value for value in values if math.isfinite(value)]
        if not finite:
            return "never"
        text = self.show(statistics.fmean(finite))
        if len(finite) > 1:
            text += f" ± {self.show(statistics.stdev(finite))}"
        return text if len(finite) == len(values) else f"{text}; {len(values) - len(finite)} of {len(values)} never"


@dataclass(frozen=True)
class Claim:
    """That a figure is smaller in one variant than in another, with what was added to the latter's (`margin`).

    A margin states that the first is at most so much larger, for want of a way to show that two are equal.
    """

    text: str
    source: str
    measure: Measure
    less: Variant
    more: Variant
    margin: float = 0.0


@dataclass(frozen=True)
class Study:
    """One experiment.

    Args:
        name: as the command line takes it.
        title: a heading.
        setting: how it was set up, and what differs from the paper's own experiment.
        variants: the first is what the others are compared with.
        steps: of each run.
        measures: the columns of the table.
        claims: what is judged, by `judge`.
        panels: the plot, from left to right.
        limits: what it cannot show.
    """

    name: str
    title: str
    setting: str
    variants: tuple[Variant, ...]
    steps: int
    measures: tuple[Measure, ...]
    claims: tuple[Claim, ...]
    panels: tuple[Panel, ...]
    limits: str

"""The figures that studies compare."""

import math

from torchinception.studies.records import Outcome, Result
from torchinception.studies.study import Measure


def _best(_result: Result, outcome: Outcome) -> tuple[float, ...]:
    return tuple(max(run.accuracies) for run in outcome.runs)


ACCURACY = Measure("accuracy", lambda _, outcome: tuple(run.accuracies[-1] for run in outcome.runs), "{:.1%}".format)
BEST = Measure("best accuracy", _best, "{:.1%}".format)  # where the rate stays high to the end, the last one is a whim
PARAMETERS = Measure(
    "parameters", lambda _, outcome: (outcome.parameters,), "{:,.0f}".format, exact=True, relative=True
)
MACS = Measure("multiply-adds", lambda _, outcome: (outcome.macs,), "{:,.0f}".format, exact=True, relative=True)
STEP_TIME = Measure("ms a step", lambda _, outcome: outcome.milliseconds, "{:.1f}".format, relative=True)


def steps_to_accuracy_of(baseline: str) -> Measure:
    """Steps to the best accuracy of the baseline, of its weakest run; infinite if it is never reached."""

    def of(result: Result, outcome: Outcome) -> tuple[float, ...]:
        target = target_of(baseline, result)
        return tuple(_first(run.accuracies, target, result.checkpoints) for run in outcome.runs)

    return Measure(f"steps to the best of {baseline}", of, "{:.0f}".format)


def target_of(baseline: str, result: Result) -> float:
    """The lowest of the best accuracies of the baseline's runs."""
    return min(_best(result, result.outcome(baseline)), default=math.inf)


def gradient_of(stage: str) -> Measure:
    """The early gradient's length in one stage."""
    return Measure(
        f"gradient in {stage}",
        lambda _, outcome: tuple(run.gradients.get(stage, math.inf) for run in outcome.runs),
        "{:.2g}".format,
    )


def _first(accuracies: tuple[float, ...], target: float, steps: tuple[int, ...]) -> float:
    return next((step for step, found in zip(steps, accuracies, strict=True) if found >= target), math.inf)

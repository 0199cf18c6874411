"""Verdicts follow from the figures by the rule that the page states."""

import math
from itertools import combinations

import pytest

from torchinception.layers import conv
from torchinception.studies.measures import ACCURACY, PARAMETERS, STEP_TIME, gradient_of, steps_to_accuracy_of
from torchinception.studies.records import Outcome, Result, Run
from torchinception.studies.study import Claim, Measure, Variant
from torchinception.studies.trunk import small_spec
from torchinception.studies.verdicts import Finding, chance, judge
from torchinception.training.recipe import Optimizer

OLD, NEW = (Variant(name, small_spec(dict(conv_1=conv(4))), Optimizer()) for name in ("old", "new"))


def outcome(name: str, accuracies: tuple[float, ...], parameters: int = 1) -> Outcome:
    runs = [
        Run(seed=seed, losses=(), accuracies=(0.1, value / 2, value), gradients={}, died_at=None, seconds=1)
        for seed, value in enumerate(accuracies)
    ]
    return Outcome(name=name, parameters=parameters, macs=1, runs=tuple(runs))


def result(old: Outcome, new: Outcome) -> Result:
    return Result(
        study="made up", digest="", data="", train=1, held_out=1, classes=10, steps=3, batch=1, machine="",
        versions={}, seconds=1, outcomes=(old, new),
    )  # fmt: skip


def finding(old: tuple[float, ...], new: tuple[float, ...], measure: Measure = ACCURACY, margin: float = 0) -> Finding:
    """Of the claim that the measure is smaller in `old` than in `new`."""
    claim = Claim("new is better", "", measure, OLD, NEW, margin)
    return judge(claim, result(outcome("old", old), outcome("new", new))).finding


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((0.80, 0.81, 0.82), (0.83, 0.84, 0.85), "shows"),
        ((0.83, 0.84, 0.85), (0.80, 0.81, 0.82), "contradicted"),
        ((0.80, 0.81, 0.84), (0.83, 0.85, 0.86), "does not show"),  # one seed overlaps
        ((0.80, 0.80, 0.80), (0.80, 0.80, 0.80), "does not show"),
        ((0.80, 0.81, 0.82), (0.82, 0.84, 0.85), "does not show"),  # a tie
        ((0.10, 0.11), (0.98, 0.99), "too few seeds"),  # it could be chance, however far apart
        ((0.1,), (0.9,), "too few seeds"),
        ((), (), "too few seeds"),
    ],
)
def test_a_claim_shows_only_where_seeds_could_hardly_do_it(
    old: tuple[float, ...], new: tuple[float, ...], expected: str
) -> None:
    assert finding(old, new) == expected


def test_a_margin_lets_a_small_loss_pass_and_a_large_one_not() -> None:
    assert finding((0.800, 0.801, 0.802), (0.797, 0.798, 0.799)) == "contradicted"
    assert finding((0.800, 0.801, 0.802), (0.797, 0.798, 0.799), margin=0.01) == "shows"
    assert finding((0.800, 0.801, 0.802), (0.787, 0.788, 0.789), margin=0.01) == "contradicted"


def test_exact_figures_are_compared_without_chance() -> None:
    claim = Claim("new is larger", "", PARAMETERS, OLD, NEW)
    for parameters, expected in ((2, "shows"), (1, "does not show"), (0, "contradicted")):
        found = judge(claim, result(outcome("old", (), 1), outcome("new", (), parameters)))
        assert found.finding == expected


def test_steps_that_never_reach_the_accuracy_count_as_more_than_all_others() -> None:
    steps = steps_to_accuracy_of("new")
    assert finding((0.9, 0.9, 0.9), (0.8, 0.8, 0.8), steps) == "does not show"  # all at the third step
    assert finding((0.7, 0.6, 0.5), (0.8, 0.8, 0.8), steps) == "contradicted"
    claim = Claim("", "", steps, OLD, NEW)
    told = judge(claim, result(outcome("old", (0.7, 0.8, 0.5)), outcome("new", (0.8, 0.8, 0.8)))).figures
    assert told == "steps to the best of new: 3; 2 of 3 never (old), 3 ± 0 (new)"


def test_a_claim_without_any_figures_has_too_few() -> None:
    assert finding((), (), STEP_TIME) == "too few seeds"


def test_a_run_that_died_at_once_has_an_infinite_gradient_and_no_finite_steps() -> None:
    dead = outcome("old", (0.1,))
    found = result(dead, outcome("new", (0.8,)))
    assert gradient_of("conv_1").of(found, dead) == (math.inf,)
    assert steps_to_accuracy_of("new").of(found, dead) == (math.inf,)


def literal_chance(less: list[float], more: list[float]) -> float:
    """By going through every division, ranks of equal values shared."""
    values = [*less, *more]
    ranks = [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]
    observed = sum(ranks[len(less) :])
    sums = [sum(ranks[i] for i in chosen) for chosen in combinations(range(len(values)), len(more))]
    return sum(total >= observed for total in sums) / len(sums)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]),
        ([1.0, 1.0, 1.0, 2.0], [1.0, 2.0, 2.0]),
        ([5.0, 4.0, math.inf], [math.inf, math.inf, 1.0]),
        ([0.5], [0.1, 0.7, 0.7, 0.9]),
        ([3.0, 1.0, 2.0, 9.0, 4.0], [8.0, 7.0, 6.0, 5.0, 0.0]),
    ],
)
def test_the_chance_is_that_of_going_through_every_division(less: list[float], more: list[float]) -> None:
    assert chance(less, more) == literal_chance(less, more)

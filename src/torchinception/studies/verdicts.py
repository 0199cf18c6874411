"""Whether a claim shows in what was measured: by a rule, not by eye."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torchinception.studies.records import Result
from torchinception.studies.study import Claim

CLEAR = 0.05  # chance at or below which two sets of figures differ; three seeds each reach it only if none overlap
RULE = (
    "A claim says that a figure is smaller in one variant than in another. It **shows** if, of all ways to divide the "
    "figures of both into two sets of such sizes, at most one in twenty parts small from large as clearly (an exact "
    "rank-sum test, one-sided; with three seeds a variant: if every figure of the one is below every figure of the "
    "other). It is **contradicted** if the reverse holds by the same rule, and else **does not show**: whichever way "
    "the means differ, seeds alone could have done it. One or two seeds are too few for a "
    "verdict. Parameters and multiply-adds are exact and just compared. Where "
    "a claim is that something does no harm, it allows for a stated margin. Each verdict may be wrong once in twenty."
)
Finding = Literal["shows", "does not show", "contradicted", "too few seeds"]


@dataclass(frozen=True)
class Verdict:
    """A claim, what came of it, and the figures that it rests on."""

    claim: Claim
    finding: Finding
    less: tuple[float, ...]
    more: tuple[float, ...]

    @property
    def figures(self) -> str:
        """Both sides in words."""
        measure = self.claim.measure
        sides = ((self.claim.less.name, self.less), (self.claim.more.name, self.more))
        return f"{measure.heading}: " + ", ".join(f"{measure.describe(values)} ({name})" for name, values in sides)


def judge(claim: Claim, result: Result) -> Verdict:
    """By `RULE`."""
    less, more = (claim.measure.of(result, result.outcome(variant.name)) for variant in (claim.less, claim.more))
    raised = tuple(value + claim.margin for value in more)
    if claim.measure.exact:
        shows, reverse = less[0] < raised[0], less[0] > raised[0]
    elif math.comb(len(less) + len(more), len(more)) * CLEAR < 1:  # not even the clearest order would do
        return Verdict(claim, "too few seeds", less, more)
    else:
        shows, reverse = chance(less, raised) <= CLEAR, chance(raised, less) <= CLEAR
    finding: Finding = "shows" if shows else "contradicted" if reverse else "does not show"
    return Verdict(claim, finding, less, more)


def chance(less: Sequence[float], more: Sequence[float]) -> float:
    """Of all ways to divide these values in two, the fraction that puts as high ranks into the second set.

    >>> chance([1, 2, 3], [4, 5, math.inf]), chance([1, 1], [1, 1])
    (0.05, 1.0)
    """
    values = sorted([*less, *more])
    rank = {value: 2 * values.index(value) + values.count(value) for value in values}  # equal values share their ranks
    ways = Counter({(0, 0): 1})  # to have put so many into the second set, with such a sum of ranks
    for value in values:
        for (count, total), number in list(ways.items()):
            ways[count + 1, total + rank[value]] += number
    observed = sum(rank[value] for value in more)
    as_high = sum(number for (count, total), number in ways.items() if count == len(more) and total >= observed)
    return as_high / math.comb(len(values), len(more))

"""What a benchmark found: the times of every side in every round, and what follows from them."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one side is as another: the median of the rounds' ratios, and their 10 to 90 % range."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One side of a case.

    Args:
        side: its name.
        kind: "ours", "peer" (another library's network in PyTorch) or "runtime" (the same in a runtime).
        version: of what computes.
        problem: why it was not timed; nothing if it was.
        error: its largest difference from float64 PyTorch over the largest logit.
        top1: the fraction of pictures whose likeliest class is float64's.
        load_seconds: from the file of weights, or the exported one, to the first answers, imports left out.
        memory_bytes: by how much its process grew at its peak, counted from after the imports.
        idle: the share of the time between its turns in which its process computed all the same.
        seconds: of a call, in each round.
    """

    side: str
    kind: str
    version: str = ""
    problem: str = ""
    error: float | None = None
    top1: float | None = None
    load_seconds: float | None = None
    memory_bytes: int | None = None
    idle: float | None = None
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Case:
    """One network, number of pictures a call and number of threads; its sides took turns, round after round.

    Args:
        network: its name, or the model's.
        size_px: the side of its pictures.
        batch: pictures a call.
        threads: of every side.
        clock: "CPU time" or "wall time".
        macs: multiply-adds of one picture.
        peak_flops: operations a second of a large matrix product, in each round; none if it could not be measured.
        blas: what computed that product.
        reference: the side that the others are compared with; none if no side could be timed.
        rows: every side, in the order of their definition.
        notes: what a reader has to know besides.
    """

    network: str
    size_px: int
    batch: int
    threads: int
    clock: str
    macs: int
    peak_flops: tuple[float, ...]
    blas: str
    reference: str | None
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def timed(self) -> tuple[Row, ...]:
        """The sides that were timed, the fastest first."""
        return tuple(sorted((row for row in self.rows if row.seconds), key=lambda row: statistics.median(row.seconds)))

    def milliseconds(self, row: Row) -> float:
        """A picture's, the median of the rounds."""
        return 1000 * statistics.median(row.seconds) / self.batch

    def speed(self, row: Row) -> Ratio | None:
        """Beside the reference."""
        reference = next((other for other in self.rows if other.side == self.reference), None)
        return compare(reference.seconds, row.seconds) if reference and row.seconds else None

    def fraction_of_peak(self, row: Row) -> float | None:
        """What its multiply-adds come to in operations a second, of those of the matrix product in its best round."""
        if not (row.seconds and self.peak_flops):
            return None
        return 2 * self.macs * self.batch / statistics.median(row.seconds) / max(self.peak_flops)

    def best(self, kind: str) -> Row | None:
        """The fastest side of a kind."""
        return next((row for row in self.timed if row.kind == kind), None)

    @property
    def best_beside_runtimes(self) -> Ratio | None:
        """The best of ours beside the best that a runtime does with the other library's network."""
        ours, theirs = self.best("ours"), self.best("runtime")
        return compare(theirs.seconds, ours.seconds) if ours and theirs else None

    def to_json(self) -> dict[str, Any]:
        """Every time of every round, and what follows from them."""
        rows = []
        for row in self.rows:
            speed = self.speed(row)
            found = dict(
                ms_per_picture=self.milliseconds(row) if row.seconds else None,
                speed=asdict(speed) if speed else None,
                fraction_of_peak=self.fraction_of_peak(row),
            )
            rows.append(asdict(row) | found)
        best = self.best_beside_runtimes
        return asdict(self) | dict(rows=rows, best_beside_runtimes=asdict(best) if best else None)


def compare(reference: Sequence[float], seconds: Sequence[float]) -> Ratio:
    """Times of the same rounds -> how many times as fast the second is: above 1, if it takes less.

    >>> compare([2.0, 2.0, 8.0], [1.0, 4.0, 2.0])
    Ratio(median=2.0, low=0.5, high=4.0)
    """
    ratios = sorted(a / b for a, b in zip(reference, seconds, strict=True))
    low, high = (ratios[round(q * (len(ratios) - 1))] for q in (0.1, 0.9))
    return Ratio(statistics.median(ratios), low, high)

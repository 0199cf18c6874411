"""Whether 8 bits are good enough: the same pictures by two engines, and limits to what may differ."""

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from torchinception.engines.engine import Engine
from torchinception.errors import UsageError

ROUNDS = 11  # of timing, the two in turn


@dataclass(frozen=True)
class Int8Parity:
    """How an engine in 8 bits compares with one in fp32.

    Accuracies are None where the pictures' classes are not known. `logits_error` is the largest difference of two
    logits, of the largest logit; infinite or no number if a logit of either engine is. Milliseconds are those of a
    picture: of the median call of `batch` pictures with `threads` threads.
    """

    name: str
    version: str
    pictures: int
    agreement: float
    accuracy_fp32: float | None
    accuracy_int8: float | None
    logits_error: float
    milliseconds_fp32: float
    milliseconds_int8: float
    batch: int
    threads: int
    max_loss: float  # in points, which are hundredths

    @property
    def loss_points(self) -> float:
        """What the limit is on: accuracy lost, or without classes pictures that are named otherwise."""
        if self.accuracy_fp32 is None or self.accuracy_int8 is None:
            return 100 * (1 - self.agreement)
        return 100 * (self.accuracy_fp32 - self.accuracy_int8)

    @property
    def finite(self) -> bool:
        """Whether all logits are numbers."""
        return math.isfinite(self.logits_error)

    @property
    def accepted(self) -> bool:
        """Whether that is within the limit, and all logits are numbers."""
        within = self.loss_points <= self.max_loss + 1e-9  # 0.5 points of 200 pictures are one, and not a little more
        return within and self.finite

    @property
    def speedup(self) -> float:
        """How many times as fast as fp32."""
        return self.milliseconds_fp32 / self.milliseconds_int8

    def __str__(self) -> str:
        right = ""
        if self.accuracy_fp32 is not None and self.accuracy_int8 is not None:
            right = f"accuracy {self.accuracy_fp32:.2%} in fp32 and {self.accuracy_int8:.2%} in int8, "
        apart = f"logits differ by {self.logits_error:.1%} of the largest" if self.finite else "some logits not finite"
        return (
            f"int8 in {self.name} {self.version}: {right}same top-1 for {self.agreement:.2%} of {self.pictures} "
            f"pictures, {apart}; {self.milliseconds_int8:.3g} ms a picture instead of {self.milliseconds_fp32:.3g}, "
            f"{self.batch} at a time, {self.speedup:.2f} times as fast"
        )


def compare(
    fp32: Engine,
    int8: Engine,
    batches: Iterable[Tensor],
    labels: Tensor | None = None,
    *,
    max_loss: float = 0.5,
    batch: int = 1,
    advance: Callable[[int], None] | None = None,
) -> Int8Parity:
    """Run both engines on the same pictures, and time them on the first ones.

    Args:
        fp32: what is right.
        int8: what is to be compared.
        batches: uint8 (N, H, W, C) each, cut to size.
        labels: the class of each picture, int (total,), or None.
        max_loss: the limit, in points.
        batch: how many pictures a timed call takes.
        advance: hears how many pictures are done.

    Raises:
        UsageError: no pictures.
    """
    guesses: list[Tensor] = []
    differences, scales = list[Tensor](), list[Tensor]()
    done = 0
    timed: Tensor | None = None
    for pictures in batches:
        right, found = fp32.run_uint8(pictures), int8.run_uint8(pictures)
        guesses.append(torch.stack([right.argmax(1), found.argmax(1)]))
        differences.append((found - right).abs().max())
        scales.append(right.abs().max())
        timed = pictures[:batch] if timed is None else timed
        done += len(pictures)
        if advance:
            advance(done)
    if timed is None:
        raise UsageError("no pictures to compare int8 with fp32 on")
    right, found = torch.cat(guesses, 1)
    of_fp32, of_int8 = _milliseconds((fp32, int8), timed.repeat(-(-batch // len(timed)), 1, 1, 1)[:batch])
    # Tensor.max keeps what is no number, as Python's max does not
    error = torch.stack(differences).max() / torch.stack(scales).max().clamp_min(torch.finfo(torch.float32).tiny)
    return Int8Parity(
        name=int8.name,
        version=int8.version,
        pictures=len(right),
        agreement=_fraction(right == found),
        accuracy_fp32=None if labels is None else _fraction(right == labels),
        accuracy_int8=None if labels is None else _fraction(found == labels),
        logits_error=float(error),
        milliseconds_fp32=of_fp32 / batch,
        milliseconds_int8=of_int8 / batch,
        batch=batch,
        threads=int8.threads,
        max_loss=max_loss,
    )


def _fraction(which: Tensor) -> float:
    return int(which.sum()) / len(which)


def _milliseconds(engines: tuple[Engine, ...], pictures: Tensor) -> list[float]:
    """Of a call of each."""
    times = [list[float]() for _ in engines]
    for _ in range(ROUNDS + 1):  # the first is to warm up
        for engine, taken in zip(engines, times, strict=True):
            start = time.perf_counter()
            engine.run_uint8(pictures)
            taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken[1:]) for taken in times]

"""Whether probabilities mean what they say, in memory that does not grow with the pictures."""

import numpy as np
import torch
from torch import Tensor

from torchinception.evaluation.records import Bin, Calibration

BINS = 15  # arXiv:1706.04599, table 1
INVERSES = 2.0 ** (np.arange(-16, 17) / 4)  # of temperatures from 16 to 1/16
LEAST = -1e30  # instead of a logit of minus infinity, 0 times which would be no number


class Temperatures:
    """The losses that logits would have at a grid of temperatures, with their first and second derivatives.

    By b = 1 / temperature the loss is convex and smooth, so that three numbers at each of 33 places, summed while
    pictures go by, tell where it is least: between two places its slope is a cubic, known at both ends with its own
    slope. All is float64, and nothing is kept of a picture.
    """

    def __init__(self) -> None:
        self.pictures = 0
        self.sums = torch.zeros(3, len(INVERSES), dtype=torch.float64)

    def add(self, logits: Tensor, truth: Tensor) -> None:
        """Logits (N, classes) and positions (N,)."""
        self.pictures += len(logits)
        logits = logits.double()
        logits = (logits - logits.amax(1, keepdim=True)).clamp(min=LEAST)
        right = logits.gather(1, truth[:, None])[:, 0]
        for place, inverse in enumerate(INVERSES.tolist()):
            weights = (inverse * logits).exp()
            total = weights.sum(1)
            mean = (weights * logits).sum(1) / total
            square = (weights * logits * logits).sum(1) / total
            parts = (total.log() - inverse * right, mean - right, square - mean * mean)
            self.sums[:, place] += torch.stack([part.sum() for part in parts])

    def best(self) -> tuple[float | None, float | None]:
        """The temperature of the least loss, and that loss; None if it is outside the grid."""
        loss, slope, curve = (self.sums / max(1, self.pictures)).numpy()
        if not (np.isfinite(self.sums.numpy()).all() and slope[0] < 0 < slope[-1]):
            return None, None
        left = int(np.flatnonzero(slope < 0)[-1])
        ends = [left, left + 1]
        width = INVERSES[left + 1] - INVERSES[left]
        cubic = _hermite(*slope[ends], *(width * curve[ends]))
        low, high = 0.0, 1.0
        for _ in range(60):  # halvings, down to the last bit
            middle = (low + high) / 2
            low, high = (middle, high) if np.polyval(cubic, middle) < 0 else (low, middle)
        least = loss[left] + width * np.polyval(np.polyint(cubic), low)
        return float(1 / (INVERSES[left] + width * low)), float(least)


def _hermite(start: float, end: float, slope: float, end_slope: float) -> np.ndarray:
    """The cubic on 0 to 1 with these values and slopes at its ends, as `np.polyval` takes it."""
    return np.array([2 * (start - end) + slope + end_slope, 3 * (end - start) - 2 * slope - end_slope, slope, start])


def calibrate(confidence: Tensor, right: Tensor, temperatures: Temperatures) -> Calibration:
    """Probabilities of first guesses (N,), whether those were right (N,), and the summed losses.

    The bins are of equal width and hold their upper ends. (torchmetrics gives a probability of exactly 1, which is
    frequent in float32, a bin of its own.)
    """
    sure, hit = confidence.double().numpy(), right.double().numpy()
    place = np.clip(np.ceil(np.nan_to_num(sure) * BINS).astype(int) - 1, 0, BINS - 1)
    count, sum_sure, sum_hit = (np.bincount(place, weights, BINS) for weights in (None, sure, hit))
    bins = tuple(
        Bin(i / BINS, (i + 1) / BINS, int(n), float(s / n) if n else None, float(h / n) if n else None)
        for i, (n, s, h) in enumerate(zip(count, sum_sure, sum_hit, strict=True))
    )
    return Calibration(float(np.abs(sum_sure - sum_hit).sum() / len(sure)), bins, *temperatures.best())

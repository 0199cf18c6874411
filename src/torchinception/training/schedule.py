"""The learning rate from step to step, as a fraction of the recipe's `lr`; schedules are stated in epochs."""

import math

from torchinception.training.recipe import Schedule


def rate(step: int, steps: int, epochs: int, schedule: Schedule) -> float:
    """Fraction of the learning rate at `step` (from 0) of `steps`, which are `epochs` epochs.

    - `step`: times `factor` after every `every_epochs`, at once (TensorFlow's staircase).
    - `polynomial`: (1 - step / steps) ** power, as Caffe.
    - `cosine`: from the end of the warm-up down to 0.
    - `one-cycle` (arXiv:1708.07120): cosines from 1/25 up to 1 over `warmup_epochs`, then down to 4e-6.
    - `constant`.

    In the first `warmup_epochs`, but no longer than half of the run, the rate rises in a straight
    line up to the schedule (`one-cycle` rises in its own way).

    >>> [rate(step, 40, 4, Schedule(name="step", every_epochs=2)) for step in (0, 19, 20, 39)]
    [1.0, 1.0, 0.94, 0.94]
    """
    per_epoch = steps / epochs
    rise = min(schedule.warmup_epochs * per_epoch, steps / 2)
    if schedule.name == "one-cycle":
        if step < rise:
            return _cosine(1 / 25, 1, step / rise)
        return _cosine(1, 4e-6, (step - rise) / max(1, steps - 1 - rise))
    if step < rise:
        return _scheduled(min(math.ceil(rise), steps - 1), steps, per_epoch, rise, schedule) * (step + 1) / (rise + 1)
    return _scheduled(step, steps, per_epoch, rise, schedule)


def _scheduled(step: int, steps: int, per_epoch: float, rise: float, schedule: Schedule) -> float:
    if schedule.name == "step":
        return float(schedule.factor ** (step // (schedule.every_epochs * per_epoch)))
    if schedule.name == "polynomial":
        return float(max(0.0, 1 - step / steps) ** schedule.power)
    if schedule.name == "cosine":
        return _cosine(1, 0, (step - rise) / max(1, steps - rise))
    return 1.0


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1, max(0, fraction))))

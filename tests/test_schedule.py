import math

import pytest
import torch

from torchinception.training.recipe import Schedule
from torchinception.training.schedule import rate


@pytest.mark.parametrize(("every", "factor"), [(8, 0.96), (2, 0.94)])
def test_a_staircase_steps_at_the_first_step_of_an_epoch(every: int, factor: float) -> None:
    schedule, per_epoch = Schedule(name="step", every_epochs=every, factor=factor), 7
    found = [rate(step, 32 * per_epoch, 32, schedule) for step in range(32 * per_epoch)]
    assert found == [factor ** (step // (every * per_epoch)) for step in range(32 * per_epoch)]


def test_a_staircase_of_a_fraction_of_an_epoch_steps_within_it() -> None:
    schedule = Schedule(name="step", every_epochs=4 / 3, factor=0.5)
    found = [rate(step, 12, 4, schedule) for step in range(12)]  # 3 steps an epoch, so every 4 steps
    assert found == [1.0] * 4 + [0.5] * 4 + [0.25] * 4


def test_caffes_polynomial_at_its_edges() -> None:
    schedule = Schedule(name="polynomial", power=0.5)
    assert [rate(step, 100, 10, schedule) for step in (0, 75, 99, 100)] == [1.0, 0.5, math.sqrt(1 - 0.99), 0.0]


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_a_cosine_rises_to_1_and_falls_to_0(warmup: int) -> None:
    schedule = Schedule(name="cosine", warmup_epochs=warmup)
    found = [rate(step, 100, 10, schedule) for step in range(101)]
    rise = 10 * warmup
    assert found[:rise] == pytest.approx([(step + 1) / (rise + 1) for step in range(rise)], abs=1e-15)
    expected = [0.5 * (1 + math.cos(math.pi * (step - rise) / (100 - rise))) for step in range(rise, 101)]
    assert found[rise:] == pytest.approx(expected, abs=1e-15)
    assert (found[rise], found[100]) == (1.0, 0.0)


def test_one_cycle_is_torchs() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 1.0)
    # torch counts the rise so that it ends one step before its fraction of all steps
    peer = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=100, pct_start=31 / 100, cycle_momentum=False, final_div_factor=1e4
    )
    expected = []
    for _ in range(100):
        expected.append(peer.get_last_lr()[0])
        optimizer.step()
        if len(expected) < 100:
            peer.step()
    schedule = Schedule(name="one-cycle", warmup_epochs=3)
    assert [rate(step, 100, 10, schedule) for step in range(100)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["cosine", "step", "polynomial", "one-cycle", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
@pytest.mark.parametrize("warmup", [0, 1, 100])
def test_every_rate_is_positive_and_at_most_1(name: str, steps: int, warmup: int) -> None:
    schedule = Schedule.model_validate(dict(name=name, warmup_epochs=warmup))
    found = [rate(step, steps, 1, schedule) for step in range(steps)]
    assert all(0 < value <= 1 for value in found)


def test_a_warm_up_takes_at_most_half_of_the_run() -> None:
    found = [rate(step, 40, 4, Schedule(name="constant", warmup_epochs=100)) for step in range(40)]
    assert (found.index(1.0), found[19]) == (20, 20 / 21)


def test_a_warm_up_leads_to_where_the_staircase_then_is() -> None:
    schedule = Schedule(name="step", every_epochs=1, factor=0.5, warmup_epochs=2)
    assert [rate(step, 80, 8, schedule) for step in (20, 29, 30)] == [0.25, 0.25, 0.125]
    assert rate(19, 80, 8, schedule) == 0.25 * 20 / 21

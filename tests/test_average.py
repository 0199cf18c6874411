import pytest
import torch
from torch import Tensor

from torchinception.models import Inception, create
from torchinception.training.average import RunningAverage
from torchinception.training.recipe import Average


def follow(settings: Average, steps: int) -> tuple[RunningAverage, list[dict[str, Tensor]]]:
    """The average and every state that it was shown."""
    torch.manual_seed(0)
    net = create("tiny_inception", 3).double()
    average, states = RunningAverage(net, settings), [copied(net)]
    for step in range(steps):
        with torch.no_grad():
            for tensor in net.state_dict().values():
                if tensor.is_floating_point():
                    tensor += torch.randn_like(tensor)
                else:
                    tensor.fill_(step + 1)
        average.update(net)
        states.append(copied(net))
    return average, states


def copied(net: Inception) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9999])
def test_ema_is_its_formula_with_tensorflows_ramp(decay: float) -> None:
    average, states = follow(Average(name="ema", decay=decay), 20)
    for name, found in average.net.state_dict().items():
        if not found.is_floating_point():
            continue
        expected = states[0][name]
        for n, state in enumerate(states[1:], 1):
            d = min(decay, (1 + n) / (10 + n))
            expected = d * expected + (1 - d) * state[name]
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)  # float64


def test_polyak_is_the_mean_of_all_steps() -> None:
    average, states = follow(Average(name="polyak"), 20)
    for name, found in average.net.state_dict().items():
        if found.is_floating_point():
            expected = torch.stack([state[name] for state in states[1:]]).mean(0)
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)  # float64


def test_batch_norms_statistics_are_averaged_and_its_counter_is_copied() -> None:
    average, states = follow(Average(name="polyak"), 4)
    found = average.net.state_dict()
    mean, counter = (next(n for n in found if n.endswith(end)) for end in ("running_mean", "num_batches_tracked"))
    assert not torch.equal(found[mean], states[-1][mean])
    assert int(found[counter]) == 4


def test_an_average_stays_in_evaluation_mode_and_asks_for_no_gradients() -> None:
    average, _ = follow(Average(name="ema"), 1)
    average.train()
    assert not any(module.training for module in average.modules())
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_an_average_goes_on_from_its_state() -> None:
    whole, states = follow(Average(name="ema", decay=0.5), 6)
    net = create("tiny_inception", 3).double()
    net.load_state_dict(states[0])
    first = RunningAverage(net, Average(name="ema", decay=0.5))
    for state in states[1:4]:
        net.load_state_dict(state)
        first.update(net)
    second = RunningAverage(net, Average(name="ema", decay=0.5))
    second.load_state_dict(first.state_dict())
    for state in states[4:]:
        net.load_state_dict(state)
        second.update(net)
    assert all(
        torch.equal(a, b) for a, b in zip(second.state_dict().values(), whole.state_dict().values(), strict=True)
    )

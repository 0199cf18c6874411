import math

import pytest
import torch
from torch import nn

from torchinception.models import create
from torchinception.training.optimizer import RMSProp, build_optimizer, decay_groups
from torchinception.training.recipe import Optimizer


def literal(
    weight: float, gradients: list[float], rates: list[float], decay: float, momentum: float, eps: float, fade: float
) -> list[float]:
    """TensorFlow's ApplyRMSProp, one number at a time, in Python's float64."""
    square, moment, path = 1.0, 0.0, []
    for gradient, lr in zip(gradients, rates, strict=True):
        gradient += fade * weight
        square = decay * square + (1 - decay) * gradient * gradient
        moment = momentum * moment + lr * gradient / math.sqrt(square + eps)
        weight = weight - moment
        path.append(weight)
    return path


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("eps", [1.0, 1e-3])
@pytest.mark.parametrize("fade", [0.0, 4e-5])
def test_rmsprop_is_tensorflows_over_100_steps(momentum: float, eps: float, fade: float) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(100, 7, dtype=torch.float64, generator=generator) * torch.logspace(-3, 3, 7)
    start = torch.randn(7, dtype=torch.float64, generator=generator)
    rates = [0.045 * 0.94 ** (step // 10) for step in range(100)]
    weight = nn.Parameter(start.clone())
    optimizer = RMSProp([weight], 1.0, decay=0.9, momentum=momentum, eps=eps, weight_decay=fade)
    path = []
    for gradient, lr in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        weight.grad = gradient.clone()
        optimizer.step()
        path.append(weight.detach().clone())
    expected = torch.tensor(
        [
            literal(float(w), g.tolist(), rates, 0.9, momentum, eps, fade)
            for w, g in zip(start, gradients.T, strict=True)
        ],
        dtype=torch.float64,
    ).T
    torch.testing.assert_close(torch.stack(path), expected, rtol=0, atol=1e-12)  # weights of the order of 1


def test_torchs_rmsprop_is_another_algorithm() -> None:
    first, second = (nn.Parameter(torch.ones(1)) for _ in range(2))
    ours = RMSProp([first], 0.1, decay=0.9, momentum=0.9, eps=1.0)
    theirs = torch.optim.RMSprop([second], 0.1, alpha=0.9, momentum=0.9, eps=1.0)
    for weight, optimizer in ((first, ours), (second, theirs)):
        weight.grad = torch.ones(1)
        optimizer.step()
    assert abs(float(first.detach() - second.detach())) > 0.001


def test_rmsprop_goes_on_from_its_state() -> None:
    def walk(steps: int, state: dict[str, object] | None = None, start: float = 1.0) -> tuple[float, dict[str, object]]:
        weight = nn.Parameter(torch.tensor([start]))
        optimizer = RMSProp([weight], 0.1, momentum=0.9)
        if state:
            optimizer.load_state_dict(state)
        for _ in range(steps):
            weight.grad = weight.detach() ** 2
            optimizer.step()
        return float(weight.detach()), optimizer.state_dict()

    half, state = walk(3)
    assert walk(2, state, half)[0] == walk(5)[0]


def test_rmsprop_leaves_parameters_without_a_gradient() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = RMSProp([used, unused], 0.1, weight_decay=0.1)
    used.grad = torch.ones(2)
    optimizer.step()
    assert (bool((used != 1).all()), unused.tolist()) == (True, [1.0, 1.0])


@pytest.mark.parametrize("network", ["googlenet", "inception_v3", "xception", "inception_resnet_v2"])
def test_weight_decay_is_on_every_weight_and_never_on_biases_or_batch_norm(network: str) -> None:
    with torch.device("meta"):
        net = create(network, 5, aux=True)
    decayed, spared = decay_groups(net.parameters(), 1e-3)
    expected = {id(module.weight) for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    assert {id(p) for p in decayed["params"]} == expected
    assert len(decayed["params"]) + len(spared["params"]) == len(list(net.parameters()))
    assert (decayed["weight_decay"], spared["weight_decay"]) == (1e-3, 0.0)


@pytest.mark.parametrize(
    ("settings", "expected", "options"),
    [
        (
            Optimizer(name="sgd", lr=0.3, momentum=0.8, nesterov=True),
            torch.optim.SGD,
            dict(momentum=0.8, nesterov=True),
        ),
        (Optimizer(name="sgd", momentum=0.0, nesterov=True), torch.optim.SGD, dict(momentum=0.0, nesterov=False)),
        (Optimizer(name="rmsprop", eps=1.0, momentum=0.5), RMSProp, dict(eps=1.0, momentum=0.5, decay=0.9)),
        (Optimizer(name="adamw", betas=(0.8, 0.9), eps=1e-6), torch.optim.AdamW, dict(betas=(0.8, 0.9), eps=1e-6)),
    ],
)
def test_a_recipe_gets_the_optimizer_it_names(
    settings: Optimizer, expected: type[torch.optim.Optimizer], options: dict[str, object]
) -> None:
    optimizer = build_optimizer(create("tiny_inception"), settings)
    assert type(optimizer) is expected
    group = optimizer.param_groups[0]
    assert {key: group[key] for key in options} == options
    assert (group["lr"], group["weight_decay"]) == (settings.lr, settings.weight_decay)

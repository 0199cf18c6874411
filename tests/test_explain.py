import copy

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion
from data_fixtures import noise, tiny_classifier
from torch import Tensor, nn

from torchinception.explaining import attribution, explain
from torchinception.explaining.attribution import gradcam, integrated_gradients, layer_activations, occlusion
from torchinception.models import Inception, create
from torchinception.progress import Listener

# one of each kind: batch norm, local response normalization, separable and residual; all with ReLUs in place
STAGES = [
    ("tiny_inception", 28, "conv_1"),
    ("tiny_inception", 28, "inception_2a"),
    ("tiny_inception", 28, "inception_3b"),
    ("googlenet", 64, "inception_4a"),
    ("inception_v3", 75, "mixed_6a"),
    ("xception", 71, "block_2"),
    ("inception_resnet_v1", 75, "conv_4a"),
]
FEW = [STAGES[1], STAGES[3], STAGES[6]]


class Heard(Listener):
    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def progress(self, task: str, done: int, total: int, **figures: float) -> None:
        self.told.append((task, done, total))


def network(name: str, classes: int = 5) -> Inception:
    """Random weights, biases and statistics: with fresh ones alone a network is linear along a line from grey."""
    torch.manual_seed(0)
    net = create(name, classes)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.normal_(module.bias, std=0.3)
    return net.eval()


def inputs(count: int, size: int) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def in_float64(net: Inception) -> Inception:
    """A copy in which nothing is written over."""
    found = copy.deepcopy(net).double()
    for module in found.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return found


def distance(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a fraction of the largest value."""
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize(("name", "size", "stage"), STAGES)
def test_gradcam_is_captums_on_the_whole_network(name: str, size: int, stage: str) -> None:
    net, x, targets = network(name), inputs(1, size).repeat(5, 1, 1, 1), torch.arange(5)
    expected = (
        LayerGradCam(net, net.trunk.get_submodule(stage))
        .attribute(x.clone().requires_grad_(), target=targets, relu_attributions=True)[:, 0]
        .detach()
    )
    assert expected.max() > 0
    # the same operations; those of a batch may be summed in another order
    assert distance(gradcam(net, x, targets, stage), expected) < 1e-5


@pytest.mark.parametrize(("name", "size", "stage"), STAGES)
def test_gradcam_is_the_papers_formula_in_float64(name: str, size: int, stage: str) -> None:
    net, x = network(name), inputs(1, size)
    exact, features, y = in_float64(net), torch.empty(0), x.double()
    for found, module in exact.trunk.named_children():
        y = module(y)
        if found == stage:
            features = y
            y = y * 1  # a copy, should a later layer write over it
    logits, expected = exact.classifier(y.mean((2, 3)))[0], []
    for logit in logits:
        (gradient,) = torch.autograd.grad(logit, features, retain_graph=True)
        channels, height, width = gradient.shape[1:]
        alpha = [gradient[0, k].sum() / (height * width) for k in range(channels)]  # equation 1
        combined = sum((alpha[k] * features[0, k] for k in range(channels)), torch.zeros(height, width))
        expected.append(combined.clamp(min=0).detach())  # equation 2
    assert max(one.max() for one in expected) > 0
    found = gradcam(net, x.repeat(5, 1, 1, 1), torch.arange(5), stage)
    # float32 through up to 100 layers
    assert distance(found.double(), torch.stack(expected)) < 1e-4


@pytest.mark.parametrize(("name", "size", "_stage"), FEW)
def test_integrated_gradients_are_captums(name: str, size: int, _stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "STEPS", (16,))
    net, x = network(name), inputs(1, size)
    expected = IntegratedGradients(net).attribute(x, target=2, n_steps=16)
    found, _ = integrated_gradients(net, x, 2)
    assert distance(found, expected[0]) < 1e-4  # summed in other batches


@pytest.mark.parametrize(("name", "size", "_stage"), FEW)
def test_integrated_gradients_are_the_papers_integral_in_float64(
    name: str, size: int, _stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribution, "STEPS", (16,))
    net, x = network(name), inputs(1, size)
    exact, expected = in_float64(net), torch.zeros(3, size, size, dtype=torch.float64)
    for place, weight in zip(*np.polynomial.legendre.leggauss(16), strict=True):
        point = ((place + 1) / 2 * x.double()).requires_grad_()
        (gradient,) = torch.autograd.grad(exact(point)[0, 2], point)
        expected += weight / 2 * gradient[0] * x[0]
    found, _ = integrated_gradients(net, x, 2)
    # a ReLU that is at zero to within float32 may be on the other side in float64, at single places of the path
    assert torch.nn.functional.cosine_similarity(found.double().flatten(), expected.flatten(), 0) > 1 - 1e-6


def test_integrated_gradients_of_a_network_of_full_size_sum_to_the_difference_within_1_percent() -> None:
    net, x = network("inception_v3", 10), inputs(1, 139)
    with torch.no_grad():
        logits = net(x)[0]
        target = int(logits.argmax())
        difference = (logits - net(torch.zeros_like(x))[0])[target].item()
    found, gap = integrated_gradients(net, x, target)
    assert gap <= 0.01
    assert found.sum(dtype=torch.float64).item() == pytest.approx(difference, rel=0.01)


def test_more_steps_are_taken_until_the_gap_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, heard = network("tiny_inception"), inputs(1, 28), Heard()
    monkeypatch.setattr(attribution, "STEPS", (1, 512))
    _, gap = integrated_gradients(net, x, 2, heard)
    assert {task for task, _, _ in heard.told} == {f"Integrated gradients, {n} steps" for n in (1, 512)}
    monkeypatch.setattr(attribution, "STEPS", (1,))
    assert gap < integrated_gradients(net, x, 2)[1]


def test_occlusion_is_captums_and_the_mean_fall_of_the_logit() -> None:
    net, x = network("tiny_inception"), inputs(1, 28)
    found = occlusion(net, x, 2)
    captums = Occlusion(net).attribute(x, (3, 4, 4), strides=(3, 2, 2), target=2)[0, 0]
    assert distance(found, captums) < 1e-4  # other batches
    falls, covered = torch.zeros(28, 28), torch.zeros(28, 28)
    with torch.no_grad():
        for top in range(0, 25, 2):
            for left in range(0, 25, 2):
                y = x.clone()
                y[..., top : top + 4, left : left + 4] = 0
                falls[top : top + 4, left : left + 4] += (net(x) - net(y))[0, 2]
                covered[top : top + 4, left : left + 4] += 1
    assert distance(found, falls / covered) < 1e-4


@pytest.mark.parametrize(("name", "size", "stage"), STAGES)
def test_layer_activations_are_the_mean_size_of_a_stages_channels(name: str, size: int, stage: str) -> None:
    net, x = network(name), inputs(2, size)
    with torch.no_grad():
        expected = net.endpoints(x, [stage])[stage].abs().mean(1)
    assert torch.equal(layer_activations(net, x, stage), expected)


def test_no_more_pictures_than_memory_is_meant_for_go_through_the_network_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attribution, "PIXELS", 4 * 28**2)
    net, x, counts = network("tiny_inception"), inputs(1, 28), list[int]()
    net.register_forward_pre_hook(lambda _, given: counts.append(len(given[0])))
    integrated_gradients(net, x, 2)
    assert max(counts) == 4
    counts.clear()
    occlusion(net, x, 2)
    assert max(counts) == 8  # nothing is kept for a way back


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_what_takes_long_tells_how_far_it_is(method: str) -> None:
    heard = Heard()
    explain(tiny_classifier("a", "b"), noise(1, 40, 40), method, listener=heard)
    task, done, total = heard.told[-1]
    assert done == total > 1
    assert [d for t, d, _ in heard.told if t == task] == sorted(d for t, d, _ in heard.told if t == task)

"""Activation checkpointing changes memory and time, and not one bit of what is computed."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from torchinception.models import Inception, create
from torchinception.training.average import RunningAverage
from torchinception.training.recipe import Average

CASES = {"tiny_inception": 28, "googlenet": 63, "googlenet_bn": 224, "inception_v3": 75}
HEADED = "googlenet_bn"  # with dropout in the heads; those of Inception-v3 need larger pictures than are quick
LABELS = torch.tensor([0, 1])


def twins(name: str) -> tuple[Inception, Inception]:
    """The same network without and with checkpointing, with auxiliary heads."""
    torch.manual_seed(0)
    plain = create(name, classes=5, aux=name == HEADED).to(memory_format=torch.channels_last)
    thrifty = copy.deepcopy(plain)
    thrifty.activation_checkpointing = True
    return plain, thrifty


def draw(name: str) -> Tensor:
    return torch.randn(2, 3, CASES[name], CASES[name], generator=torch.Generator().manual_seed(1))


def loss(net: Inception, pictures: Tensor) -> Tensor:
    logits, opinions = net(pictures, aux=True)
    return sum((cross_entropy(opinion, LABELS) for opinion in opinions.values()), cross_entropy(logits, LABELS))


def train(net: Inception, pictures: Tensor) -> list[Tensor]:
    """Three steps with dropout; all losses, weights, statistics, counts and last gradients."""
    torch.manual_seed(2)
    optimizer, losses = torch.optim.SGD(net.parameters(), 0.01, 0.9), []
    for _ in range(3):
        optimizer.zero_grad()
        losses.append(loss(net, pictures))
        losses[-1].backward()
        optimizer.step()
    gradients = [weight.grad for weight in net.parameters() if weight.grad is not None]
    return [*losses, *net.state_dict().values(), *gradients, torch.get_rng_state()]


def kept_bytes(net: Inception, pictures: Tensor) -> int:
    """Of tensors, besides weights, that the graph holds when a forward pass ends."""
    found = {}

    def keep(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        answer = net(pictures)
    weights = {weight.untyped_storage().data_ptr() for weight in net.parameters()}
    assert answer.requires_grad
    return sum(tensor.untyped_storage().nbytes() for key, tensor in found.items() if key not in weights)


@pytest.mark.parametrize("name", CASES)
def test_three_steps_end_with_the_same_bits(name: str) -> None:
    plain, thrifty = twins(name)
    pictures = draw(name)

    expected, found = train(plain, pictures), train(thrifty, pictures)

    assert len(expected) == len(found)
    assert all(map(torch.equal, expected, found))


@pytest.mark.parametrize("name", CASES)
def test_a_forward_pass_keeps_less_than_half(name: str) -> None:
    plain, thrifty = twins(name)
    pictures = draw(name)

    assert kept_bytes(thrifty, pictures) < kept_bytes(plain, pictures) / 2


def test_a_graph_that_is_kept_can_be_gone_back_over_twice() -> None:
    found = []
    for net in twins("tiny_inception"):
        total = loss(net, draw("tiny_inception"))
        total.backward(retain_graph=True)
        total.backward()
        found.append([*net.state_dict().values(), *(weight.grad for weight in net.parameters())])

    assert all(map(torch.equal, *found))


def test_a_step_leaves_the_buffers_where_they_were() -> None:
    net = twins("tiny_inception")[1]
    before = dict(net.named_buffers())

    train(net, draw("tiny_inception"))

    assert all(buffer is before[name] for name, buffer in net.named_buffers())
    assert {int(count) for name, count in before.items() if name.endswith("num_batches_tracked")} == {3}


def test_evaluation_mode_and_a_pass_without_gradients_keep_nothing_to_compute_again() -> None:
    plain, thrifty = twins("tiny_inception")
    pictures = draw("tiny_inception")
    calls: list[str] = []
    for stage in thrifty.trunk:
        stage.register_forward_hook(lambda *_: calls.append("stage"))

    thrifty.eval()(pictures).sum().backward()

    assert len(calls) == len(thrifty.trunk)
    with torch.no_grad():
        thrifty.train()(pictures)
        plain(pictures)
    assert all(map(torch.equal, plain.state_dict().values(), thrifty.state_dict().values()))


def test_it_is_copied_with_the_network_but_no_part_of_its_weights() -> None:
    plain, thrifty = twins("tiny_inception")

    assert copy.deepcopy(thrifty).activation_checkpointing
    assert RunningAverage(thrifty, Average(name="ema")).net.activation_checkpointing
    assert thrifty.state_dict().keys() == plain.state_dict().keys()

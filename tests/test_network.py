"""What every network does, one suite over every row of `NETWORKS`: a new row gets every check."""

import copy
import pickle
from collections.abc import Callable
from typing import NoReturn

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from torchinception.errors import UsageError
from torchinception.models import NETWORKS, Inception, create
from torchinception.network import describe_sizes

HEADED = [name for name, spec in NETWORKS.items() if spec.aux]
LABELS = torch.tensor([0, 1])
Answer = tuple[Tensor, dict[str, Tensor]]


@pytest.fixture(scope="module", params=NETWORKS)
def net(request: pytest.FixtureRequest) -> Inception:
    """A network of 5 classes with its heads, if it has any; only look at it, or change a copy."""
    torch.manual_seed(0)
    return create(request.param, classes=5, aux=True).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pictures(net: Inception) -> Tensor:
    """Two, larger than the smallest by the stride of the whole trunk: the last grid has 2x2 cells or more."""
    return draw(net.min_size + 32)


@pytest.fixture(scope="module")
def suited(net: Inception) -> Tensor:
    """Two that are large enough for the auxiliary heads too."""
    return draw(max(net.min_size + 32, net.aux_sizes.start))


@pytest.fixture(scope="module")
def answer(net: Inception, suited: Tensor) -> Answer:
    """The logits of one picture, and the heads'."""
    return net(suited[:1], aux=True)


@pytest.fixture(scope="module")
def logits(net: Inception, pictures: Tensor) -> Tensor:
    return net(pictures)


def draw(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))


def refuse(*_: object) -> NoReturn:
    raise AssertionError("this module was not to run")


def test_every_parameter_gets_a_gradient(net: Inception, suited: Tensor) -> None:
    net = copy.deepcopy(net).train().requires_grad_()

    logits, opinions = net(suited, aux=True)
    sum(cross_entropy(opinion, LABELS) for opinion in (logits, *opinions.values())).backward()

    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(net: Inception, pictures: Tensor) -> None:
    net, pictures = copy.deepcopy(net).double(), pictures.double()

    together = net(pictures)
    alone = torch.cat([net(picture[None]) for picture in pictures])

    # float64 carries 16 digits; sums of a few thousand terms, in another order, leave 12 of them alike
    assert (together - alone).abs().max() <= 1e-12 * together.abs().max()


def test_heads_do_not_change_the_logits(net: Inception, suited: Tensor, answer: Answer) -> None:
    plain = create(net.name, classes=5, initialize=False).eval()
    plain.load_state_dict({key: value for key, value in net.state_dict().items() if not key.startswith("aux.")})

    assert torch.equal(answer[0], plain(suited[:1]))


def test_heads_answer_by_the_stage_they_hang_on(net: Inception, answer: Answer) -> None:
    opinions = {stage: opinion.shape for stage, opinion in answer[1].items()}

    assert opinions == dict.fromkeys(NETWORKS[net.name].aux, (1, 5))


@pytest.mark.parametrize("net", HEADED, indirect=True)
def test_evaluation_never_runs_the_heads(net: Inception, pictures: Tensor) -> None:
    guarded = copy.deepcopy(net)
    for head in guarded.aux.values():
        head.register_forward_pre_hook(refuse)

    assert guarded(pictures).shape == (2, 5)


@pytest.mark.parametrize("net", HEADED, indirect=True)
def test_heads_change_the_gradient_of_the_first_convolution(net: Inception, suited: Tensor) -> None:
    net = copy.deepcopy(net).requires_grad_()  # in evaluation mode: dropout would change it too
    first = next(net.trunk.parameters())

    logits, opinions = net(suited[:1], aux=True)
    main, *others = (cross_entropy(opinion, LABELS[:1]) for opinion in (logits, *opinions.values()))
    total = main + NETWORKS[net.name].aux_weight * sum(others)
    (without,) = torch.autograd.grad(main, first, retain_graph=True)
    (with_heads,) = torch.autograd.grad(total, first)

    assert (with_heads - without).norm() > 1e-3 * without.norm()  # rounding changes less than 1e-5 of it


def test_endpoints_are_what_the_stages_put_out(net: Inception, pictures: Tensor, logits: Tensor) -> None:
    found = net.endpoints(pictures)

    expected, x = {}, draw(pictures.shape[-1])  # drawn anew: `endpoints` may not change the pictures
    for name, stage in net.trunk.named_children():
        x = stage(x)
        expected[name] = x.clone()  # before a later stage could change it in place
    assert list(found) == list(expected)
    assert [name for name, x in expected.items() if not torch.equal(found[name], x)] == []
    assert torch.equal(net.classifier(x.mean((2, 3))), logits)


def test_endpoints_stop_after_the_last_stage_asked_for(net: Inception, pictures: Tensor) -> None:
    first, second, third, *_ = net.trunk._modules

    with net.trunk.get_submodule(third).register_forward_pre_hook(refuse):
        assert list(net.endpoints(pictures, [second, first])) == [first, second]


def test_an_unknown_stage_is_refused_with_the_names_of_all(net: Inception, pictures: Tensor) -> None:
    stages = ", ".join(net.trunk._modules)

    with pytest.raises(UsageError, match=f"no stage named mixed_9z in {net.name}; stages: {stages}"):
        net.endpoints(pictures, ["mixed_9z"])


@pytest.mark.parametrize("call", [Inception.forward, Inception.endpoints])
def test_a_picture_too_small_is_refused_with_the_size_needed(
    net: Inception, call: Callable[..., object], pictures: Tensor
) -> None:
    side = net.min_size

    with pytest.raises(UsageError, match=f"at least {side} px a side, not {side - 1}x{side + 32}"):
        call(net, pictures[:, :, : side - 1])


@pytest.mark.parametrize(
    "net", [name for name in HEADED if NETWORKS[name].aux_sizes.start > NETWORKS[name].min_size], indirect=True
)
def test_a_size_the_heads_cannot_take_is_refused_with_the_way_out(net: Inception) -> None:
    side = net.aux_sizes.start - 1

    with pytest.raises(
        UsageError, match=f"take {describe_sizes(net.aux_sizes)} a side, not {side}x{side}; .*aux=False"
    ):
        net(draw(side), aux=True)


def test_a_pickled_network_gives_the_same_answer(net: Inception, pictures: Tensor, logits: Tensor) -> None:
    assert torch.equal(pickle.loads(pickle.dumps(net))(pictures), logits)


def test_an_exported_network_gives_the_same_answer_to_any_batch(net: Inception, pictures: Tensor) -> None:
    three = torch.cat([pictures, pictures[:1]])

    exported = torch.export.export(net, (pictures,), dynamic_shapes={"x": {0: torch.export.Dim("batch")}}).module()

    assert torch.equal(exported(three), net(three))


def test_a_compiled_network_is_one_graph_with_the_same_answer(net: Inception, pictures: Tensor, logits: Tensor) -> None:
    torch.compiler.reset()

    assert torch.equal(torch.compile(net, backend="eager", fullgraph=True)(pictures), logits)

from collections.abc import Callable

import pytest
import torch
from graph_fixtures import EXACT, draw, error, filled, kinds, menagerie
from torch import Tensor, nn

from torchinception.engines.graph import Graph, Node, to_graph
from torchinception.engines.module import to_module
from torchinception.engines.operations import Affine, Input, Join, Relu, Sides, Slice, sides
from torchinception.errors import UsageError
from torchinception.layers import SAME, SamePad, conv
from torchinception.models import NETWORKS, create
from torchinception.network import Inception

every = pytest.mark.parametrize("name", NETWORKS)


def on_meta(name: str, *, aux: bool = False) -> Inception:
    with torch.device("meta"):
        return create(name, 5, aux=aux)


def of(module: nn.Module) -> Inception:
    """A network of one stage, which is that module."""
    return Inception("odd", dict(stage=lambda width: (module, width)), 5)


@pytest.fixture(scope="module")
def small() -> Inception:
    return menagerie()


@every
def test_a_graph_has_every_convolution_and_stage_of_its_network(name: str) -> None:
    net = on_meta(name)

    graph = to_graph(net)

    assert kinds(graph)["Convolution"] == sum(isinstance(module, nn.Conv2d) for module in net.trunk.modules())
    assert list(graph.stages) == list(net.trunk._modules)


@every
def test_auxiliary_heads_are_left_out(name: str) -> None:
    with_heads, without = (to_graph(on_meta(name, aux=aux)) for aux in (True, False))

    assert [node.name for node in with_heads.nodes] == [node.name for node in without.nodes]


def test_a_graph_computes_what_its_network_computes_in_evaluation(small: Inception) -> None:
    pictures = draw(small, 2)

    assert error(to_graph(small.train()), pictures, small.eval()(pictures)) <= EXACT


def test_a_graph_up_to_a_stage_computes_that_stage_alone(small: Inception) -> None:
    graph, pictures = to_graph(small), draw(small, 2)

    parts = {stage: graph.up_to(stage) for stage in graph.stages}

    right = small.endpoints(pictures)
    assert {stage: error(part, pictures, right[stage]) <= EXACT for stage, part in parts.items()} == dict.fromkeys(
        right, True
    )
    assert [len(part.stages) for part in parts.values()] == list(range(1, len(right) + 1))
    assert sorted({len(part.nodes) for part in parts.values()}) == [len(part.nodes) for part in parts.values()]


def test_an_unknown_stage_is_refused_with_the_names_of_all(small: Inception) -> None:
    with pytest.raises(UsageError, match="no stage named mixed_9z; stages: conv_1, conv_2, pool_2"):
        to_graph(small).up_to("mixed_9z")


def test_a_graph_stays_as_it_was_when_its_network_trains_on(small: Inception) -> None:
    net, pictures = menagerie(), draw(small)
    graph, before = to_graph(net), net(pictures)

    for tensor in net.state_dict().values():
        tensor.zero_()

    assert error(graph, pictures, before) <= EXACT


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_graph_has_weights_of_the_type_asked_for(small: Inception, dtype: torch.dtype) -> None:
    assert {buffer.dtype for buffer in to_module(to_graph(small, dtype)).buffers()} == {dtype}
    assert {buffer.dtype for buffer in to_module(to_graph(small).to(dtype)).buffers()} == {dtype}


def test_pictures_are_left_as_they_are(small: Inception) -> None:
    net = of(nn.ReLU(inplace=True))
    pictures = draw(net)
    before = pictures.clone()

    to_module(to_graph(net))(pictures)

    assert torch.equal(pictures, before)


def test_nothing_is_overwritten_that_a_slice_is_a_view_of() -> None:
    one = Affine(None, torch.ones(2))
    nodes = (
        Node("input", Input(2)),
        Node("a", one, ("input",)),
        Node("slice", Slice(0, 1), ("a",)),
        Node("b", one, ("a",)),
        Node("output", Join(), ("slice", "b")),
    )

    found = to_module(Graph(nodes, {}, "output"))(torch.zeros(1, 2, 1, 1))

    assert found.flatten().tolist() == [1, 2, 2]


class Relu6(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(max=6)


def chained(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(*modules)


@pytest.mark.parametrize(
    "module",
    [
        nn.GELU(),
        Relu6(),
        nn.Conv2d(3, 3, 3, dilation=2),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 3, 3, padding="same"),
        nn.MaxPool2d(3, dilation=2),
        nn.AvgPool2d(2, divisor_override=3),
        nn.BatchNorm2d(3, affine=False),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.AdaptiveAvgPool2d((None, 2)),
    ],
)
def test_a_module_that_no_engine_knows_is_refused_by_its_name(module: nn.Module) -> None:
    with pytest.raises(UsageError, match=rf"trunk\.stage\.0 is {type(module).__name__}\(.*which no engine knows"):
        to_graph(of(chained(module)))


@pytest.mark.parametrize(
    ("modules", "reason"),
    [
        ((SamePad(3, 2, 0.0),), "without the convolution or pool"),
        ((SamePad(3, 2, 0.0), nn.ReLU()), "cannot be padded"),
        ((SamePad(3, 2, 0.0), nn.Conv2d(3, 3, 3, stride=1)), "does not fit"),
        ((SamePad(3, 2, 0.0), nn.Conv2d(3, 3, 5, stride=2)), "does not fit"),
        ((SamePad(3, 2, 0.0), nn.Conv2d(3, 3, 3, stride=2, padding=1)), "does not fit"),
        ((SamePad(3, 2, 0.0), nn.MaxPool2d(3, 2)), "does not fit"),  # padded with 0, which would win over negatives
    ],
)
def test_padding_that_does_not_fit_what_follows_is_refused(modules: tuple[nn.Module, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        to_graph(of(chained(*modules)))


@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_pads_as_the_layer_does(kernel: int, stride: int) -> None:
    layer = SamePad(kernel, stride, 1.0)

    for height, width in [(1, 2), (7, 8), (9, 5), (14, 12)]:
        top, bottom, left, right = sides(SAME, (kernel, kernel), (stride, stride), height, width)
        padded = layer(torch.zeros(1, 1, height, width))
        assert padded.shape[2:] == (height + top + bottom, width + left + right)
        assert not padded[:, :, top : top + height, left : left + width].any()


def test_padding_that_depends_on_no_size_is_what_it_is() -> None:
    assert sides(Sides(1, 2, 3, 4), (3, 3), (1, 1), 9, 9) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "nodes",
    [
        (Node("input", Input(3)), Node("b", Relu(), ("a",)), Node("a", Relu(), ("input",))),
        (Node("input", Input(3)), Node("a", Relu(), ("input",)), Node("a", Relu(), ("input",))),
    ],
)
def test_nodes_out_of_order_or_twice_are_no_graph(nodes: tuple[Node, ...]) -> None:
    with pytest.raises(AssertionError, match=r"stands ahead of what it needs|is there twice"):
        Graph(nodes, {}, "a")


@pytest.mark.parametrize("build", [lambda: filled("tiny_inception"), menagerie])
def test_a_graph_of_the_same_network_is_the_same(build: Callable[[], Inception]) -> None:
    first, second = (to_graph(build()) for _ in range(2))

    assert [(node.name, node.inputs) for node in first.nodes] == [(node.name, node.inputs) for node in second.nodes]


def test_a_name_is_that_of_the_module_in_the_network() -> None:
    net = Inception("one", dict(stage=conv(4)), 5)

    names = [node.name for node in to_graph(net).nodes]

    assert names == ["input", "trunk.stage.conv", "trunk.stage.bn", "trunk.stage.relu", "pool", "classifier"]
    assert {"trunk.stage.conv", "trunk.stage.bn", "classifier"} <= {name for name, _ in net.named_modules()}

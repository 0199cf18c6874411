"""Networks whose batch norms show every mistake of a rewrite, and how far one answer is from another."""

from collections import Counter
from typing import Any, NamedTuple

import torch
from peer_weights import NORMS, defined, distance, randomize
from torch import Tensor, fx

from torchinception.engines.graph import Graph, to_graph
from torchinception.engines.module import Writer, to_module
from torchinception.layers import (
    SAME,
    avg_pool,
    chain,
    concat,
    conv,
    conv_bias,
    depthwise,
    fixed_pool,
    lrn,
    max_pool,
    project,
    relu,
    residual,
)
from torchinception.models import create
from torchinception.network import Inception

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # no two alike, and none what a default would be
EXACT = 1e-12  # float64 carries 16 digits; sums of a few thousand terms, in another order, leave 12 of them alike
SINGLE = 1e-5  # float32 carries 7; a hundred layers of such sums leave 5


def filled(name: str) -> Inception:
    """A network of 5 classes with random weights in float64."""
    with torch.device("meta"):
        net = create(name, 5)
    return fill(net)


@torch.no_grad()
def fill(net: Inception) -> Inception:
    """Random weights in float64; statistics of batch norm nearly as of training, and a third of its gammas negative."""
    randomize(net, torch.float32)
    for norm in (layer for layer in defined(net) if isinstance(layer, NORMS)):
        norm.train().momentum = 0.9
        norm.weight[::3] *= -1
        norm.bias += 1  # ReLUs that cut off half of all multiply rounding a thousandfold in 150 layers
    net(draw(net, 2).float())
    return net.double().eval().requires_grad_(False)


def draw(net: Inception, count: int = 1) -> Tensor:
    """Pictures of a height odd or even and a width even or odd, beyond the stride of the whole trunk, in float64."""
    side, generator = net.min_size + 33, torch.Generator().manual_seed(count)
    return torch.randn(count, net.channels, side, side + 1, generator=generator, dtype=torch.float64)


def draw_uint8(net: Inception) -> Tensor:
    """(1, H, W, 3) of every level."""
    side, generator = net.min_size + 33, torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, side, side + 1, net.channels), generator=generator, dtype=torch.uint8)


def scaled(pictures: Tensor) -> Tensor:
    """Uint8 (N, H, W, 3) -> what a network takes, float64 (N, 3, H, W)."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (MEAN, STD))
    return (pictures.permute(0, 3, 1, 2).double() / 255 - mean) / std


@torch.no_grad()
def error(graph: Graph, pictures: Tensor, right: Tensor) -> float:
    """Of the graph's output, as a part of the largest right value."""
    return distance(to_module(graph)(pictures), right)


def kinds(graph: Graph) -> Counter[str]:
    """How many nodes of each kind there are."""
    return Counter(type(node.operation).__name__ for node in graph.nodes)


@torch.no_grad()
def values(graph: Graph, pictures: Tensor) -> dict[str, Tensor]:
    """Every value of a graph by its name."""
    writer = Writer(graph)
    spy = _Spy(writer.module())
    spy.run(pictures)
    return {name: spy.seen[node.name] for name, node in writer.values.items()}


class _Spy(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.seen: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.seen[n.name] = value.clone()  # before it is overwritten
        return value


def menagerie() -> Inception:
    """Every layer of the vocabulary in a small network, and every case that a rewrite has to tell apart."""
    stages = dict(
        conv_1=conv(16, 3, stride=2, pad=SAME),
        conv_2=conv_bias(24, (1, 5)),
        pool_2=chain(max_pool(3, stride=2, pad=SAME), lrn()),
        conv_3=chain(depthwise(3, multiplier=2), conv(24, relu=False)),
        block_4=residual(relu(inplace=False), conv(16), relu(), project(24), scale=0.3, relu=True),
        block_5=residual(conv(16, 3), conv_bias(24), shortcut=conv(24), scale=-0.5),
        mixed_6=concat(
            [conv(8)],
            [conv(12), concat([conv(8, (1, 3))], [conv(8, (3, 1))])],
            [avg_pool(count_padding=True), conv(8)],
            [avg_pool(), conv_bias(8)],
            [avg_pool(), project(8)],
            [avg_pool(), conv(64)],
            [max_pool(), conv(8)],
            [project(16)],
            [depthwise(1)],
            [depthwise(1)],
        ),
        mixed_7=concat(
            [conv(8, stride=2)],
            [conv_bias(8, stride=2)],
            [conv(8), max_pool(2, stride=2, pad=0, ceil=True)],
            [avg_pool(2, stride=2, pad=0, ceil=True), conv(8)],
        ),
        conv_8=project(16),
        relu_8=relu(inplace=False),
        pool_9=fixed_pool(2),
    )
    return fill(Inception("menagerie", stages, 5, dropout=0.5, min_size=16))


class Case(NamedTuple):
    """A network's graph, pictures, and what the network makes of them; the same for pictures that are not scaled."""

    graph: Graph
    pictures: Tensor
    logits: Tensor
    raw: Tensor
    raw_logits: Tensor


def case_of(name: str) -> Case:
    net = menagerie() if name == "menagerie" else filled(name)
    pictures, raw = draw(net), draw_uint8(net)
    logits, raw_logits = net(torch.cat([pictures, scaled(raw)])).split(1)
    return Case(to_graph(net), pictures, logits, raw.permute(0, 3, 1, 2).double(), raw_logits)


def apart(graph: Graph, case: Case) -> float:
    return error(graph, case.pictures, case.logits)


def unlike(one: Graph, other: Graph) -> bool:
    return [(n.name, n.operation, n.inputs) for n in one.nodes] != [
        (n.name, n.operation, n.inputs) for n in other.nodes
    ]

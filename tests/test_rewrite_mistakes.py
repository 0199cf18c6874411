"""Mistakes that rewrites could make are seen by their tests; and what must stay, stays."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from graph_fixtures import MEAN, STD, Case, apart, case_of, error, unlike

from torchinception.engines.graph import Graph, Node, to_graph
from torchinception.engines.operations import Affine, AveragePool, Convolution, MaxPool
from torchinception.engines.rewrite import (
    Rewrite,
    fold_batch_norm,
    fold_scaling,
    move_average_pool,
    rewrite,
    scale_input,
)
from torchinception.layers import project
from torchinception.network import Inception

WRONG = 1e-6  # a mistake changes more, rounding in float64 a million times less


@pytest.fixture(scope="module")
def small() -> Case:
    return case_of("menagerie")


Change = Callable[[Node], Node]


def changed(graph: Graph, change: Change) -> Graph:
    return replace(graph, nodes=tuple(change(node) for node in graph.nodes))


def counted(graph: Graph) -> Graph:
    """What `move_average_pool` makes where padding is counted, with the bias ahead of the pool."""
    moved = rewrite(graph, (fold_batch_norm, move_average_pool))
    nodes = moved.by_name
    biases = {n.inputs[0]: n.operation.shift for n in moved.nodes if isinstance(n.operation, Affine)}
    pools = {
        nodes[name].inputs[0]: bias
        for name, bias in biases.items()
        if isinstance(pool := nodes[name].operation, AveragePool) and pool.count_padding
    }
    assert pools
    of_pools = {name for name in biases if nodes[name].inputs[0] in pools}

    def change(node: Node) -> Node:
        operation = node.operation
        if isinstance(operation, Convolution) and node.name in pools:
            return replace(node, operation=replace(operation, bias=pools[node.name]))
        if isinstance(operation, Affine) and node.inputs[0] in of_pools:
            return replace(node, operation=replace(operation, shift=torch.zeros_like(operation.shift)))
        return node

    return changed(moved, change)


def max_pools_moved(graph: Graph) -> Graph:
    """`move_average_pool` of max pools."""
    stand_ins = {n.name: n.operation for n in graph.nodes if isinstance(n.operation, MaxPool)}

    def disguise(node: Node) -> Node:
        pool = stand_ins.get(node.name)
        if pool is None or pool.padding != (1, 1, 1, 1):
            return node
        return replace(node, operation=AveragePool(pool.window, pool.stride, pool.padding, pool.ceil, False))

    moved = move_average_pool(changed(fold_batch_norm(graph), disguise))
    behind = {n.name: n for n in moved.nodes if n.name.endswith(".pooled")}
    assert len(behind) > 3

    def undo(node: Node) -> Node:
        if isinstance(node.operation, AveragePool) and node.name == "trunk.mixed_6.6.1.conv.pooled":
            return replace(node, operation=stand_ins["trunk.mixed_6.6.0"])
        return node

    return changed(moved, undo)


def scaling_into_zeros(graph: Graph) -> Graph:
    """Folded into a padded convolution that still pads with 0."""
    folded = fold_scaling(scale_input(graph, MEAN, STD), padded=True)

    def change(node: Node) -> Node:
        conv = node.operation
        return replace(node, operation=replace(conv, fill=None)) if isinstance(conv, Convolution) else node

    return changed(folded, change)


def relu_ahead_of_a_factor(graph: Graph) -> Graph:
    """Of a residual branch, as if it were linear: the factor ought to stay, and is dropped."""

    def change(node: Node) -> Node:
        total = node.operation
        return replace(node, operation=replace(total, scale=1.0)) if node.name == "trunk.block_5" else node  # type: ignore

    return changed(graph, change)


def batch_norm_without_its_constant(graph: Graph) -> Graph:
    def change(node: Node) -> Node:
        norm = node.operation
        return replace(node, operation=replace(norm, eps=0.0)) if hasattr(norm, "eps") else node  # type: ignore

    return fold_batch_norm(changed(graph, change))


@pytest.mark.parametrize("mistake", [counted, max_pools_moved, relu_ahead_of_a_factor, batch_norm_without_its_constant])
def test_a_mistake_is_seen(mistake: Rewrite, small: Case) -> None:
    assert apart(mistake(small.graph), small) > WRONG


def test_scaling_folded_into_padding_of_zeros_is_seen(small: Case) -> None:
    assert error(scaling_into_zeros(small.graph), small.raw, small.raw_logits) > WRONG


def test_what_would_be_wrong_or_cost_more_is_left_alone(small: Case) -> None:
    done = rewrite(small.graph)

    made = [node.name for node in done.nodes if node.name.endswith((".pooled", ".scaled"))]

    assert [name.rsplit(".", 2)[0] for name in made] == [
        "trunk.block_4.branch",  # not block_5: its ReLU comes ahead of the factor
        "trunk.mixed_6.2.1",
        "trunk.mixed_6.3.1",
        "trunk.mixed_6.4",  # not 5, which makes 64 channels of fewer, nor mixed_7's, whose pool has a stride
    ]
    assert {"trunk.conv_8", "trunk.relu_8"} <= done.by_name.keys()  # a stage puts out what the next one's ReLU reads


def test_batch_norm_behind_what_a_stage_puts_out_stays() -> None:
    net = Inception("odd", dict(conv=project(8), norm=lambda width: (torch.nn.BatchNorm2d(width), width)), 5)
    graph = to_graph(net)

    assert not unlike(fold_batch_norm(graph), graph)


def test_only_1x1_convolutions_are_merged(small: Case) -> None:
    merged = [n for n in rewrite(small.graph).nodes if n.name.endswith(".merged")]

    kernels = [n.operation.kernel.shape[2:] for n in merged if isinstance(n.operation, Convolution)]

    assert len(kernels) >= 3
    assert set(kernels) == {(1, 1)}

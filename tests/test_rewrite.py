"""Every rewrite alone and with the others, in float64, over every network and one that has every layer."""

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from graph_fixtures import EXACT, MEAN, STD, distance, draw, draw_uint8, error, filled, kinds, menagerie, scaled, values
from torch import Tensor

from torchinception.engines.graph import Graph, Node, to_graph
from torchinception.engines.operations import Affine, AveragePool, Convolution, MaxPool
from torchinception.engines.rewrite import (
    REWRITES,
    Rewrite,
    fold_batch_norm,
    fold_scaling,
    fuse_relu,
    move_average_pool,
    rewrite,
    scale_input,
)
from torchinception.layers import project
from torchinception.models import NETWORKS, create
from torchinception.network import Inception

WRONG = 1e-6  # a mistake changes more, rounding in float64 a million times less


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


@pytest.fixture(scope="module", params=[*NETWORKS, "menagerie"])
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@pytest.fixture(scope="module")
def small() -> Case:
    return case_of("menagerie")


def apart(graph: Graph, case: Case) -> float:
    return error(graph, case.pictures, case.logits)


def unlike(one: Graph, other: Graph) -> bool:
    return [(n.name, n.operation, n.inputs) for n in one.nodes] != [
        (n.name, n.operation, n.inputs) for n in other.nodes
    ]


def test_each_rewrite_alone_is_exact(case: Case) -> None:
    alone = {one.__name__: one(case.graph) for one in REWRITES}

    errors = {name: apart(graph, case) for name, graph in alone.items() if unlike(graph, case.graph)}

    assert {name: error for name, error in errors.items() if not error <= EXACT} == {}


def test_rewrites_one_on_top_of_the_other_are_exact(case: Case) -> None:
    graph, errors = case.graph, {}
    for one in REWRITES:
        before, graph = graph, one(graph)
        if unlike(graph, before):
            errors[one.__name__] = apart(graph, case)

    assert errors
    assert {name: error for name, error in errors.items() if not error <= EXACT} == {}


@pytest.mark.parametrize("padded", [False, True])
def test_folded_scaling_is_exact(case: Case, padded: bool) -> None:
    scaling = scale_input(case.graph, MEAN, STD)

    folded = fold_scaling(fold_batch_norm(scaling), padded=padded)

    assert error(folded, case.raw, case.raw_logits) <= EXACT


@pytest.mark.parametrize("levels", [1, 255])
def test_the_scaling_that_is_added_is_that_of_preprocessing(small: Case, levels: int) -> None:
    graph = scale_input(small.graph, MEAN, STD, levels)

    assert error(graph, small.raw * levels / 255, small.raw_logits) <= EXACT


def orders(full: bool) -> list[tuple[Rewrite, ...]]:
    every = list(itertools.permutations(REWRITES))
    return every if full else random.Random(0).sample(every, 72)


def test_rewrites_in_any_order_are_exact(small: Case, full: bool) -> None:
    scaling = scale_input(small.graph, MEAN, STD)

    wrong = [order for order in orders(full) if error(rewrite(scaling, order), small.raw, small.raw_logits) > EXACT]

    assert wrong == []


def test_a_name_keeps_its_value_through_every_rewrite(small: Case) -> None:
    before = values(small.graph, small.pictures)

    for one in (*REWRITES, rewrite):
        after = values(one(small.graph), small.pictures)
        shared = before.keys() & after.keys()
        assert {name for name in shared if distance(after[name], before[name]) > EXACT} == set()
        assert shared.issuperset(small.graph.stages.values())


def test_stages_put_out_the_same_after_every_rewrite(small: Case) -> None:
    net = menagerie()

    rewritten = rewrite(small.graph)

    right = net.endpoints(small.pictures)
    parts = {stage: rewritten.up_to(stage) for stage in rewritten.stages}
    assert list(parts) == list(right)
    assert {s: e for s, part in parts.items() if (e := error(part, small.pictures, right[s])) > EXACT} == {}


def test_a_second_time_changes_nothing(small: Case) -> None:
    for one in REWRITES:
        once = rewrite(small.graph, (fold_batch_norm, fuse_relu, one))
        assert not unlike(one(once), once)


# what is left or made by all rewrites: average pools moved, factors folded, 1x1 convolutions merged, ReLUs left alone
DONE = dict(
    googlenet=(0, 0, 9, 0),  # four of 1x1 in nine modules; one of them is behind a max pool
    googlenet_bn=(0, 0, 9, 0),
    googlenet_torch=(0, 0, 9, 0),
    googlenet_slim=(0, 0, 9, 0),
    googlenet_naive=(0, 0, 0, 0),
    bn_inception=(7, 0, 10, 0),  # ten modules: two reductions without average pool, and a max pool in the last
    bn_inception_slim=(7, 0, 10, 0),
    inception_v2=(9, 0, 10, 0),
    inception_v3=(9, 0, 10, 0),  # three, four and two blocks, and a reduction with two 1x1
    inception_v3_torch=(9, 0, 10, 0),
    inception_v3_fid=(8, 0, 10, 0),
    inception_v4=(14, 0, 16, 0),  # four, seven and three blocks; a reduction and the stem with two 1x1 each
    inception_resnet_v1=(0, 20, 22, 0),  # 5, 10 and 5 blocks scaled, one not; a reduction
    inception_resnet_v2=(1, 39, 42, 0),
    inception_resnet_v2_paper=(0, 20, 22, 0),
    xception=(0, 0, 0, 11),  # those ahead of blocks 2 to 12: of sums that the shortcut needs as they are
    xception_torch=(0, 0, 0, 11),
    small_inception=(0, 0, 0, 0),
    tiny_inception=(0, 0, 0, 0),
)


@pytest.mark.parametrize("name", NETWORKS)
def test_rewrites_find_all_that_there_is(name: str) -> None:
    with torch.device("meta"):
        graph = to_graph(create(name))

    done = rewrite(graph)

    moved = sum(node.name.endswith(".pooled") for node in done.nodes)
    factors = sum(node.name.endswith(".scaled") for node in done.nodes)
    merged = sum(node.name.endswith(".merged") for node in done.nodes)
    assert (moved, factors, merged, kinds(done)["Relu"]) == DONE[name]
    assert kinds(done)["BatchNorm"] == 0
    assert kinds(done)["MaxPool"] == kinds(graph)["MaxPool"]


def test_each_rewrite_can_be_left_out() -> None:
    with torch.device("meta"):
        graph = to_graph(create("inception_resnet_v2"))

    fewer = {left.__name__: rewrite(graph, [one for one in REWRITES if one is not left]) for left in REWRITES}

    assert kinds(fewer["fold_batch_norm"])["BatchNorm"] == kinds(graph)["BatchNorm"]
    assert kinds(fewer["fuse_relu"])["Relu"] == kinds(graph)["Relu"]
    assert kinds(fewer["merge_siblings"])["Slice"] == 0
    assert not any(node.name.endswith(".scaled") for node in fewer["fold_residual_scale"].nodes)
    assert not any(node.name.endswith(".pooled") for node in fewer["move_average_pool"].nodes)


UNPADDED_FIRST = {name for name in NETWORKS if name.startswith(("inception_", "xception"))}


@pytest.mark.parametrize("name", NETWORKS)
def test_scaling_is_folded_where_the_first_convolution_is_unpadded_or_may_pad_with_the_mean(name: str) -> None:
    with torch.device("meta"):
        graph = scale_input(to_graph(create(name)), MEAN, STD)

    folded, everywhere = fold_scaling(graph), fold_scaling(graph, padded=True)

    assert kinds(folded)["Affine"] == (name not in UNPADDED_FIRST)
    assert kinds(everywhere)["Affine"] == 0
    fills = [n.operation.fill for n in everywhere.nodes if isinstance(n.operation, Convolution)]
    assert sum(fill is not None for fill in fills) == (name not in UNPADDED_FIRST)


def test_the_padding_of_folded_scaling_is_the_mean_of_the_pictures(small: Case) -> None:
    folded = fold_scaling(scale_input(small.graph, MEAN, STD), padded=True)

    first = folded["trunk.conv_1.conv"].operation

    assert isinstance(first, Convolution)
    assert first.fill is not None
    assert first.fill.tolist() == pytest.approx([255 * mean for mean in MEAN])


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
        return replace(node, operation=AveragePool(pool.kernel, pool.stride, pool.padding, pool.ceil, False))

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

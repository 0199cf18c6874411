"""Every rewrite alone and with the others, in float64, over every network and one that has every layer."""

import itertools
import random

import pytest
import torch
from graph_fixtures import EXACT, MEAN, STD, Case, apart, case_of, distance, error, kinds, menagerie, unlike, values

from torchinception.engines.graph import to_graph
from torchinception.engines.module import to_module
from torchinception.engines.operations import Convolution
from torchinception.engines.rewrite import (
    REWRITES,
    Rewrite,
    fold_batch_norm,
    fold_scaling,
    fuse_relu,
    rewrite,
    scale_input,
    simplify,
)
from torchinception.models import NETWORKS, create


@pytest.fixture(scope="module", params=[*NETWORKS, "menagerie"])
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@pytest.fixture(scope="module")
def small() -> Case:
    return case_of("menagerie")


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


def test_fewer_kinds_of_operations_compute_the_same(case: Case) -> None:
    graph = simplify(case.graph)
    assert kinds(graph).keys().isdisjoint({"Linear", "GlobalPool", "BatchNorm"})
    assert distance(to_module(graph)(case.pictures).flatten(1), case.logits) <= EXACT


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

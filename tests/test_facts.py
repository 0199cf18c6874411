"""Parameters, multiply-adds and shapes against published numbers, on the meta device.

`facts.json` holds what the releases themselves came to: Caffe's, TF-slim's, torchvision's, Cadene's and so on, each
end point by the name it has there and, as `stages`, those of ours that it stands for.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from torchinception.models import NETWORKS, Inception, create
from torchinception.summary import Row, Summary, summarize

FACTS = json.loads((Path(__file__).parent / "facts.json").read_text())
PUBLISHED = {  # network: its name in facts.json
    "googlenet": "googlenet_caffe",
    "googlenet_bn": "googlenet_bn_true5x5",
    "googlenet_torch": "googlenet_torchvision",
    "googlenet_slim": "inception_v1_slim",
    "bn_inception": "bn_inception_cadene",
    "bn_inception_slim": "inception_v2_slim",
    "inception_v2": "inception_v2_rethinking_table1",
    "inception_v3": "inception_v3_slim",
    "inception_v3_torch": "inception_v3_torchvision",
    "inception_v3_fid": "fid_inception_v3",
    "inception_v4": "inception_v4",
    "inception_resnet_v1": "inception_resnet_v1",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_resnet_v2_paper": "inception_resnet_v2_paper",
    "xception": "xception",
    "xception_torch": "xception",
}
UNPUBLISHED = {  # network: parameters and multiply-adds by arithmetic, where no release can be counted
    "googlenet_naive": (97_526_008, 12_568_061_056),
    "small_inception": (1_651_114, 176_297_504),
    "tiny_inception": (104_962, 11_400_248),
}
# What a release has for each batch-normalized channel and we have not: Cadene's convolutions have a bias there too,
# TF-slim's batch norm has no gamma.
VALUES_A_CHANNEL = {"bn_inception_cadene": 1, "inception_v1_slim": -1, "inception_v2_slim": -1, "inception_v3_slim": -1}


def those(listed: Callable[[dict[str, Any]], bool]) -> pytest.MarkDecorator:
    """A test for every network whose release lists that."""
    return pytest.mark.parametrize("network", [network for network in PUBLISHED if listed(fact(network))])


def fact(network: str) -> dict[str, Any]:
    return FACTS[PUBLISHED[network]]


published = those(lambda _: True)
by_endpoint = those(lambda fact: any("macs" in end for end in fact["endpoints"].values()))


def test_every_network_has_its_numbers() -> None:
    assert PUBLISHED.keys() | UNPUBLISHED.keys() == NETWORKS.keys()


@published
def test_parameters_are_the_published_ones(network: str) -> None:
    assert summary(network).parameters + values_beyond_ours(network) == fact(network)["parameters"]


@those(lambda fact: "parameters_with_aux" in fact)
def test_parameters_with_auxiliary_heads_are_the_published_ones(network: str) -> None:
    there = summary(network).parameters_with_aux + values_beyond_ours(network, aux=True)

    assert there == fact(network)["parameters_with_aux"]


@published
def test_multiply_adds_are_the_published_ones(network: str) -> None:
    assert summary(network).macs == fact(network)["macs"]


@those(lambda fact: "macs_with_aux" in fact)
def test_multiply_adds_with_auxiliary_heads_are_the_published_ones(network: str) -> None:
    heads = sum(row.macs for row in summary(network).aux_rows)

    assert summary(network).macs + heads == fact(network)["macs_with_aux"]


@published
def test_every_endpoint_has_the_published_shape(network: str) -> None:
    found = {name: {row.shape for row in rows} for name, (_, rows) in endpoints(network).items()}

    assert found == {name: {squeezed(end["shape"])} for name, (end, _) in endpoints(network).items()}


@by_endpoint
def test_every_endpoint_has_the_published_parameters(network: str) -> None:
    listed = {name: pair for name, pair in endpoints(network).items() if "parameters" in pair[0]}

    there = {
        name: sum(row.parameters + values_beyond_ours(network, row.stage) for row in rows)
        for name, (_, rows) in listed.items()
    }

    assert there == {name: end["parameters"] for name, (end, _) in listed.items()}


@by_endpoint
def test_every_endpoint_has_the_published_multiply_adds(network: str) -> None:
    listed = {name: pair for name, pair in endpoints(network).items() if "macs" in pair[0]}

    found = {name: sum(row.macs for row in rows) for name, (_, rows) in listed.items()}

    assert found == {name: end["macs"] for name, (end, _) in listed.items()}


@published
def test_every_stage_stands_beside_a_published_endpoint(network: str) -> None:
    named = {row.stage for _, rows in endpoints(network).values() for row in rows}

    assert [stage for stage, _ in build(network).trunk.named_children() if stage not in named] == []


@pytest.mark.parametrize("network", UNPUBLISHED)
def test_numbers_without_a_release_are_those_of_the_arithmetic(network: str) -> None:
    assert (summary(network).parameters, summary(network).macs) == UNPUBLISHED[network]


def test_small_inception_without_gammas_has_the_papers_parameters() -> None:
    assert summary("small_inception").parameters - normalized_channels(build("small_inception")) == 1_649_402


def test_naive_modules_grow_as_figure_2a_makes_them() -> None:
    modules = [row for row in summary("googlenet_naive").rows if row.stage.startswith("inception")]
    trunk = build("googlenet_naive").trunk

    weights = sum(p.numel() for row in modules for p in trunk.get_submodule(row.stage).parameters() if p.ndim > 1)

    assert weights == 92_451_840
    assert sum(row.macs for row in modules) == 12_085_441_536
    assert modules[-1].shape == (4944, 7, 7)


@functools.cache
def summary(network: str) -> Summary:
    """At the size and the number of classes that the release was counted at."""
    if network in UNPUBLISHED:
        return summarize(network)
    return summarize(network, fact(network)["size"], classes=fact(network)["classes"])


def endpoints(network: str) -> dict[str, tuple[dict[str, Any], list[Row]]]:
    """By the release's name: what is known of an end point, and the rows of ours that it stands for."""
    ours = {row.stage: row for row in (*summary(network).rows, *summary(network).aux_rows)}
    return {name: (end, [ours[stage] for stage in end["stages"]]) for name, end in fact(network)["endpoints"].items()}


def squeezed(shape: list[int]) -> tuple[int, ...]:
    """Without the 1x1 grid that some releases keep behind the last pool."""
    return tuple(shape[:1] if shape[1:] == [1, 1] else shape)


@functools.cache
def build(network: str) -> Inception:
    with torch.device("meta"):
        return create(network, aux=True)


def values_beyond_ours(network: str, stage: str | None = None, *, aux: bool = False) -> int:
    """What the release's parameters, in a stage or in all, are more than ours; negative for fewer."""
    net = build(network)
    parts = net.trunk.named_children() if not aux else [("", net)]
    channels = sum(normalized_channels(part) for name, part in parts if stage in (None, name))
    return channels * VALUES_A_CHANNEL.get(PUBLISHED[network], 0)


def normalized_channels(module: nn.Module) -> int:
    return sum(part.num_features for part in module.modules() if isinstance(part, nn.BatchNorm2d))

import json
from collections.abc import Callable

import pytest
import torch
from conftest import Result
from torch import nn

from torchinception.errors import UsageError
from torchinception.layers import chain, concat, conv, max_pool, residual
from torchinception.models import create
from torchinception.summary import REFERENCES, compare, depth, summarize

Inception = Callable[..., Result]

COUNTED = {  # parameters and multiply-adds at 224 px, counted in torchvision 0.29
    "alexnet": (61_100_840, 714_188_480),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
    "resnet50": (25_557_032, 4_089_184_256),  # its weights' page: 25557032 and 4.09 G
}
DEPTHS = {  # by their names and papers
    "alexnet": 8,
    "vgg16": 16,
    "vgg19": 19,
    "resnet50": 50,
    "googlenet": 22,
    "inception_v3": 48,  # the released network; the paper says 42 of its own
    "small_inception": 12,  # a convolution, eight modules and two reductions of depth 1, a classifier
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_torchvisions(name: str) -> None:
    (found,) = compare([name])
    assert (found.size, found.parameters, found.parameters_with_aux, found.macs) == (
        224,
        COUNTED[name][0],
        COUNTED[name][0],
        COUNTED[name][1],
    )


@pytest.mark.parametrize("name", ["googlenet", "googlenet_naive", "inception_resnet_v2", "xception", "tiny_inception"])
def test_a_network_has_the_totals_of_its_summary(name: str) -> None:
    (found,), summary = compare([name]), summarize(name)
    assert (found.size, found.parameters, found.macs) == (summary.size, summary.parameters, summary.macs)
    assert found.parameters_with_aux == summary.parameters_with_aux


@pytest.mark.parametrize(("name", "layers"), DEPTHS.items(), ids=DEPTHS)
def test_the_depth_is_the_published_one(name: str, layers: int) -> None:
    assert compare([name])[0].depth == layers


def test_the_depth_is_that_of_the_longest_way() -> None:
    short, long = [conv(4)], [conv(4), max_pool(), conv(4, 3), conv(4, 3)]
    net, _ = chain(conv(4), concat(short, long), residual(conv(8), conv(8)), conv(2))(3)
    assert depth(net(torch.zeros(1, 3, 8, 8))) == 1 + 3 + 2 + 1


def test_the_depth_counts_linear_layers_too() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert depth(net(torch.zeros(1, 3, 1, 1))) == 3


def test_megabytes_are_what_the_parameters_take_in_memory() -> None:
    in_memory = sum(p.numel() * p.element_size() for p in create("tiny_inception").parameters())
    assert compare(["tiny_inception"])[0].float32_megabytes * 1e6 == pytest.approx(in_memory, abs=0.5)  # half a byte


def test_the_order_is_the_one_asked_for() -> None:
    names = ["tiny_inception", "alexnet", "tiny_inception"]
    assert [found.network for found in compare(names)] == names


def test_comparing_works_where_gradients_are_off() -> None:
    with torch.no_grad():
        assert compare(["tiny_inception"])[0].depth == DEPTHS["small_inception"]


def test_an_unknown_name_is_refused_with_all_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no network named vgg17; .*inception_v4.*torchvision: alexnet, vgg16"):
        compare(["googlenet", "vgg17"])


def test_the_command_prints_json(inception: Inception) -> None:
    found = json.loads(inception("compare", "tiny_inception", "resnet50", "--json").out)
    assert found[0] == dict(
        network="tiny_inception",
        size=28,
        parameters=104_962,
        parameters_with_aux=104_962,
        macs=11_400_248,
        depth=12,
        float32_megabytes=0.419848,
    )
    assert found[1]["network"] == "resnet50"


def test_the_command_prints_a_row_a_network(inception: Inception) -> None:
    lines = inception("compare", "googlenet", "inception_resnet_v2_paper", "vgg19").out.splitlines()
    assert [line.split() for line in lines] == [
        ["network", "px", "depth", "parameters", "with-aux", "MACs", "MB"],
        ["googlenet", "224", "22", "6,998,552", "13,378,280", "1,582,671,872", "28.0"],
        ["inception_resnet_v2_paper", "299", "96", "32,433,928", "32,433,928", "9,257,953,632", "129.7"],
        ["vgg19", "224", "19", "143,667,240", "143,667,240", "19,632,062,464", "574.7"],
    ]


def test_the_command_refuses_an_unknown_name(inception: Inception) -> None:
    result = inception("compare", "googlenett")
    assert (result.code, result.out, "did you mean googlenet?" in result.err) == (2, "", True)

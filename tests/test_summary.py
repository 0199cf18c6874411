"""The summary of a network: that its rows add up, and that its receptive fields are what a poisoned pixel reaches.

Every end point of every network stands against published figures in `test_facts.py`.
"""

import functools

import pytest
import torch
from torch import nn

import torchinception
from torchinception import Summary
from torchinception.errors import UsageError
from torchinception.models import NETWORKS, create

summarize = functools.cache(torchinception.summarize)


@pytest.mark.parametrize(
    ("name", "parameters", "with_aux", "macs"),
    [
        ("googlenet", 6_998_552, 13_378_280, 1_582_671_872),
        ("googlenet_bn", 7_005_832, 13_385_816, 1_582_671_872),
        ("small_inception", 1_651_114, 1_651_114, 176_297_504),
        ("tiny_inception", 104_962, 104_962, 11_400_248),
    ],
)
def test_totals_are_the_published_ones(name: str, parameters: int, with_aux: int, macs: int) -> None:
    summary = summarize(name)

    assert (summary.parameters, summary.parameters_with_aux, summary.macs) == (parameters, with_aux, macs)


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_the_stages_in_order_then_pool_and_logits_and_apart_the_heads(name: str) -> None:
    spec = NETWORKS[name]
    summary = summarize(name)

    assert [row.stage for row in summary.rows] == [*spec.stages, "pool", "logits"]
    assert [row.stage for row in summary.aux_rows] == [f"aux {stage}" for stage in spec.aux]


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_add_up_to_the_parameters_of_the_network(name: str) -> None:
    with torch.device("meta"):
        plain, headed = (sum(p.numel() for p in create(name, aux=aux).parameters()) for aux in (False, True))

    assert (summarize(name).parameters, summarize(name).parameters_with_aux) == (plain, headed)


def test_batch_norm_costs_a_value_a_channel_more_than_biases_and_no_multiplications() -> None:
    with torch.device("meta"):
        trunk = create("googlenet_bn").trunk
    channels = {
        name: sum(module.num_features for module in stage.modules() if isinstance(module, nn.BatchNorm2d))
        for name, stage in trunk.named_children()
    }
    biased, normalized = (
        {row.stage: (row.shape, row.parameters, row.macs) for row in summarize(name).rows if row.stage in channels}
        for name in ("googlenet", "googlenet_bn")
    )

    expected = {stage: (shape, count + channels[stage], macs) for stage, (shape, count, macs) in biased.items()}

    assert normalized == expected


def test_classes_and_channels_change_the_first_and_the_last_layer_alone() -> None:
    published, small = summarize("tiny_inception"), summarize("tiny_inception", classes=3, channels=1)

    # 24 kernels of 3x3 lose two channels of three; 7 of 10 classes go, with 84 weights and a bias each
    assert published.parameters - small.parameters == 24 * 2 * 3 * 3 + 7 * (84 + 1)


@pytest.mark.parametrize("factor", [2, 3])
def test_multiply_adds_of_convolutions_grow_with_the_area(factor: int) -> None:
    def first(summary: Summary) -> int:
        return summary.rows[0].macs

    assert first(summarize("small_inception", 28 * factor)) == factor**2 * first(summarize("small_inception"))


def test_heads_are_left_out_where_the_size_does_not_suit_them() -> None:
    assert summarize("googlenet", 64).aux_rows == ()


@pytest.mark.parametrize(
    ("name", "last", "width"),
    [("tiny_inception", "inception_3b", 95), ("googlenet", "pool_2", 63), ("xception", "block_2", 95)],
)
def test_a_receptive_field_is_as_wide_as_the_columns_that_poison_a_cell(name: str, last: str, width: int) -> None:
    """NaN in one column of each picture; float64, whose convolutions never mix columns as Winograd's do."""
    torch.manual_seed(0)
    net = create(name).eval().double()
    pictures = torch.zeros(width, 3, net.min_size, width, dtype=torch.float64)
    pictures[torch.arange(width), :, :, torch.arange(width)] = torch.nan
    wanted = list(net.trunk._modules)[: list(net.trunk._modules).index(last) + 1]

    with torch.no_grad():
        grids = net.endpoints(pictures, wanted)

    poisoned = {stage: grid[:, :, 0, grid.shape[-1] // 2].isnan().any(1).sum().item() for stage, grid in grids.items()}
    assert poisoned == {row.stage: row.receptive_field_px for row in summarize(name).rows if row.stage in wanted}


def test_pool_and_logits_see_the_whole_picture() -> None:
    assert [row.receptive_field_px for row in summarize("googlenet", 256).rows[-2:]] == [256, 256]


def test_a_size_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="googlenet needs pictures of at least 31 px a side, not 30x30"):
        summarize("googlenet", 30)

"""The vocabulary: what each leaf computes, by hand or by definition, and how combinators thread channels."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from torchinception.layers import (
    SAME,
    Layer,
    Pad,
    Pair,
    avg_pool,
    chain,
    concat,
    conv,
    conv_bias,
    depthwise,
    dropout,
    fixed_pool,
    lrn,
    max_pool,
    project,
    relu,
    residual,
)


class Plus(nn.Module):
    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return x + self.number


def plus(number: float) -> Layer:
    """A branch that can be told from its neighbours."""
    return lambda width: (Plus(number), width)


def build(layer: Layer, width: int) -> nn.Module:
    return layer(width)[0].eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_conv_is_a_convolution_without_bias_then_batch_norm_then_relu() -> None:
    unit = build(conv(8, 3), 4)

    assert list(unit._modules) == ["conv", "bn", "relu"]
    assert unit.conv.bias is None
    assert (unit.bn.eps, unit.bn.momentum) == (1e-3, 0.1)


def test_conv_bias_is_a_convolution_with_bias_then_relu() -> None:
    unit = build(conv_bias(8, 3), 4)

    assert list(unit._modules) == ["conv", "relu"]
    assert unit.conv.bias.shape == (8,)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, (1, 7), (7, 1)])
@pytest.mark.parametrize("make", [conv, conv_bias])
def test_stride_1_keeps_the_size_whatever_the_odd_kernel(make: Callable[..., Layer], kernel: int | Pair) -> None:
    assert build(make(2, kernel), 1)(noise(1, 1, 9, 11)).shape == (1, 2, 9, 11)


@settings(deadline=None, max_examples=50)  # the first meta tensor of a process takes a second
@given(side=st.integers(1, 40), stride=st.integers(1, 3), kernel=st.integers(1, 7))
def test_same_padding_gives_a_cell_to_every_stride_begun(side: int, stride: int, kernel: int) -> None:
    x = torch.empty(1, 1, side, side, device="meta")

    with torch.device("meta"):
        grids = [build(make(kernel, stride=stride, pad=SAME), 1)(x) for make in (max_pool, partial(conv, 1))]

    assert {grid.shape[2:] for grid in grids} == {(-(-side // stride),) * 2}


def test_same_padding_puts_the_odd_pixel_at_the_end() -> None:
    x = torch.tensor([4.0, 3, 2, 1]).expand(1, 1, 4, 4)

    assert build(max_pool(3, stride=2, pad=SAME), 1)(x)[0, 0, 0].tolist() == [4, 2]  # of 4 3 2 and 2 1 _
    assert build(max_pool(3, stride=2), 1)(x)[0, 0, 0].tolist() == [4, 3]  # of _ 4 3 and 3 2 1


@pytest.mark.parametrize("pad", [None, SAME])
def test_padding_never_wins_a_max_pool(pad: Pad) -> None:
    assert (build(max_pool(3, stride=2, pad=pad), 1)(torch.full((1, 1, 4, 4), -5.0)) == -5).all()


def test_max_pool_rounds_up_as_caffe_does_when_asked() -> None:
    up, down = (build(max_pool(3, stride=2, pad=0, ceil=ceil), 1)(noise(1, 112, 112)) for ceil in (True, False))

    assert (up.shape, down.shape) == ((1, 56, 56), (1, 55, 55))


@pytest.mark.parametrize(("count_padding", "corner"), [(False, 1.0), (True, 4 / 9)])
def test_avg_pool_leaves_padding_out_of_the_mean_unless_asked(count_padding: bool, corner: float) -> None:
    assert_close(build(avg_pool(count_padding=count_padding), 1)(torch.ones(1, 1, 4, 4))[0, 0, 0, 0].item(), corner)


@pytest.mark.parametrize("side", [1, 3, 4, 17])
def test_fixed_pool_has_its_cells_whatever_the_input(side: int) -> None:
    assert_close(build(fixed_pool(4), 2)(torch.ones(1, 2, side, side)), torch.ones(1, 2, 4, 4))


def test_lrn_divides_by_the_squares_of_five_channels_as_caffe_does() -> None:
    x = 100 * noise(1, 7, 1, 1)
    squares = torch.stack([x[0, max(0, c - 2) : c + 3].square().sum() for c in range(7)])

    expected = x.flatten() / (1 + 1e-4 / 5 * squares) ** 0.75  # alpha is divided by the 5 channels

    assert_close(build(lrn(), 7)(x).flatten(), expected)


def test_depthwise_gives_each_channel_outputs_of_its_own() -> None:
    module, channels = depthwise(3, multiplier=2)(3)
    x, changed = noise(1, 3, 5, 5), noise(1, 3, 5, 5)
    changed[:, 1] += 1

    touched = (module(x) != module(changed)).any(dim=(0, 2, 3))  # one flag a channel

    assert channels == 6
    assert touched.tolist() == [False, False, True, True, False, False]


def test_project_is_a_biased_convolution_with_nothing_behind_it() -> None:
    module = build(project(8), 2)

    assert module.bias.shape == (8,)
    assert module(noise(1, 2, 4, 4)).min() < 0


def test_concat_joins_the_branches_in_order() -> None:
    joined = build(concat([plus(1)], [plus(2), plus(3)], []), 1)(torch.zeros(1, 1, 1, 1))

    assert joined.flatten().tolist() == [1, 5, 0]


def test_residual_adds_the_scaled_branch_to_its_input() -> None:
    assert build(residual(plus(2), scale=0.5), 1)(torch.tensor(10.0)).item() == 10 + 0.5 * (10 + 2)


def test_residual_adds_the_branch_to_the_shortcut_and_rectifies_the_sum() -> None:
    module = build(residual(plus(1), shortcut=plus(3), relu=True), 1)

    assert module(torch.tensor([-7.0, 7.0])).tolist() == [0, 8 + 10]


def test_residual_of_unequal_channels_cannot_be_built() -> None:
    with pytest.raises(AssertionError, match="8 channels cannot be added to 4"):
        build(residual(conv(8)), 4)


def test_relu_out_of_place_leaves_what_a_shortcut_needs() -> None:
    build(relu(inplace=False), 2)(x := torch.tensor([-1.0, 1.0]))

    assert x.tolist() == [-1, 1]


def test_a_layer_used_twice_makes_two_modules() -> None:
    first, second = build(chain(*[conv(2)] * 2), 2)

    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}


LEAVES = st.one_of(
    st.builds(conv, st.integers(1, 5), st.sampled_from([1, 3, (1, 7)])),
    st.builds(conv_bias, st.integers(1, 5), st.sampled_from([1, 5]), pad=st.sampled_from([None, SAME])),
    st.builds(depthwise, st.just(3), multiplier=st.integers(1, 3)),
    st.builds(project, st.integers(1, 5)),
    st.builds(max_pool, pad=st.sampled_from([None, SAME])),
    st.sampled_from([avg_pool(), lrn(), relu(), dropout(0.5), residual(conv_bias(3), shortcut=project(3))]),
)
LAYERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda some: chain(*some)),
        st.lists(st.lists(inner, max_size=2), min_size=1, max_size=3).map(lambda branches: concat(*branches)),
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=50)
@given(layer=LAYERS, width=st.integers(1, 6))
def test_however_layers_are_nested_they_give_the_channels_they_promise(layer: Layer, width: int) -> None:
    with torch.device("meta"):
        module, channels = layer(width)

        assert module(torch.empty(2, width, 8, 9)).shape == (2, channels, 8, 9)

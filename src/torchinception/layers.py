"""The vocabulary of the family: leaves (convolutions, pools, ...) and combinators (chain, concat).

A `Layer` is a recipe, not a module: a function that is told the number of input channels and
returns a module with its number of output channels. The modules it builds are plain PyTorch.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's name for it

Layer = Callable[[int], tuple[nn.Module, int]]
Pair = tuple[int, int]


class Padding(Enum):
    """Rules that need the size of the input."""

    SAME = "TensorFlow's: ceil(size / stride) cells, the odd pixel of padding at the end"


SAME: Final = Padding.SAME
Pad = int | Pair | Padding | None  # None: half the kernel, so that stride 1 keeps the size (if the kernel is odd)


class ConvLayer(Protocol):
    """What `conv` and `conv_bias` share, so that a table can be written once for both."""

    def __call__(self, channels: int, kernel: int | Pair = 1, *, stride: int = 1, pad: Pad = None) -> Layer:
        """A convolution with what the network puts behind each."""


class SamePad(nn.Module):
    """Pads as TensorFlow's SAME does ahead of a square kernel: (N, C, H, W) -> (N, C, H + p, W + q)."""

    def __init__(self, kernel: int, stride: int, value: float) -> None:
        super().__init__()
        self.kernel, self.stride, self.value = kernel, stride, value

    def forward(self, x: Tensor) -> Tensor:
        """The odd pixel goes to the bottom and the right."""
        height, width = (
            max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0) for size in x.shape[-2:]
        )
        return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2), value=self.value)


class Concat(nn.ModuleList):
    """Parallel branches over one input, joined along channels: (N, C, H, W) -> (N, sum C_i, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """The branches' outputs, in order."""
        return torch.cat([branch(x) for branch in self], 1)


class Residual(nn.Module):
    """`shortcut(x) + scale * branch(x)`, then ReLU if asked for: (N, C, H, W) -> (N, C', H', W')."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, scale: float, relu: bool) -> None:
        super().__init__()
        self.branch, self.shortcut, self.scale, self.relu = branch, shortcut, scale, relu

    def forward(self, x: Tensor) -> Tensor:
        """Branches must leave `x` as it is: no ReLU in place at their beginning."""
        total = torch.add(self.shortcut(x), self.branch(x), alpha=self.scale)
        return F.relu_(total) if self.relu else total


def conv(
    channels: int, kernel: int | Pair = 1, *, stride: int = 1, pad: Pad = None, eps: float = 1e-3, relu: bool = True
) -> Layer:
    """Convolution without bias, batch norm, ReLU: the unit of every network since arXiv:1502.03167.

    `eps` is batch norm's, 1e-3 as in TensorFlow's releases. Running statistics move by 0.1 a step
    (PyTorch's convention; TF-slim's 0.0003 needs far longer runs than most people's).
    """

    def build(width: int) -> tuple[nn.Module, int]:
        unit = _convolution(width, channels, kernel, stride, pad, bias=False)
        unit["bn"] = nn.BatchNorm2d(channels, eps=eps, momentum=0.1)
        if relu:
            unit["relu"] = nn.ReLU(inplace=True)
        return nn.Sequential(unit), channels

    return build


def conv_bias(channels: int, kernel: int | Pair = 1, *, stride: int = 1, pad: Pad = None) -> Layer:
    """Convolution with bias, ReLU: the unit of GoogLeNet as first published (arXiv:1409.4842)."""

    def build(width: int) -> tuple[nn.Module, int]:
        unit = _convolution(width, channels, kernel, stride, pad, bias=True)
        return nn.Sequential(unit | {"relu": nn.ReLU(inplace=True)}), channels

    return build


def depthwise(kernel: int, *, multiplier: int = 1, stride: int = 1, pad: Pad = None) -> Layer:
    """Each channel convolved by itself into `multiplier` channels: no bias, batch norm or ReLU behind it."""

    def build(width: int) -> tuple[nn.Module, int]:
        channels = width * multiplier
        return nn.Sequential(_convolution(width, channels, kernel, stride, pad, bias=False, groups=width)), channels

    return build


def project(channels: int) -> Layer:
    """1x1 convolution with bias and nothing behind it: the up-projection of a residual branch."""
    return lambda width: (nn.Conv2d(width, channels, 1), channels)


def max_pool(kernel: int = 3, *, stride: int = 1, pad: Pad = None, ceil: bool = False) -> Layer:
    """Max pool; `ceil` rounds the output size up, as Caffe does."""

    def build(width: int) -> tuple[nn.Module, int]:
        if pad is SAME:
            pool = nn.MaxPool2d(kernel, stride)
            return nn.Sequential(OrderedDict(pad=SamePad(kernel, stride, -torch.inf), pool=pool)), width
        return nn.MaxPool2d(kernel, stride, _padding(kernel, pad), ceil_mode=ceil), width

    return build


def avg_pool(
    kernel: int = 3, *, stride: int = 1, pad: int | None = None, count_padding: bool = False, ceil: bool = False
) -> Layer:
    """Average pool. TensorFlow leaves padding out of the mean, as here; PyTorch's default counts it."""

    def build(width: int) -> tuple[nn.Module, int]:
        padding = _padding(kernel, pad)
        return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=count_padding), width

    return build


def fixed_pool(cells: int) -> Layer:
    """Average pool to `cells` x `cells`, whatever the input's size; windows overlap where it does not divide."""
    return lambda width: (nn.AdaptiveAvgPool2d(cells), width)


def lrn() -> Layer:
    """Local response normalization over 5 channels with Caffe's constants (alpha 1e-4, beta 0.75, k 1)."""
    return lambda width: (nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0), width)


def flatten(cells: int) -> Layer:
    """(N, C, H, W) -> (N, C * cells), where cells = H * W is fixed by the linear layer behind it."""
    return lambda width: (nn.Flatten(), width * cells)


def linear(features: int) -> Layer:
    """Fully connected layer with bias: (N, C) -> (N, features)."""
    return lambda width: (nn.Linear(width, features), features)


def relu(*, inplace: bool = True) -> Layer:
    """Rectified linear unit; not in place where the input is needed again, as ahead of a residual branch."""
    return lambda width: (nn.ReLU(inplace=inplace), width)


def dropout(p: float) -> Layer:
    """Dropout of a fraction `p` in training; nothing in evaluation."""
    return lambda width: (nn.Dropout(p), width)


def chain(*layers: Layer) -> Layer:
    """Layers one after the other."""

    def build(width: int) -> tuple[nn.Module, int]:
        modules = []
        for layer in layers:
            module, width = layer(width)
            modules.append(module)
        return nn.Sequential(*modules), width

    return build


def concat(*branches: Iterable[Layer]) -> Layer:
    """Branches (each a sequence of layers) side by side over one input, joined along channels."""

    def build(width: int) -> tuple[nn.Module, int]:
        built = [chain(*branch)(width) for branch in branches]
        return Concat(module for module, _ in built), sum(channels for _, channels in built)

    return build


def residual(*branch: Layer, shortcut: Layer | None = None, scale: float = 1.0, relu: bool = False) -> Layer:
    """A branch added to its input, or to `shortcut` of it; `relu` acts on the sum.

    Scaling the branch keeps very wide residual networks from dying early (arXiv:1602.07261, section 3.3).
    """

    def build(width: int) -> tuple[nn.Module, int]:
        module, channels = chain(*branch)(width)
        beside, same = shortcut(width) if shortcut else (nn.Identity(), width)
        assert channels == same, f"a residual branch of {channels} channels cannot be added to {same}"
        return Residual(module, beside, scale, relu), channels

    return build


def _convolution(
    width: int, channels: int, kernel: int | Pair, stride: int, pad: Pad, *, bias: bool, groups: int = 1
) -> OrderedDict[str, nn.Module]:
    unit = OrderedDict[str, nn.Module]()
    if pad is SAME:
        assert isinstance(kernel, int)
        unit["pad"], pad = SamePad(kernel, stride, 0.0), 0
    unit["conv"] = nn.Conv2d(width, channels, kernel, stride, _padding(kernel, pad), groups=groups, bias=bias)
    return unit


def _padding(kernel: int | Pair, pad: Pad) -> int | Pair:
    if pad is not None:
        assert not isinstance(pad, Padding)
        return pad
    return kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)

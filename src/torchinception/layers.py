"""The vocabulary of the family: leaves (convolutions, pools, ...) and combinators (chain, concat).

A `Layer` is a recipe, not a module: a function that is told the number of input channels and
returns a module with its number of output channels. The modules it builds are plain PyTorch.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

Layer = Callable[[int], tuple[nn.Module, int]]
Pair = tuple[int, int]


class ConvLayer(Protocol):
    """What `conv` and `conv_bias` share, so that a table can be written once for both."""

    def __call__(
        self, channels: int, kernel: int | Pair = 1, *, stride: int = 1, pad: int | Pair | None = None
    ) -> Layer:
        """A convolution with what the network puts behind each."""


class Concat(nn.ModuleList):
    """Parallel branches over one input, joined along channels: (N, C, H, W) -> (N, sum C_i, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """The branches' outputs, in order."""
        return torch.cat([branch(x) for branch in self], 1)


def conv(
    channels: int, kernel: int | Pair = 1, *, stride: int = 1, pad: int | Pair | None = None, eps: float = 1e-3
) -> Layer:
    """Convolution without bias, batch norm, ReLU: the unit of every network since arXiv:1502.03167.

    `pad=None` pads half the kernel, so that stride 1 keeps the size. `eps` is batch norm's, 1e-3 as
    in TensorFlow's releases. Running statistics move by 0.1 a step (PyTorch's convention; TF-slim's
    0.0003 needs far longer runs than most people's).
    """

    def build(width: int) -> tuple[nn.Module, int]:
        unit = OrderedDict[str, nn.Module](
            conv=nn.Conv2d(width, channels, kernel, stride, _padding(kernel, pad), bias=False),
            bn=nn.BatchNorm2d(channels, eps=eps, momentum=0.1),
            relu=nn.ReLU(inplace=True),
        )
        return nn.Sequential(unit), channels

    return build


def conv_bias(channels: int, kernel: int | Pair = 1, *, stride: int = 1, pad: int | Pair | None = None) -> Layer:
    """Convolution with bias, ReLU: the unit of GoogLeNet as first published (arXiv:1409.4842)."""

    def build(width: int) -> tuple[nn.Module, int]:
        unit = OrderedDict[str, nn.Module](
            conv=nn.Conv2d(width, channels, kernel, stride, _padding(kernel, pad), bias=True),
            relu=nn.ReLU(inplace=True),
        )
        return nn.Sequential(unit), channels

    return build


def max_pool(kernel: int = 3, *, stride: int = 1, pad: int | None = None, ceil: bool = False) -> Layer:
    """Max pool; `ceil` rounds the output size up, as Caffe does."""
    return lambda width: (nn.MaxPool2d(kernel, stride, _padding(kernel, pad), ceil_mode=ceil), width)


def avg_pool(kernel: int = 3, *, stride: int = 1, pad: int | None = None, count_padding: bool = False) -> Layer:
    """Average pool. TensorFlow leaves padding out of the mean, as here; PyTorch's default counts it."""
    return lambda width: (nn.AvgPool2d(kernel, stride, _padding(kernel, pad), count_include_pad=count_padding), width)


def lrn() -> Layer:
    """Local response normalization over 5 channels with Caffe's constants (alpha 1e-4, beta 0.75, k 1)."""
    return lambda width: (nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0), width)


def flatten(cells: int) -> Layer:
    """(N, C, H, W) -> (N, C * cells), where cells = H * W is fixed by the linear layer behind it."""
    return lambda width: (nn.Flatten(), width * cells)


def linear(features: int) -> Layer:
    """Fully connected layer with bias: (N, C) -> (N, features)."""
    return lambda width: (nn.Linear(width, features), features)


def relu() -> Layer:
    """Rectified linear unit, in place."""
    return lambda width: (nn.ReLU(inplace=True), width)


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


def _padding(kernel: int | Pair, pad: int | Pair | None) -> int | Pair:
    if pad is not None:
        return pad
    return kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)

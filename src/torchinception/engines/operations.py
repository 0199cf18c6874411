"""What a node of a graph can do: one small immutable record a kind."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from torchinception.layers import Padding, Pair


class Sides(NamedTuple):
    """Cells of padding."""

    top: int
    bottom: int
    left: int
    right: int


UNPADDED = Sides(0, 0, 0, 0)
Pad = Sides | Padding  # SAME: the sides depend on the size of the input; see `sides`


@dataclass(frozen=True)
class Input:
    """The pictures."""

    channels: int


@dataclass(frozen=True, eq=False)
class Convolution:
    """Kernel (C', C / groups, h, w), bias (C') or None. Padding has the value `fill` (C); None is 0."""

    kernel: Tensor
    bias: Tensor | None
    stride: Pair
    padding: Pad
    groups: int = 1
    fill: Tensor | None = None
    relu: bool = False

    @property
    def window(self) -> Pair:
        """Rows and columns of the kernel."""
        return self.kernel.shape[2], self.kernel.shape[3]

    @property
    def bias_or_zeros(self) -> Tensor:
        """The bias in float64, 0 for None."""
        return self.kernel.new_zeros(len(self.kernel)).double() if self.bias is None else self.bias.double()

    @property
    def is_pointwise(self) -> bool:
        """1x1 and of all channels, but for a stride."""
        return self.window == (1, 1) and self.padding == UNPADDED and self.groups == 1

    @property
    def is_depthwise(self) -> bool:
        """One output a channel."""
        return 1 < self.groups == len(self.kernel) and self.kernel.shape[1] == 1


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """`(x - mean) / sqrt(variance + eps) * gamma + beta`, each (C)."""

    mean: Tensor
    variance: Tensor
    gamma: Tensor
    beta: Tensor
    eps: float


@dataclass(frozen=True, eq=False)
class Affine:
    """`x * scale + shift`, each (C), then ReLU if asked for; a scale of None is 1."""

    scale: Tensor | None
    shift: Tensor
    relu: bool = False


@dataclass(frozen=True)
class Relu:
    """`max(x, 0)`."""


@dataclass(frozen=True)
class MaxPool:
    """Padding never wins. `ceil` rounds the size up, but every window begins inside the input or ahead of it."""

    window: Pair
    stride: Pair
    padding: Pad
    ceil: bool


@dataclass(frozen=True)
class AveragePool:
    """Mean of a window; padding counts as zeros, or not at all. `ceil` as in `MaxPool`; what it adds never counts."""

    window: Pair
    stride: Pair
    padding: Sides
    ceil: bool
    count_padding: bool


@dataclass(frozen=True)
class AdaptivePool:
    """Mean over `cells` (rows, columns) windows that cover the input, as `nn.AdaptiveAvgPool2d` cuts them."""

    cells: Pair


@dataclass(frozen=True)
class GlobalPool:
    """Mean over the whole grid: (N, C, H, W) -> (N, C)."""


@dataclass(frozen=True)
class ResponseNorm:
    """`x / (k + alpha * mean of x² over size channels around) ** beta`; channels that are not there are 0."""

    size: int
    alpha: float
    beta: float
    k: float


@dataclass(frozen=True)
class Join:
    """Any number of inputs, joined along channels."""


@dataclass(frozen=True)
class Slice:
    """Channels `start` to `stop`, without `stop`."""

    start: int
    stop: int


@dataclass(frozen=True)
class Add:
    """`inputs[0] + scale * inputs[1]`, the shortcut and the branch, then ReLU if asked for."""

    scale: float = 1.0
    relu: bool = False


@dataclass(frozen=True, eq=False)
class Linear:
    """Weight (C', C), bias (C'): (N, C) -> (N, C')."""

    weight: Tensor
    bias: Tensor


Operation = (
    Input
    | Convolution
    | BatchNorm
    | Affine
    | Relu
    | MaxPool
    | AveragePool
    | AdaptivePool
    | GlobalPool
    | ResponseNorm
    | Join
    | Slice
    | Add
    | Linear
)


def sides(padding: Pad, window: Pair, stride: Pair, height: int, width: int) -> Sides:
    """The padding of an input of that size: TensorFlow's SAME puts the odd cell at the end."""
    if isinstance(padding, Sides):
        return padding
    down, across = (
        max((-(-size // step) - 1) * step + length - size, 0)
        for size, step, length in zip((height, width), stride, window, strict=True)
    )
    return Sides(down // 2, down - down // 2, across // 2, across - across // 2)

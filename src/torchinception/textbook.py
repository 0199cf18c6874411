"""The textbook's stand-alone modules, with its names and arguments, to be printed and taken apart.

Each maps (N, C, H, W) to (N, C', H, W), on any device. A `BasicConv2d` is a convolution and ReLU, in
version 2 with batch norm between them; printed, both bear that name, hence a class within each module.
ReLU is a function there and appears in no listing.

Differs:
    - `Inceptionv1` is figure 2(b) of arXiv:1409.4842. The book's example, (3, 64, 32, 64, 64, 96, 32), is
      no row of table 1: GoogLeNet has no module on the picture itself, and reduces to fewer channels
      ahead of a 5x5 than ahead of a 3x3, the example to more.
    - `Inceptionv2` is the block of 35x35 that the released Inception-ResNet-v2 begins with
      (`mixed_5b`), with a 3x3 where that has a 5x5; it is no row of arXiv:1502.03167, figure 5.
      Its convolutions have biases, which the batch norm behind them takes out again.
    - `Factorized` is by itself what stands behind a 1x1 in figure 6 of arXiv:1512.00567.
    - No auxiliary head of arXiv:1512.00567 has a 7x7 convolution; see `inception_v3`.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's name for it

from torchinception.errors import UsageError
from torchinception.layers import Pair
from torchinception.models import Inception, build, find_spec
from torchinception.models.inception_v3 import auxiliary


class _Branches(nn.Module):
    """Every child sees the input; what they put out is joined along channels."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, sum C_i, H, W)."""
        return torch.cat([branch(x) for branch in self.children()], 1)


class Inceptionv1(_Branches):
    """The Inception module with 1x1 reductions: figure 2(b) of arXiv:1409.4842.

    Args:
        in_dim: channels of the input.
        hid_1_1: of the 1x1 branch.
        hid_2_1: of the reduction ahead of the 3x3.
        hid_2_3: of the 3x3.
        hid_3_1: of the reduction ahead of the 5x5.
        out_3_5: of the 5x5.
        out_4_1: of the 1x1 behind the pool.

    >>> Inceptionv1(3, 64, 32, 64, 64, 96, 32)(torch.zeros(1, 3, 256, 256)).shape
    torch.Size([1, 256, 256, 256])
    """

    class BasicConv2d(nn.Module):
        """Convolution with bias, ReLU."""

        def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0) -> None:
            super().__init__()
            self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding)

        def forward(self, x: Tensor) -> Tensor:
            """(N, in_channels, H, W) -> (N, out_channels, H', W')."""
            return F.relu(self.conv(x), inplace=True)

    def __init__(
        self, in_dim: int, hid_1_1: int, hid_2_1: int, hid_2_3: int, hid_3_1: int, out_3_5: int, out_4_1: int
    ) -> None:
        super().__init__()
        conv = self.BasicConv2d
        self.branch1x1 = conv(in_dim, hid_1_1, 1)
        self.branch3x3 = nn.Sequential(conv(in_dim, hid_2_1, 1), conv(hid_2_1, hid_2_3, 3, padding=1))
        self.branch5x5 = nn.Sequential(conv(in_dim, hid_3_1, 1), conv(hid_3_1, out_3_5, 5, padding=2))
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(in_dim, out_4_1, 1))


class NaiveInception(_Branches):
    """The book's figure 3.13, figure 2(a) of arXiv:1409.4842: no reductions, the pool passes through.

    (N, in_dim, H, W) -> (N, n1x1 + n3x3 + n5x5 + in_dim, H, W): no module can be narrower than the one before.
    """

    def __init__(self, in_dim: int, n1x1: int, n3x3: int, n5x5: int) -> None:
        super().__init__()
        self.branch1x1 = Inceptionv1.BasicConv2d(in_dim, n1x1, 1)
        self.branch3x3 = Inceptionv1.BasicConv2d(in_dim, n3x3, 3, padding=1)
        self.branch5x5 = Inceptionv1.BasicConv2d(in_dim, n5x5, 5, padding=2)
        self.branch_pool = nn.MaxPool2d(3, stride=1, padding=1)


class Inceptionv2(_Branches):
    """Two 3x3 in place of a 5x5, and batch norm: 192 channels to 96 + 64 + 96 + 64 = 320.

    >>> Inceptionv2()(torch.zeros(1, 192, 32, 32)).shape
    torch.Size([1, 320, 32, 32])
    """

    class BasicConv2d(nn.Module):
        """Convolution with bias, batch norm (eps 0.001), ReLU."""

        def __init__(
            self, in_channels: int, out_channels: int, kernel_size: int | Pair, padding: int | Pair = 0
        ) -> None:
            super().__init__()
            self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding)
            self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

        def forward(self, x: Tensor) -> Tensor:
            """(N, in_channels, H, W) -> (N, out_channels, H', W')."""
            return F.relu(self.bn(self.conv(x)), inplace=True)

    def __init__(self) -> None:
        super().__init__()
        conv, width = self.BasicConv2d, 192
        pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)  # as TensorFlow does
        self.branch1 = conv(width, 96, 1)
        self.branch2 = nn.Sequential(conv(width, 48, 1), conv(48, 64, 3, padding=1))
        self.branch3 = nn.Sequential(conv(width, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, padding=1))
        self.branch4 = nn.Sequential(pool, conv(width, 64, 1))


class Factorized(nn.Sequential):
    """The book's figure 3.16, of arXiv:1512.00567, section 3.2: 1xn, then nx1, in place of nxn; n is odd.

    (N, in_dim, H, W) -> (N, out_dim, H, W). The first keeps the width, as in Inception-v3's 17x17 blocks, so
    that at equal widths 2/n of the multiply-adds remain: a third is saved at n = 3, not at every n.
    """

    def __init__(self, in_dim: int, out_dim: int, n: int) -> None:
        conv, half = Inceptionv2.BasicConv2d, n // 2
        super().__init__(
            conv(in_dim, in_dim, (1, n), padding=(0, half)), conv(in_dim, out_dim, (n, 1), padding=(half, 0))
        )


def inception_v3(classes: int = 1000, aux_kernel: int = 7) -> Inception:
    """Inception-v3 with its auxiliary head as the textbook reads it, with a 7x7 convolution.

    That is a misreading. "Factorized 7x7" in table 3 of arXiv:1512.00567 is about the first layers, where
    three 3x3 stand for GoogLeNet's 7x7; the published head has a 5x5 (`aux_kernel=5`, the same network as
    `create("inception_v3", aux=True)`). At 299 px the head's grid has 5x5 cells: all that a 7x7 adds, the
    ring of 24 weights around its 5x5, meets the padding and nothing else.

    Raises:
        UsageError: `aux_kernel` is even, or below 5.
    """
    if aux_kernel < 5 or aux_kernel % 2 == 0:
        raise UsageError(f"aux_kernel is 5 (as published), 7 (the textbook's) or a larger odd one, not {aux_kernel}")
    spec = replace(find_spec("inception_v3"), aux=dict(mixed_6e=auxiliary(aux_kernel)))
    return build("inception_v3", spec, classes, aux=True)

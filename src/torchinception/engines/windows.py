"""Where the windows of convolutions and pools lie, and what shapes come of that, for runtimes that have to be told."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchinception.engines.operations import (
    AdaptivePool,
    AveragePool,
    Convolution,
    GlobalPool,
    Join,
    Linear,
    MaxPool,
    Operation,
    Sides,
    Slice,
    sides,
)
from torchinception.errors import UsageError
from torchinception.layers import Pair

Shape = tuple[int, ...]  # (C, H, W) or (C), without the batch


def output_shape(operation: Operation, reads: Sequence[Shape]) -> Shape:
    """What anything but an `Input` makes of values of these shapes.

    Raises:
        UsageError: they are too small.
    """
    channels, *size = reads[0]
    match operation:
        case Convolution() | MaxPool() | AveragePool():
            _, windows = place_windows(operation, reads[0])
            return len(operation.kernel) if isinstance(operation, Convolution) else channels, *windows
        case AdaptivePool(cells):
            return channels, *cells
        case GlobalPool():
            return (channels,)
        case Join():
            return sum(each[0] for each in reads), *size
        case Slice(start, stop):
            return stop - start, *size
        case Linear(weight):
            return (len(weight),)
    return reads[0]


def place_windows(operation: Convolution | MaxPool | AveragePool, read: Shape) -> tuple[Sides, Pair]:
    """Padding around a value of that shape, and how many windows there are.

    Raises:
        UsageError: there is none.
    """
    _, *size = read
    pad = sides(operation.padding, operation.window, operation.stride, *size)
    ceil = not isinstance(operation, Convolution) and operation.ceil
    return pad, count_windows((size[0], size[1]), operation.window, operation.stride, pad, ceil=ceil)


def count_windows(size: Pair, kernel: Pair, stride: Pair, pad: Sides, *, ceil: bool = False) -> Pair:
    """How many windows fit; with `ceil` also one that fits in part, if it begins ahead of the padding at the end.

    Raises:
        UsageError: not one does.
    """

    def along(length: int, window: int, step: int, before: int, after: int) -> int:
        room = length + before + after - window
        count = (-(-room // step) if ceil else room // step) + 1
        return count - 1 if ceil and (count - 1) * step >= length + before else count

    rows = along(size[0], kernel[0], stride[0], pad.top, pad.bottom)
    columns = along(size[1], kernel[1], stride[1], pad.left, pad.right)
    if min(rows, columns) < 1:
        raise UsageError(f"the pictures are too small: a window of {kernel} has to fit in {size}")
    return rows, columns


def reach_last_window(size: Pair, kernel: Pair, stride: Pair, pad: Sides, windows: Pair) -> Sides:
    """`pad` with as much at the ends as so many windows reach into, and no more."""
    bottom, right = (
        max((count - 1) * step + window - length - before, 0)
        for count, step, window, length, before in zip(windows, stride, kernel, size, (pad.top, pad.left), strict=True)
    )
    return Sides(pad.top, bottom, pad.left, right)


def adaptive_means(length: int, cells: int) -> Tensor:
    """(cells, length), float64: row i takes the mean from `floor(i * length / cells)` to `ceil((i + 1) ...)`."""
    matrix = torch.zeros(cells, length, dtype=torch.float64)
    for i in range(cells):
        start, stop = i * length // cells, -(-(i + 1) * length // cells)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def channel_means(channels: int, size: int) -> Tensor:
    """(channels, channels), float64: row i sums the `size` channels around i, those that are there, over `size`."""
    before = size // 2
    offset = torch.arange(channels) - torch.arange(channels)[:, None]
    return ((offset >= -before) & (offset < size - before)).double() / size

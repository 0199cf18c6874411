"""Where the cells of a stage lie in the picture, and a map of cells as one of pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchinception.layers import Concat, Residual, SamePad
from torchinception.network import Inception


@dataclass(frozen=True)
class Cells:
    """`count` cells a side, the first with its middle on pixel `first`, the others `step` pixels apart.

    Without padding the outer cells lie well inside the picture, and a pool that rounds its size up shifts all of them:
    of Inception-v3 at 299 px they are from 37 to 261, of GoogLeNet at 224 px from 30 to 222. To stretch the map over
    the picture, as is often done, puts it off by half a cell there.
    """

    count: int
    first: float = 0.0
    step: int = 1

    def enlarge(self, maps: Tensor, size: int) -> Tensor:
        """(N, count, count) -> (N, size, size), linear between the cells; outside of them as at the nearest."""
        places = ((torch.arange(size) - self.first) / self.step).clamp(0, self.count - 1)
        weights = (1 - (places[:, None] - torch.arange(self.count)).abs()).clamp(min=0).to(maps)  # (size, count)
        return weights @ maps @ weights.T


def stage_cells(net: Inception, size: int) -> dict[str, Cells]:
    """The cells of each stage for a picture of `size` x `size`."""
    cells, found = Cells(size), {}
    for stage, module in net.trunk.named_children():
        cells = found[stage] = _behind(module, cells)
    return found


def _behind(module: nn.Module, cells: Cells) -> Cells:
    if isinstance(module, nn.Sequential):
        for child in module:
            cells = _behind(child, cells)
    elif isinstance(module, Concat):
        cells = _behind(module[0], cells)  # all branches end on the same cells
    elif isinstance(module, Residual):
        cells = _behind(module.branch, cells)
    elif isinstance(module, SamePad):
        total = max((-(-cells.count // module.stride) - 1) * module.stride + module.kernel - cells.count, 0)
        cells = Cells(cells.count + total, cells.first - total // 2 * cells.step, cells.step)
    elif isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        # of 1xn and nx1 the height alone: they are padded to keep the size
        kernel, stride, padding = map(_height, (module.kernel_size, module.stride, module.padding))
        room = cells.count + 2 * padding - kernel
        up = getattr(module, "ceil_mode", False)
        count = (-(-room // stride) if up else room // stride) + 1
        cells = Cells(count, cells.first + ((kernel - 1) / 2 - padding) * cells.step, cells.step * stride)
    return cells


def _height(value: int | tuple[int, ...] | str) -> int:
    assert not isinstance(value, str)
    return value if isinstance(value, int) else value[0]

"""A graph as operations of the native library, for pictures of one size.

A value is a view: some channels of a buffer. What a `Join` joins is written where the joined buffer has it, so that
joining costs nothing; 1x1 convolutions of one value are one call, with a view for each to write to; a sum is part of
the convolution that makes one of its sides, and what `move_average_pool` puts behind a pool part of the pool.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812, the field's name for it

from torchinception.engines.graph import Graph, Node
from torchinception.engines.native_library import NOTHING, Plan, Segment, View, Weights
from torchinception.engines.operations import (
    UNPADDED,
    AdaptivePool,
    Add,
    Affine,
    AveragePool,
    BatchNorm,
    Convolution,
    GlobalPool,
    Input,
    Join,
    Linear,
    MaxPool,
    Operation,
    Relu,
    ResponseNorm,
    Sides,
    Slice,
    sides,
)
from torchinception.engines.rewrite import Rewrite, fold_batch_norm, fold_residual_scale, fuse_relu, move_average_pool
from torchinception.engines.windows import count_windows
from torchinception.errors import UsageError
from torchinception.layers import Pair

REWRITES: tuple[Rewrite, ...] = (fold_batch_norm, fold_residual_scale, move_average_pool, fuse_relu)
Shape = tuple[int, int, int]  # rows, columns, channels


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution as the library is given it; `key` tells it, in this form, from all others of its network.

    Kernel (C', C, h, w), or (C, 1, h, w) if `depthwise`; bias (C') or None; how many of C' go into which segment.
    `size` is that of its output: rows, columns.
    """

    key: str
    kernel: Tensor
    bias: Tensor | None
    segments: tuple[int, ...]
    stride: int
    size: Pair
    depthwise: bool = False


def check_operations(graph: Graph) -> None:
    """Refuse what the library cannot compute.

    Raises:
        UsageError: it names the operation.
    """
    for node in graph.nodes:
        stride, fill = getattr(node.operation, "stride", (1, 1)), getattr(node.operation, "fill", None)
        if isinstance(node.operation, Slice) or stride[0] != stride[1] or fill is not None:
            kind = type(node.operation).__name__
            raise UsageError(f"the engine native cannot compute {node.name}, a {kind} of stride {stride}; torch can")


class Lowering:
    """Adds a graph's operations to a plan; bytes become `(x / 255 - mean) / std`.

    Attributes:
        names: of the node that each operation of the plan is for.
        layers: the convolutions, by the number of their operation.
        views: where each value is.
    """

    def __init__(
        self,
        graph: Graph,
        size: Pair,
        plan: Plan,
        pack: Callable[[Layer], Weights],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.nodes, self.plan, self._pack = graph.by_name, plan, pack
        self.names, self.layers = list[str](), dict[int, Layer]()
        self.convolutions = {
            node.name: node.operation for node in graph.nodes if isinstance(node.operation, Convolution)
        }
        self.readers: dict[str, list[str]] = defaultdict(list)
        for node in graph.nodes:
            for value in node.inputs:
                self.readers[value].append(node.name)
        self.shapes = dict[str, Shape]()
        for node in graph.nodes:
            self.shapes[node.name] = _shape(node.operation, [self.shapes[value] for value in node.inputs], size)
        self.sums = self._find_sums()
        self.absorbed = {*self.sums.values(), *filter(self._is_absorbed, self.nodes)}  # no operations of their own
        self.families = self._find_families()
        self.views, self.copies = dict[str, View](), dict[str, list[tuple[str, View]]]()
        self._place()
        for node in graph.nodes:
            if isinstance(node.operation, Input):
                self._add_pictures(node.name, mean, std)
            elif node.name not in self.absorbed:
                self._add(node)

    def _find_sums(self) -> dict[str, str]:
        """Sums, each with the convolution that computes it: a side that nothing else reads, the branch if both may."""
        found = dict[str, str]()
        for node in self.nodes.values():
            if node.operation != Add(1.0, relu=False) and node.operation != Add(1.0, relu=True):
                continue
            for value in node.inputs:
                conv = self.convolutions.get(value)
                if conv and not conv.relu and not _is_depthwise(conv) and len(self.readers[value]) == 1:
                    found[node.name] = value
        return found

    def _is_absorbed(self, value: str) -> bool:
        """Whether it is a ReLU that depthwise convolutions apply to what they read, or a pool ahead of its bias."""
        operation, readers = (
            self.nodes[value].operation,
            [self.nodes[reader].operation for reader in self.readers[value]],
        )
        if isinstance(operation, Relu) and readers:
            return all(isinstance(reader, Convolution) and _is_depthwise(reader) for reader in readers)
        if isinstance(operation, AveragePool) and len(readers) == 1:
            return isinstance(readers[0], Affine) and readers[0].scale is None
        return False

    def _find_families(self) -> dict[str, list[str]]:
        """Convolutions that are one call, by the first of them; most are alone."""
        found: dict[object, list[str]] = defaultdict(list)
        for name, conv in self.convolutions.items():
            if name not in self.absorbed:
                alike = conv.kernel.shape[2:] == (1, 1) and conv.padding == UNPADDED and conv.groups == 1
                found[(self.nodes[name].inputs, conv.stride) if alike else name].append(name)
        return {family[0]: family for family in found.values()}

    def _place(self) -> None:
        """A view for every value: where the `Join` that reads it has it, or in a buffer of its own."""
        for node in reversed(self.nodes.values()):
            if node.name in self.absorbed or isinstance(node.operation, Input):
                continue
            if node.name not in self.views:
                self.views[node.name] = self.plan.buffer(*self.shapes[node.name])
            if isinstance(node.operation, Join):
                at, copies = self.views[node.name], list[tuple[str, View]]()
                offset = at.offset
                for value in node.inputs:
                    part = View(at.buffer, offset, self.shapes[value][2])
                    if value in self.views or isinstance(self.nodes[value].operation, Input):
                        copies.append((value, part))  # it cannot be in two places
                    else:
                        self.views[value] = part
                    offset += part.channels
                self.copies[node.name] = copies

    def _add_pictures(self, name: str, mean: Sequence[float], std: Sequence[float]) -> None:
        rows, columns, channels = self.shapes[name]
        border, block, size = UNPADDED, 1, (rows, columns)
        if self._is_blocked(name):
            border, block = self._padding(self.readers[name][0]), 2
            size = -(-(rows + border.top + border.bottom) // 2), -(-(columns + border.left + border.right) // 2)
        self.views[name] = self.plan.buffer(*size, channels * block**2)
        means, stds = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
        self.plan.pictures(self.views[name], (rows, columns), border, block, 1 / (255 * stds), -means / stds)
        self.names.append(name)

    def _is_blocked(self, value: str) -> bool:
        """Whether it is the pictures, read by one convolution of stride 2: in blocks of 2 x 2 its stride becomes 1."""
        conv = self.convolutions.get(self.readers[value][0])
        if not isinstance(self.nodes[value].operation, Input) or len(self.readers[value]) > 1 or conv is None:
            return False
        odd = conv.kernel.shape[2] % 2 == conv.kernel.shape[3] % 2 == 1  # a pixel is missing behind even ones
        return odd and conv.stride == (2, 2) and not _is_depthwise(conv)

    def _add(self, node: Node) -> None:
        """What makes a value of others that are there."""
        plan, name, to = self.plan, node.name, self.views[node.name]
        reads = [self.views[value] for value in node.inputs if value not in self.absorbed]
        match node.operation:
            case Convolution() as conv if _is_depthwise(conv):
                self._add_depthwise(name, conv, to)
            case Convolution():
                if name not in self.families:
                    return  # added with the first of its family
                family = self.families[name]
                self._add_convolution(
                    {each: Segment(self.views[each], NOTHING, self.convolutions[each].relu) for each in family}
                )
            case Add(_, relu) if name in self.sums:
                self._add_convolution({self.sums[name]: Segment(to, reads[0], relu)})
            case Add(scale, relu):
                plan.add(*reads, scale, to, relu)
            case Linear(weight, bias):
                layer = Layer(name, weight[:, :, None, None], bias, (len(bias),), 1, (1, 1))
                plan.convolution(reads[0], self.pack(layer), 1, UNPADDED, Segment(to))
            case Join():
                for value, part in self.copies[name]:
                    plan.affine(self.views[value], None, None, part, relu=False)
                    self.names.append(name)
                return
            case Affine(_, shift, relu) if not reads:
                self._add_pool(node.inputs[0], to, shift, relu=relu)
            case MaxPool() | AveragePool():
                self._add_pool(name, to, None, relu=False)
            case Affine(scale, shift, relu):
                plan.affine(reads[0], scale, shift, to, relu)
            case BatchNorm(mean, variance, gamma, beta, eps):
                scale = gamma / (variance + eps).sqrt()
                plan.affine(reads[0], scale, beta - mean * scale, to, relu=False)
            case Relu():
                plan.affine(reads[0], None, None, to, relu=True)
            case AdaptivePool() | GlobalPool():
                plan.adaptive_pool(reads[0], to)
            case ResponseNorm(size, alpha, beta, k):
                plan.response_norm(reads[0], size, alpha, beta, k, to)
            case _:
                raise AssertionError(f"{name} is {node.operation}")
        self.names.append(name)

    def _add_convolution(self, segments: dict[str, Segment]) -> None:
        """One, or several 1x1 convolutions of the same value; what each puts out goes into a segment of its own."""
        convs = [self.convolutions[name] for name in segments]
        first, (value,) = next(iter(segments)), self.nodes[next(iter(segments))].inputs
        kernel, stride, padding = torch.cat([_dense(conv) for conv in convs]), convs[0].stride[0], self._padding(first)
        bias = None
        if any(conv.bias is not None for conv in convs):
            bias = torch.cat([kernel.new_zeros(len(conv.kernel)) if conv.bias is None else conv.bias for conv in convs])
        if self._is_blocked(value):
            kernel, stride, padding = _block(kernel), 1, UNPADDED
        counts, rows_and_columns = tuple(len(conv.kernel) for conv in convs), self.shapes[first][:2]
        layer = Layer(f"{' '.join(segments)} {tuple(kernel.shape)}", kernel, bias, counts, stride, rows_and_columns)
        self.plan.convolution(self.views[value], self.pack(layer), stride, padding, *segments.values())

    def _add_depthwise(self, name: str, conv: Convolution, to: View) -> None:
        (value,) = self.nodes[name].inputs
        relu_first = value in self.absorbed
        source = self.nodes[value].inputs[0] if relu_first else value
        layer = Layer(
            name, conv.kernel, conv.bias, (len(conv.kernel),), conv.stride[0], self.shapes[name][:2], depthwise=True
        )
        padding = self._padding(name)
        self.plan.depthwise(
            self.views[source], self.pack(layer), conv.stride[0], padding, to, relu_first=relu_first, relu=conv.relu
        )

    def _add_pool(self, name: str, to: View, bias: Tensor | None, *, relu: bool) -> None:
        pool, (value,) = self.nodes[name].operation, self.nodes[name].inputs
        assert isinstance(pool, MaxPool | AveragePool)
        kind = "max"
        if isinstance(pool, AveragePool):
            kind = "average with padding" if pool.count_padding else "average"
        self.plan.pool(kind, self.views[value], pool.kernel, pool.stride[0], self._padding(name), to, bias, relu)

    def pack(self, layer: Layer) -> Weights:
        """For the operation that is added next."""
        self.layers[len(self.names)] = layer
        return self._pack(layer)

    def _padding(self, name: str) -> Sides:
        """Of a convolution or pool, in cells."""
        operation, rows_and_columns = self.nodes[name].operation, self.shapes[self.nodes[name].inputs[0]][:2]
        assert isinstance(operation, Convolution | MaxPool | AveragePool)
        return sides(operation.padding, _window(operation), operation.stride, *rows_and_columns)


def _shape(operation: Operation, reads: Sequence[Shape], size: Pair) -> Shape:
    """What an operation makes of values of these shapes."""
    match operation:
        case Input(channels):
            return *size, channels
        case Convolution() | MaxPool() | AveragePool():
            rows, columns, channels = reads[0]
            window, stride, ceil = _window(operation), operation.stride, getattr(operation, "ceil", False)
            cells = sides(operation.padding, window, stride, rows, columns)
            windows = count_windows((rows, columns), window, stride, cells, ceil=ceil)
            return *windows, len(operation.kernel) if isinstance(operation, Convolution) else channels
        case AdaptivePool(cells):
            return *cells, reads[0][2]
        case GlobalPool():
            return 1, 1, reads[0][2]
        case Linear(_, bias):
            return 1, 1, len(bias)
        case Join():
            return *reads[0][:2], sum(channels for _, _, channels in reads)
    return reads[0]


def _window(operation: Convolution | MaxPool | AveragePool) -> Pair:
    if isinstance(operation, Convolution):
        return operation.kernel.shape[2], operation.kernel.shape[3]
    return operation.kernel


def _is_depthwise(conv: Convolution) -> bool:
    """One output a channel; what has groups and is not, is computed as if it had none (`_dense`)."""
    return 1 < conv.groups == len(conv.kernel) and conv.kernel.shape[1] == 1


def _dense(conv: Convolution) -> Tensor:
    """The kernel (C', C, h, w) of all input channels, 0 for those that an output does not read."""
    outputs, inputs, rows, columns = conv.kernel.shape
    parts = conv.kernel.view(conv.groups, outputs // conv.groups, inputs, rows, columns)
    dense = conv.kernel.new_zeros(conv.groups, outputs // conv.groups, conv.groups, inputs, rows, columns)
    for group in range(conv.groups):
        dense[group, :, group] = parts[group]
    return dense.view(outputs, conv.groups * inputs, rows, columns)


def _block(kernel: Tensor) -> Tensor:
    """A kernel (C', C, 2m - 1, 2n - 1) for pictures in blocks of 2 x 2 pixels: (C', 4 C, m, n)."""
    outputs, inputs, rows, columns = kernel.shape
    parts = F.pad(kernel, (0, 1, 0, 1)).view(outputs, inputs, (rows + 1) // 2, 2, (columns + 1) // 2, 2)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(outputs, 4 * inputs, (rows + 1) // 2, (columns + 1) // 2)

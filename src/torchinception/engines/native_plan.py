"""A graph as operations of the native library, for pictures of one size.

A value is a view: some channels of a buffer. What a `Join` joins is written where the joined buffer has it, so that
joining costs nothing; 1x1 convolutions of one value are one call, with a view for each to write to; a sum is part of
the convolution that makes one of its sides, and what `move_average_pool` puts behind a pool part of the pool.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812, the field's name for it

from torchinception.engines import operations as op
from torchinception.engines.graph import Graph, Node
from torchinception.engines.native_library import NOTHING, POINT, Plan, Segment, View, Weights
from torchinception.engines.operations import UNPADDED
from torchinception.engines.rewrite import fold_batch_norm, fold_residual_scale, fuse_relu, move_average_pool
from torchinception.engines.windows import Shape, place_windows
from torchinception.errors import UsageError
from torchinception.layers import Pair

REWRITES = (fold_batch_norm, fold_residual_scale, move_average_pool, fuse_relu)


class Layer(NamedTuple):
    """A convolution as the library is given it; `key` tells it, in this form, from all others of its network.

    Kernel (C', C, h, w), bias (C'); how many of C' go into which segment. `size` is that of its output: rows, columns.
    """

    key: str
    kernel: Tensor
    bias: Tensor
    segments: tuple[int, ...]
    stride: int
    size: Shape


Pack = Callable[[Layer], Weights]


def check_operations(graph: Graph) -> None:
    """Refuse what the library cannot compute.

    Raises:
        UsageError: it names the operation.
    """
    for node in graph.nodes:
        down, across = getattr(node.operation, "stride", (1, 1))
        if down != across or isinstance(node.operation, op.Slice):
            kind = type(node.operation).__name__
            raise UsageError(f"the engine native has no {kind} as {node.name}, of stride {down} x {across}; torch has")


class Lowering:
    """Adds a graph's operations to a plan; bytes become `x * scale + shift`.

    Attributes:
        views: where each value is.
        names: of the node that each operation of the plan is for.
        layers: the convolutions but for depthwise ones, which are pools, by the number of their operation.
    """

    def __init__(self, graph: Graph, size: Pair, plan: Plan, pack: Pack, scale: Tensor, shift: Tensor) -> None:
        nodes = tuple(replace(node, operation=_simpler(node.operation)) for node in graph.nodes)
        graph = replace(graph, nodes=nodes)
        self.nodes, self.shapes, self.plan, self._pack = graph.by_name, graph.shapes(size), plan, pack
        self.views, self.names, self.layers = dict[str, View](), list[str](), dict[int, Layer]()
        self.convs = {node.name: node.operation for node in nodes if isinstance(node.operation, op.Convolution)}
        self.readers = defaultdict[str, list[str]](list)
        for node in nodes:
            for value in node.inputs:
                self.readers[value].append(node.name)
        self.sums = self._find_sums()
        self.absorbed = {*self.sums.values(), *filter(self._is_absorbed, self.nodes)}  # no operations of their own
        self.families = self._find_families()
        self._place()
        for node in nodes:
            if isinstance(node.operation, op.Input):
                self._add_pictures(node.name, scale, shift)
            elif node.name not in self.absorbed:
                self._add(node)
            self.names += [node.name] * (plan.operations - len(self.names))

    def _find_sums(self) -> dict[str, str]:
        """Sums, each with the convolution that computes it: a side that nothing else reads, the branch if both may."""
        found = dict[str, str]()
        for node in self.nodes.values():
            if isinstance(node.operation, op.Add) and node.operation.scale == 1:
                for value in node.inputs:
                    conv = self.convs.get(value)
                    if conv and not conv.relu and not conv.is_depthwise and len(self.readers[value]) == 1:
                        found[node.name] = value
        return found

    def _is_absorbed(self, value: str) -> bool:
        """Whether it is a ReLU that depthwise convolutions apply to what they read, or a pool ahead of its bias."""
        operation, readers = self.nodes[value].operation, [self.nodes[name].operation for name in self.readers[value]]
        if isinstance(operation, op.Relu) and readers:
            return all(isinstance(reader, op.Convolution) and reader.is_depthwise for reader in readers)
        if isinstance(operation, op.AveragePool) and len(readers) == 1:
            return isinstance(readers[0], op.Affine)
        return False

    def _find_families(self) -> dict[str, list[str]]:
        """Convolutions that are one call, by the first of them; most are alone."""
        found = defaultdict[object, list[str]](list)
        for name, conv in self.convs.items():
            if name not in self.absorbed:
                found[(self.nodes[name].inputs, conv.stride) if conv.is_pointwise else name].append(name)
        return {family[0]: family for family in found.values()}

    def _place(self) -> None:
        """A view for every value: where the `Join` that reads it has it, or in a buffer of its own."""
        for node in reversed(self.nodes.values()):
            if node.name in self.absorbed or isinstance(node.operation, op.Input):
                continue
            if node.name not in self.views:
                channels, rows, columns = self.shapes[node.name]
                self.views[node.name] = self.plan.buffer(rows, columns, channels)
            if isinstance(node.operation, op.Join):
                for value, part in self._parts(node):
                    if not isinstance(self.nodes[value].operation, op.Input):
                        self.views.setdefault(value, part)

    def _parts(self, join: Node) -> list[tuple[str, View]]:
        """What is joined, and where it belongs; it may be elsewhere, if it belongs in two places."""
        whole, channels = self.views[join.name], [self.shapes[value][0] for value in join.inputs]
        offsets = accumulate(channels[:-1], initial=whole.offset)
        parts = [View(whole.buffer, *part) for part in zip(offsets, channels, strict=True)]
        return list(zip(join.inputs, parts, strict=True))

    def _add_pictures(self, name: str, scale: Tensor, shift: Tensor) -> None:
        (channels, rows, columns), border, block = self.shapes[name], UNPADDED, 1
        if self._is_blocked(name):
            border, block = self._padding(self.readers[name][0]), 2
        height, width = rows + border.top + border.bottom, columns + border.left + border.right
        self.views[name] = self.plan.buffer(-(-height // block), -(-width // block), channels * block**2)
        self.plan.add("pictures", self.views[name], rows, columns, border, block, scale, shift)

    def _is_blocked(self, value: str) -> bool:
        """Whether it is the pictures, read by one convolution of stride 2: in blocks of 2 x 2 its stride becomes 1."""
        conv = self.convs.get(self.readers[value][0])
        if not isinstance(self.nodes[value].operation, op.Input) or len(self.readers[value]) > 1 or conv is None:
            return False
        odd = all(side % 2 for side in conv.window)  # a pixel is missing behind even ones
        return odd and conv.stride == (2, 2) and not conv.is_depthwise

    def _add(self, node: Node) -> None:
        """What makes a value of others that are there."""
        name, to = node.name, self.views[node.name]
        reads = [self.views[value] for value in node.inputs if value not in self.absorbed]
        match node.operation:
            case op.Convolution(_, bias, relu=relu) as conv if conv.is_depthwise:
                (value,) = node.inputs
                self.plan.add("pool", self._source(value), *self._pool(name), None, bias, NOTHING, to, relu)
            case op.Convolution():
                if family := self.families.get(name):  # else it was added with the first of its family
                    segments = {each: Segment(self.views[each], NOTHING, self.convs[each].relu) for each in family}
                    self._add_convolution(segments)
            case op.Add(_, relu) if name in self.sums:
                self._add_convolution({self.sums[name]: Segment(to, reads[0], relu)})
            case op.Add(scale, relu):
                shortcut, branch = reads
                factor = None if scale == 1 else torch.full((to.channels,), scale)
                self.plan.add("pool", branch, *POINT, factor, None, shortcut, to, relu)
            case op.Join():
                for value, part in self._parts(node):
                    if bytes(part) != bytes(self.views[value]):
                        self.plan.add("pool", self.views[value], *POINT, None, None, NOTHING, part, False)
            case op.MaxPool() | op.AveragePool() | op.AdaptivePool():
                self.plan.add("pool", *reads, *self._pool(name), None, None, NOTHING, to, False)
            case op.Affine(scale, shift, relu):
                (value,) = node.inputs
                pool = POINT if reads else self._pool(value)
                self.plan.add("pool", self._source(value), *pool, scale, shift, NOTHING, to, relu)
            case op.Relu():
                self.plan.add("pool", *reads, *POINT, None, None, NOTHING, to, True)
            case op.ResponseNorm(size, alpha, beta, k):
                self.plan.add("response_norm", *reads, size, alpha, beta, k, to)
            case other:
                raise AssertionError(f"{name} is {other}")

    def _add_convolution(self, segments: dict[str, Segment]) -> None:
        """One, or several 1x1 convolutions of the same value; what each puts out goes into a segment of its own."""
        first, convs = next(iter(segments)), [self.convs[each] for each in segments]
        (value,), kernel = self.nodes[first].inputs, torch.cat([_dense(conv) for conv in convs])
        biases = [conv.bias_or_zeros for conv in convs]
        stride, padding, lengths = convs[0].stride[0], self._padding(first), tuple(map(len, biases))
        if self._is_blocked(value):
            kernel, stride, padding = _block(kernel), 1, UNPADDED
        key = f"{' '.join(segments)} {tuple(kernel.shape)}"
        layer = Layer(key, kernel, torch.cat(biases), lengths, stride, self.shapes[first][1:])
        self.layers[self.plan.operations] = layer  # the operation that is added next
        self.plan.add("convolution", self.views[value], self._pack(layer), stride, padding, [*segments.values()])

    def _source(self, value: str) -> View:
        """Where a value is; where what it is made of is, if it is absorbed."""
        return self.views[self.nodes[value].inputs[0] if value in self.absorbed else value]

    def _pool(self, name: str) -> tuple[str, Pair, int, op.Sides, Tensor | None, bool]:
        """Kind and windows, the kernel if it is a depthwise convolution, and whether ReLU comes first."""
        node = self.nodes[name]
        relu_first = node.inputs[0] in self.absorbed
        match node.operation:
            case op.Convolution(kernel, _, (stride, _)) as conv:
                filters = kernel.flatten(1).T  # (h * w, C)
                return "filter", conv.window, stride, self._padding(name), filters, relu_first
            case op.MaxPool(window, (stride, _)):
                return "max", window, stride, self._padding(name), None, relu_first
            case op.AveragePool(window, (stride, _), count_padding=counted):
                kind = "average with padding" if counted else "average"
                return kind, window, stride, self._padding(name), None, relu_first
        return "adaptive", (1, 1), 1, UNPADDED, None, relu_first

    def _padding(self, name: str) -> op.Sides:
        """Of a convolution or pool, in cells."""
        operation = self.nodes[name].operation
        assert isinstance(operation, op.Convolution | op.MaxPool | op.AveragePool)
        return place_windows(operation, self.shapes[self.nodes[name].inputs[0]])[0]


def _simpler(operation: op.Operation) -> op.Operation:
    """The same as one of fewer kinds."""
    match operation:
        case op.Linear(weight, bias):
            return op.Convolution(weight[:, :, None, None], bias, (1, 1), UNPADDED)
        case op.GlobalPool():
            return op.AdaptivePool((1, 1))
        case op.BatchNorm(mean, variance, gamma, beta, eps):
            factor = gamma / (variance + eps).sqrt()
            return op.Affine(factor, beta - mean * factor)
    return operation


def _dense(conv: op.Convolution) -> Tensor:
    """The kernel (C', C, h, w) of all input channels, 0 for those that an output does not read."""
    outputs, inputs, *window = conv.kernel.shape
    parts = conv.kernel.view(conv.groups, -1, 1, inputs, *window)
    own = torch.eye(conv.groups, dtype=parts.dtype).view(conv.groups, 1, conv.groups, 1, 1, 1)
    return (parts * own).view(outputs, conv.groups * inputs, *window) if conv.groups > 1 else conv.kernel


def _block(kernel: Tensor) -> Tensor:
    """A kernel (C', C, 2m - 1, 2n - 1) for pictures in blocks of 2 x 2 pixels: (C', 4 C, m, n)."""
    outputs, inputs, *window = F.pad(kernel, (0, 1, 0, 1)).shape
    parts = F.pad(kernel, (0, 1, 0, 1)).view(outputs, inputs, window[0] // 2, 2, window[1] // 2, 2)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(outputs, 4 * inputs, window[0] // 2, window[1] // 2)

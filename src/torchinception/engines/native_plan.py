"""A graph as operations of the native library, for pictures of one size.

A value is a view: some channels of a buffer. What a `Join` joins is written where the joined buffer has it, so that
joining costs nothing; 1x1 convolutions of one value are one call, with a view for each to write to; a sum is part of
the convolution that makes one of its sides, and what `move_average_pool` puts behind a pool part of the pool.
"""

from collections import defaultdict
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812, the field's name for it

from torchinception.engines import operations as op
from torchinception.engines.graph import Graph, Node
from torchinception.engines.native_library import NOTHING, POINT, Plan, Segment, View, Weights
from torchinception.engines.operations import UNPADDED
from torchinception.engines.rewrite import fold_batch_norm, fold_residual_scale, fuse_relu, move_average_pool, simplify
from torchinception.engines.windows import Shape, place_windows
from torchinception.errors import UsageError
from torchinception.layers import Pair

REWRITES = (fold_batch_norm, simplify, fold_residual_scale, move_average_pool, fuse_relu)


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
        self.nodes, self.shapes, self.plan, self._pack = graph.by_name, graph.shapes(size), plan, pack
        self.views, self.names, self.layers = dict[str, View](), list[str](), dict[int, Layer]()
        self.convs = {node.name: node.operation for node in graph.nodes if isinstance(node.operation, op.Convolution)}
        reads = [(value, node.name) for node in graph.nodes for value in node.inputs]
        self.readers = {name: [reader for value, reader in reads if value == name] for name in self.nodes}
        self.sums = self._find_sums()
        self.absorbed = {*self.sums.values(), *filter(self._is_absorbed, self.nodes)}  # no operations of their own
        self.families = self._find_families()
        self._place()
        for node in graph.nodes:
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
            (border, _), block = place_windows(self.convs[self.readers[name][0]], self.shapes[name]), 2
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
                self.plan.add("pool", *self._windows(node), None, bias, NOTHING, to, relu)
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
            case op.MaxPool() | op.AveragePool() | op.AdaptivePool() | op.Relu() as operation:
                relu = isinstance(operation, op.Relu)
                self.plan.add("pool", *self._windows(node), None, None, NOTHING, to, relu)
            case op.Affine(scale, shift, relu):
                self.plan.add("pool", *self._windows(node), scale, shift, NOTHING, to, relu)
            case op.ResponseNorm(size, alpha, beta, k):
                self.plan.add("response_norm", *reads, size, alpha, beta, k, to)
            case other:
                raise AssertionError(f"{name} is {other}")

    def _add_convolution(self, segments: dict[str, Segment]) -> None:
        """One, or several 1x1 convolutions of the same value; what each puts out goes into a segment of its own."""
        first, convs = next(iter(segments)), [self.convs[each] for each in segments]
        (value,), kernel = self.nodes[first].inputs, torch.cat([_dense(conv) for conv in convs])
        biases = [conv.bias_or_zeros for conv in convs]
        stride, (padding, _) = convs[0].stride[0], place_windows(convs[0], self.shapes[value])
        if self._is_blocked(value):
            kernel, stride, padding = _block(kernel), 1, UNPADDED
        key = f"{' '.join(segments)} {tuple(kernel.shape)}"
        layer = Layer(key, kernel, torch.cat(biases), tuple(map(len, biases)), stride, self.shapes[first][1:])
        self.layers[self.plan.operations] = layer  # the operation that is added next
        self.plan.add("convolution", self.views[value], self._pack(layer), stride, padding, [*segments.values()])

    def _windows(self, node: Node) -> tuple[View, str, Pair, int, op.Sides, Tensor | None, bool]:
        """What a pool reads, and all it does but for scale and shift; what is none of the kinds is one of 1 x 1."""
        before = self.nodes[node.inputs[0]]
        relu_first = before.name in self.absorbed
        if relu_first and isinstance(before.operation, op.AveragePool):
            return self._windows(before)
        x, filters = self.views[before.inputs[0] if relu_first else before.name], None
        match node.operation:
            case op.Convolution(kernel) as pool:
                kind, filters = "filter", kernel.flatten(1).T  # (h * w, C)
            case op.MaxPool() as pool:
                kind = "max"
            case op.AveragePool(count_padding=counted) as pool:
                kind = "average with padding" if counted else "average"
            case op.AdaptivePool():
                return x, "adaptive", *POINT[1:]
            case _:
                return x, *POINT
        padding, _ = place_windows(pool, self.shapes[before.name])
        return x, kind, pool.window, pool.stride[0], padding, filters, relu_first


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

"""A graph as a PyTorch module: straight code, about one line a node, which can be read, pickled and compiled.

>>> from torchinception.engines.graph import to_graph
>>> from torchinception.models import create
>>> module = to_module(to_graph(create("tiny_inception", classes=3), torch.float32))
>>> module(torch.zeros(2, 3, 28, 28)).shape
torch.Size([2, 3])
"""

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812, the field's name for it

from torchinception.engines.graph import Graph, Node
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
    Pad,
    Relu,
    ResponseNorm,
    Sides,
    Slice,
    sides,
)
from torchinception.layers import Pair


def to_module(graph: Graph) -> fx.GraphModule:
    """Pictures (N, C, H, W) of the weights' type -> the graph's output; weights are buffers, shared with the graph.

    ReLU, biases and sums are computed in place where nothing else reads what was there; the pictures stay.
    """
    return Writer(graph).module()


class Writer:
    """Writes each node of a graph as calls of PyTorch's functions."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.root, self.code, self.values = graph, nn.Module(), fx.Graph(), dict[str, fx.Node]()
        self.last_reader = {name: node.name for node in graph.nodes for name in node.inputs}
        # slices are views of what they are cut from, so that neither may be overwritten
        views = {
            name for node in graph.nodes if isinstance(node.operation, Slice) for name in (node.name, *node.inputs)
        }
        self.kept = {graph.nodes[0].name, graph.output, *views}

    def module(self) -> fx.GraphModule:
        """The whole graph, written."""
        for node in self.graph.nodes:
            self.write(node)
        self.code.output(self.values[self.graph.output])
        return fx.GraphModule(self.root, self.code, "Network")

    def write(self, node: Node) -> None:
        """A node, whose value `values` then has."""
        inputs = [self.values[name] for name in node.inputs]
        free = [name not in self.kept and self.last_reader[name] == node.name for name in node.inputs]
        if isinstance(node.operation, Input):
            self.values[node.name] = self.code.placeholder(node.name)
        elif isinstance(node.operation, Convolution):
            self.values[node.name] = self.convolution(node.name, node.operation, inputs[0])
        elif isinstance(node.operation, MaxPool | AveragePool):
            self.values[node.name] = self.pool(node.operation, inputs[0])
        elif isinstance(node.operation, Relu | Affine | Add):
            self.values[node.name] = self.pointwise(node.name, node.operation, inputs, free)
        else:
            self.values[node.name] = self.other(node.name, node.operation, inputs)

    def convolution(self, name: str, conv: Convolution, x: fx.Node) -> fx.Node:
        """A convolution with its padding."""
        padding = conv.padding
        if conv.fill is not None:
            x = self.apply(pad_channels, x, conv.window, conv.stride, padding, self.buffer(name, "fill", conv.fill))
            padding = UNPADDED
        x, cells = self.padded(x, conv.window, conv.stride, padding, 0.0)
        return self.convolve(name, conv, x, cells)

    def convolve(self, name: str, conv: Convolution, x: fx.Node, cells: Pair) -> fx.Node:
        """The convolution itself, with `cells` of padding above and below, left and right."""
        kernel = self.buffer(name, "kernel", conv.kernel)
        bias = None if conv.bias is None else self.buffer(name, "bias", conv.bias)
        y = self.apply(torch.conv2d, x, kernel, bias, conv.stride, cells, (1, 1), conv.groups)
        return self.apply(torch.relu_, y) if conv.relu else y

    def pool(self, pool: MaxPool | AveragePool, x: fx.Node) -> fx.Node:
        """A pool with its padding."""
        if isinstance(pool, MaxPool):
            x, cells = self.padded(x, pool.window, pool.stride, pool.padding, -torch.inf)
            return self.apply(F.max_pool2d, x, pool.window, pool.stride, cells, (1, 1), pool.ceil)
        cells = (pool.padding.top, pool.padding.left)
        assert pool.padding == _even(cells), "no average pool of the family is padded unevenly"
        return self.apply(F.avg_pool2d, x, pool.window, pool.stride, cells, pool.ceil, pool.count_padding)

    def padded(self, x: fx.Node, kernel: Pair, stride: Pair, padding: Pad, value: float) -> tuple[fx.Node, Pair]:
        """Padding that is left to PyTorch's function, and `x` padded already with what that cannot do."""
        if isinstance(padding, Sides) and padding == _even(cells := (padding.top, padding.left)):
            return x, cells
        return self.apply(pad, x, kernel, stride, padding, value), (0, 0)

    def pointwise(self, name: str, operation: Relu | Affine | Add, inputs: list[fx.Node], free: list[bool]) -> fx.Node:
        """What can overwrite those of its inputs that are free."""
        x = inputs[0]
        if isinstance(operation, Relu):
            return self.apply(torch.relu_ if free[0] else torch.relu, x)
        if isinstance(operation, Add):
            branch = inputs[1]
            if free[1] and operation.scale == 1:
                y = self.apply(Tensor.add_, branch, x)
            else:
                y = self.apply(Tensor.add_ if free[0] else torch.add, x, branch, alpha=operation.scale)
        else:
            shift = self.buffer(name, "shift", operation.shift.view(-1, 1, 1))
            if operation.scale is None:
                y = self.apply(Tensor.add_ if free[0] else torch.add, x, shift)
            else:
                y = self.apply(torch.addcmul, shift, x, self.buffer(name, "scale", operation.scale.view(-1, 1, 1)))
        return self.apply(torch.relu_, y) if operation.relu else y

    def other(self, name: str, operation: object, inputs: list[fx.Node]) -> fx.Node:
        """What needs no care."""
        match operation:
            case BatchNorm(mean, variance, gamma, beta, eps):
                tensors = dict(mean=mean, variance=variance, gamma=gamma, beta=beta)
                buffers = [self.buffer(name, key, tensor) for key, tensor in tensors.items()]
                return self.apply(F.batch_norm, inputs[0], *buffers, eps=eps)
            case AdaptivePool(cells):
                return self.apply(F.adaptive_avg_pool2d, inputs[0], cells)
            case GlobalPool():
                return self.apply(torch.mean, inputs[0], (2, 3))
            case ResponseNorm(size, alpha, beta, k):
                return self.apply(response_norm, inputs[0], size, alpha, beta, k)
            case Join():
                return self.apply(torch.cat, inputs, 1)
            case Slice(start, stop):
                return self.apply(torch.narrow, inputs[0], 1, start, stop - start)
            case Linear(weight, bias):
                return self.apply(
                    F.linear, inputs[0], self.buffer(name, "weight", weight), self.buffer(name, "bias", bias)
                )
        raise NotImplementedError(operation)

    def buffer(self, node: str, name: str, tensor: Tensor) -> fx.Node:
        """A tensor of the module's."""
        attribute = attribute_name(node, name)
        self.root.register_buffer(attribute, tensor)
        return self.code.get_attr(attribute)

    def apply(self, function: Any, *arguments: Any, **options: Any) -> fx.Node:
        """A line of code."""
        return self.code.call_function(function, arguments, options)


def attribute_name(node: str, tensor: str) -> str:
    """What a node's tensor is called in the module."""
    return f"{node}.{tensor}".replace(".", "_")


def pad(x: Tensor, kernel: Pair, stride: Pair, padding: Pad, value: float) -> Tensor:
    """(N, C, H, W) -> (N, C, H + top + bottom, W + left + right)."""
    cells = sides(padding, kernel, stride, x.shape[2], x.shape[3])
    return F.pad(x, (cells.left, cells.right, cells.top, cells.bottom), value=value)


def pad_channels(x: Tensor, kernel: Pair, stride: Pair, padding: Pad, fill: Tensor) -> Tensor:
    """As `pad`, with a value for each channel: `fill` (C)."""
    count, channels, height, width = x.shape
    cells = sides(padding, kernel, stride, height, width)
    shape = (count, channels, height + cells.top + cells.bottom, width + cells.left + cells.right)
    padded = fill.view(1, -1, 1, 1).expand(shape).clone(memory_format=torch.channels_last)
    padded[:, :, cells.top : cells.top + height, cells.left : cells.left + width] = x
    return padded


def response_norm(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """As `F.local_response_norm`, which takes a fifth of GoogLeNet's time: it pools in three dimensions."""
    x = x.permute(0, 2, 3, 1)  # channels behind one another in memory, if `x` has them last
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x  # squares beyond 65504 are infinite in float16
    squares = x * x
    total = squares.clone()
    for step in range(1, size // 2 + 1):
        total[..., step:] += squares[..., :-step]
    for step in range(1, (size - 1) // 2 + 1):
        total[..., :-step] += squares[..., step:]
    total.mul_(alpha / size).add_(k)
    if beta == 0.75:  # two roots are far quicker than a power
        root = total.sqrt_()
        total = root.sqrt().mul_(root)
    else:
        total.pow_(beta)
    return (x / total).permute(0, 3, 1, 2)


def _even(cells: Pair) -> Sides:
    return Sides(cells[0], cells[0], cells[1], cells[1])

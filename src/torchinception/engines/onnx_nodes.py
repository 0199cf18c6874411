"""The operations of a graph as nodes of ONNX.

All padding is written out in cells, none as ONNX's rules: `ceil_mode` means other sizes, and other means at the last
window, to OpenVINO than to PyTorch and ONNX Runtime.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchinception.engines.operations import (
    UNPADDED,
    AdaptivePool,
    Add,
    Affine,
    AveragePool,
    BatchNorm,
    Convolution,
    GlobalPool,
    Join,
    Linear,
    MaxPool,
    Operation,
    Relu,
    ResponseNorm,
    Sides,
    Slice,
)
from torchinception.engines.windows import (
    Shape,
    adaptive_means,
    channel_means,
    output_shape,
    place_windows,
    reach_last_window,
)
from torchinception.layers import Pair


class Nodes:
    """Nodes and weights as they are added, and the shape of every value; a node bears the name of its output."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes, self.weights = list[Any](), list[Any]()
        self.shapes = dict[str, Shape]()

    def add(self, kind: str, output: str, *inputs: str, shape: Shape | None = None, **attributes: object) -> str:
        """Add a node, by default of the shape of its first input; the name of its output."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))
        self.shapes[output] = self.shapes[inputs[0]] if shape is None else shape
        return output

    def constant(self, name: str, values: Tensor | float | list[int]) -> str:
        """Add a float32 weight, or from a list an int64 one; its name."""
        if isinstance(values, list):
            array = np.array(values, np.int64)
        else:
            array = torch.as_tensor(values).detach().to("cpu", torch.float32).contiguous().numpy()
        self.weights.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def channelwise(self, name: str, values: Tensor, beside: str) -> str:
        """A weight (C) shaped so that it meets the channels of `beside`."""
        return self.constant(name, values.reshape(-1, *[1] * (len(self.shapes[beside]) - 1)))

    def rectified(self, kind: str, output: str, *inputs: str, relu: bool, **attributes: Any) -> str:
        """`add`, with a ReLU behind it if asked for."""
        if not relu:
            return self.add(kind, output, *inputs, **attributes)
        return self.add("Relu", output, self.add(kind, f"{output}.sum", *inputs, **attributes))


def add_operation(to: Nodes, name: str, operation: Operation, *inputs: str) -> None:
    """Add what makes the value `name` of the inputs."""
    x, shape = inputs[0], output_shape(operation, [to.shapes[value] for value in inputs])
    match operation:
        case Convolution():
            _convolution(to, name, operation, x)
        case BatchNorm():
            tensors = dict(scale=operation.gamma, shift=operation.beta, mean=operation.mean, var=operation.variance)
            weights = [to.constant(f"{name}.{key}", tensor) for key, tensor in tensors.items()]
            to.add("BatchNormalization", name, x, *weights, epsilon=operation.eps)
        case Affine(scale, shift, relu):
            if scale is not None:
                x = to.add("Mul", f"{name}.scaled", x, to.channelwise(f"{name}.scale", scale, x))
            to.rectified("Add", name, x, to.channelwise(f"{name}.shift", shift, x), relu=relu)
        case Relu():
            to.add("Relu", name, x)
        case MaxPool() | AveragePool():
            _pool(to, name, operation, x)
        case AdaptivePool(cells):
            _adaptive_pool(to, name, cells, x)
        case GlobalPool():
            mean = to.add("GlobalAveragePool", f"{name}.mean", x, shape=(*shape, 1, 1))
            to.add("Flatten", name, mean, shape=shape)
        case ResponseNorm():
            _response_norm(to, name, operation, x)
        case Join():
            to.add("Concat", name, *inputs, shape=shape, axis=1)
        case Slice(start, stop):
            limits = [to.constant(f"{name}.{key}", [at]) for key, at in dict(start=start, stop=stop, axis=1).items()]
            to.add("Slice", name, x, *limits, shape=shape)
        case Add(scale, relu):
            shortcut, branch = inputs
            if scale != 1:
                branch = to.add("Mul", f"{name}.scaled", branch, to.constant(f"{name}.scale", scale))
            to.rectified("Add", name, shortcut, branch, relu=relu)
        case Linear(weight, bias):
            weights = [to.constant(f"{name}.weight", weight), to.constant(f"{name}.bias", bias)]
            to.add("Gemm", name, x, *weights, shape=shape, transB=1)
        case _:
            raise AssertionError(f"{name} is {operation}")


def _convolution(to: Nodes, name: str, operation: Convolution, x: str) -> None:
    """Padding with `fill` is padding of `x - fill` with zeros, and the convolution of `fill` alone added."""
    kernel, bias = operation.kernel, operation.bias
    if operation.fill is not None:
        assert operation.groups == 1
        constant = kernel.sum((2, 3)) @ operation.fill
        bias = constant if bias is None else bias + constant
        x = to.add("Sub", f"{name}.unfilled", x, to.channelwise(f"{name}.fill", operation.fill, x))
    pad, windows = place_windows(operation, to.shapes[x])
    weights = [to.constant(f"{name}.kernel", kernel)]
    if bias is not None:
        weights.append(to.constant(f"{name}.bias", bias))
    to.rectified(
        "Conv",
        name,
        x,
        *weights,
        relu=operation.relu,
        shape=(len(kernel), *windows),
        **_window(operation, pad),
        group=operation.groups,
    )


def _pool(to: Nodes, name: str, operation: MaxPool | AveragePool, x: str) -> None:
    """What `ceil` adds is padding that counts for nothing, behind padding that may count."""
    channels, height, width = to.shapes[x]
    pad, windows = place_windows(operation, to.shapes[x])
    shape, ceil = (channels, *windows), operation.ceil
    count = isinstance(operation, AveragePool) and operation.count_padding
    if count and ceil:
        amounts = to.constant(f"{name}.amounts", [0, 0, pad.top, pad.left, 0, 0, pad.bottom, pad.right])
        height, width = height + pad.top + pad.bottom, width + pad.left + pad.right
        x = to.add("Pad", f"{name}.padded", x, amounts, shape=(channels, height, width))
        pad, count = UNPADDED, False
    if ceil:
        pad = reach_last_window((height, width), operation.window, operation.stride, pad, windows)
    if isinstance(operation, MaxPool):
        to.add("MaxPool", name, x, shape=shape, **_window(operation, pad))
    else:
        to.add("AveragePool", name, x, shape=shape, **_window(operation, pad), count_include_pad=int(count))


def _adaptive_pool(to: Nodes, name: str, cells: Pair, x: str) -> None:
    """Windows that overlap are no pool of ONNX's: down and across by a matrix each."""
    channels, height, width = to.shapes[x]
    down = to.constant(f"{name}.down", adaptive_means(height, cells[0]))
    rows = to.add("MatMul", f"{name}.rows", down, x, shape=(channels, cells[0], width))
    across = to.constant(f"{name}.across", adaptive_means(width, cells[1]).T)
    to.add("MatMul", name, rows, across, shape=(channels, *cells))


def _response_norm(to: Nodes, name: str, operation: ResponseNorm, x: str) -> None:
    """ONNX Runtime's LRN takes as long as the rest of GoogLeNet; the sum over channels is a 1x1 convolution.

    Square roots are quicker there than powers. OpenVINO, whose LRN is quick, is as quick like this.
    """
    channels = to.shapes[x][0]
    band = operation.alpha * channel_means(channels, operation.size)[:, :, None, None]
    weights = [to.constant(f"{name}.band", band), to.constant(f"{name}.k", torch.full((channels,), operation.k))]
    total = to.add("Conv", f"{name}.total", to.add("Mul", f"{name}.squares", x, x), *weights)
    if operation.beta == 0.75:
        root = to.add("Sqrt", f"{name}.root", total)
        power = to.add("Mul", f"{name}.power", root, to.add("Sqrt", f"{name}.fourth_root", root))
    else:
        power = to.add("Pow", f"{name}.power", total, to.constant(f"{name}.beta", operation.beta))
    to.add("Div", name, x, power)


def _window(operation: Convolution | MaxPool | AveragePool, pad: Sides) -> Mapping[str, object]:
    pads = [pad.top, pad.left, pad.bottom, pad.right]
    return dict(kernel_shape=operation.window, strides=operation.stride, pads=pads)

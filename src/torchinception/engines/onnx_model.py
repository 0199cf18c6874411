"""A graph as an ONNX model, written node by node: nothing is traced, and the largest takes about a second.

The size of the pictures is fixed, as TensorFlow's padding depends on it; the batch is not, unless asked for. All
padding is written out in cells, none as ONNX's rules: `ceil_mode` means other sizes, and other means at the last
window, to OpenVINO than to PyTorch and ONNX Runtime.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from torchinception.data.transforms import Preprocess
from torchinception.engines.graph import Graph
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
from torchinception.errors import UsageError
from torchinception.layers import Pair

if TYPE_CHECKING:
    import onnx

OPSET = 21  # of 2024: every runtime of the last two years reads it, and later ones change nothing that is used here
IR_VERSION = 10  # that opset's
PICTURES, LOGITS = "pictures", "logits"  # the input; the output of a graph that ends in no stage
TO_PICTURE, TO_PIXELS = (0, 3, 1, 2), (0, 2, 3, 1)  # (N, H, W, C) to (N, C, H, W) and back


def write_onnx(
    graph: Graph,
    size: Pair,
    *,
    batch: int | None = None,
    uint8: bool = False,
    scaling: Preprocess | None = None,
    stages: Iterable[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> "onnx.ModelProto":
    """The model, in float32, from `pictures` to `logits`, or to the stage that the graph ends in, by its name.

    Args:
        graph: what to write.
        size: height and width of the pictures.
        batch: how many pictures a call takes; None: any number.
        uint8: take uint8 (N, H, W, C), as pictures are decoded, instead of float32 (N, C, H, W).
        scaling: makes the graph's input of the pictures' bytes; None: the graph takes their values as they are.
        stages: outputs besides, each (N, C, H, W) and called as the stage is.
        metadata: texts by name that the model carries, such as its classes' names.

    Raises:
        UsageError: onnx is not installed, or a stage is not in the graph.
    """
    writer = _Writer(graph.nodes[0].name, size)
    source = graph.nodes[0].operation
    assert isinstance(source, Input)
    shape = [batch, *size, source.channels] if uint8 else [batch, source.channels, *size]
    writer.begin(np.uint8 if uint8 else np.float32, scaling)
    for node in graph.nodes[1:]:
        writer.write(node.name, node.operation, *node.inputs)
    name = next((stage for stage, at in graph.stages.items() if at == graph.output), LOGITS)
    outputs = {name: graph.output}
    for stage in stages:
        outputs[stage] = graph.up_to(stage).output
    return writer.model(shape, np.uint8 if uint8 else np.float32, outputs, metadata or {})


def import_onnx() -> Any:
    """The package onnx.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError("writing ONNX models needs onnx: pip install 'torchinception[onnx]'") from None
    return onnx


class _Writer:
    """Collects nodes and weights, and how large each value's grid is."""

    def __init__(self, source: str, size: Pair) -> None:
        self.onnx = import_onnx()
        self.source = source
        self.nodes, self.weights = list[Any](), list[Any]()
        self.grids = {source: size}
        self.flat = set[str]()  # values (N, C)

    def node(self, kind: str, output: str, *inputs: str, **attributes: object) -> str:
        """Add a node; the name of its output."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: torch.Tensor | npt.ArrayLike) -> str:
        """Add an initializer, in float32 unless it holds integers; its name."""
        array = values.detach().to("cpu", torch.float32).numpy() if isinstance(values, torch.Tensor) else values
        self.weights.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def channelwise(self, name: str, values: torch.Tensor, beside: str) -> str:
        """A constant (C) in the shape that meets the channels of `beside`."""
        return self.constant(name, values if beside in self.flat else values[:, None, None])

    def begin(self, dtype: npt.DTypeLike, scaling: Preprocess | None) -> None:
        """From the pictures to the graph's input."""
        steps = [("Transpose", {"perm": TO_PICTURE}), ("Cast", {"to": self.onnx.TensorProto.FLOAT})]
        value = PICTURES
        for kind, attributes in steps if dtype == np.uint8 else []:
            value = self.node(kind, f"{PICTURES}.{kind.lower()}", value, **attributes)
        if scaling is not None:
            mean, std = torch.tensor([scaling.mean, scaling.std], dtype=torch.float64)
            value = self.node("Mul", f"{PICTURES}.scaled", value, self.constant("scale", (1 / (255 * std))[:, None, None]))
            value = self.node("Add", f"{PICTURES}.shifted", value, self.constant("shift", (-mean / std)[:, None, None]))
        self.node("Identity", self.source, value)

    def write(self, name: str, operation: Operation, *inputs: str) -> None:  # noqa: C901, one case an operation
        """Add what makes the value `name` of the inputs."""
        x = inputs[0]
        grid = self.grids[x]
        match operation:
            case Convolution():
                grid = self.convolution(name, operation, x)
            case BatchNorm():
                tensors = dict(scale=operation.gamma, shift=operation.beta, mean=operation.mean, var=operation.variance)
                constants = [self.constant(f"{name}.{key}", tensor) for key, tensor in tensors.items()]
                self.node("BatchNormalization", name, x, *constants, epsilon=operation.eps)
            case Affine():
                self.affine(name, operation, x)
            case Relu():
                self.node("Relu", name, x)
            case MaxPool() | AveragePool():
                grid = self.pool(name, operation, x)
            case AdaptivePool():
                self.adaptive_pool(name, operation, x)
                grid = operation.cells
            case GlobalPool():
                self.node("Flatten", name, self.node("GlobalAveragePool", f"{name}.mean", x))
                self.flat.add(name)
                grid = (1, 1)
            case ResponseNorm(channels, alpha, beta, k):
                self.node("LRN", name, x, size=channels, alpha=alpha, beta=beta, bias=k)
            case Join():
                self.node("Concat", name, *inputs, axis=1)
            case Slice(start, stop):
                limits = {"start": start, "stop": stop, "axis": 1}
                self.node("Slice", name, x, *(self.constant(f"{name}.{key}", [at]) for key, at in limits.items()))
            case Add():
                self.add(name, operation, *inputs)
            case Linear(weight, bias):
                constants = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
                self.node("Gemm", name, x, *constants, transB=1)
                self.flat.add(name)
            case Input():
                raise AssertionError("a graph has one input")
        self.flat.update({name} if x in self.flat else ())
        self.grids[name] = grid

    def rectified(self, name: str, relu: bool) -> str:
        """What the value ahead of an optional ReLU is called; the ReLU must follow."""
        return f"{name}.sum" if relu else name

    def convolution(self, name: str, operation: Convolution, x: str) -> Pair:
        """Padding with `fill` is padding of `x - fill` with zeros, to which the convolution of `fill` is added."""
        kernel, bias, window = operation.kernel, operation.bias, _window(operation.kernel)
        if operation.fill is not None:
            assert operation.groups == 1
            constant = torch.einsum("ocij,c->o", kernel, operation.fill)
            bias = constant if bias is None else bias + constant
            x = self.shifted_by(name, operation.fill, x)
        pad = sides(operation.padding, window, operation.stride, *self.grids[x])
        constants = [self.constant(f"{name}.kernel", kernel)]
        if bias is not None:
            constants.append(self.constant(f"{name}.bias", bias))
        total = self.rectified(name, operation.relu)
        attributes = dict(kernel_shape=window, strides=operation.stride, pads=_as_pads(pad), group=operation.groups)
        self.node("Conv", total, x, *constants, **attributes)
        if operation.relu:
            self.node("Relu", name, total)
        return _cells(self.grids[x], window, operation.stride, pad, ceil=False)

    def shifted_by(self, name: str, fill: torch.Tensor, x: str) -> str:
        value = self.node("Sub", f"{name}.unfilled", x, self.channelwise(f"{name}.fill", fill, x))
        self.grids[value] = self.grids[x]
        return value

    def affine(self, name: str, operation: Affine, x: str) -> None:
        if operation.scale is not None:
            x = self.node("Mul", f"{name}.scaled", x, self.channelwise(f"{name}.scale", operation.scale, x))
        total = self.rectified(name, operation.relu)
        self.node("Add", total, x, self.channelwise(f"{name}.shift", operation.shift, x))
        if operation.relu:
            self.node("Relu", name, total)

    def pool(self, name: str, operation: MaxPool | AveragePool, x: str) -> Pair:
        """What `ceil` adds is padding that counts for nothing, behind padding that does."""
        kernel, stride, ceil = operation.kernel, operation.stride, operation.ceil
        pad = sides(operation.padding, kernel, stride, *self.grids[x])
        cells = _cells(self.grids[x], kernel, stride, pad, ceil=ceil)
        count = isinstance(operation, AveragePool) and operation.count_padding
        if count and ceil:
            amounts = self.constant(f"{name}.amounts", [0, 0, pad.top, pad.left, 0, 0, pad.bottom, pad.right])
            padded = self.node("Pad", f"{name}.padded", x, amounts)
            height, width = self.grids[x]
            self.grids[padded] = (height + pad.top + pad.bottom, width + pad.left + pad.right)
            x, pad, count = padded, UNPADDED, False
        if ceil:
            pad = _reaching(self.grids[x], kernel, stride, pad, cells)
        attributes: dict[str, object] = dict(kernel_shape=kernel, strides=stride, pads=_as_pads(pad))
        if isinstance(operation, MaxPool):
            self.node("MaxPool", name, x, **attributes)
        else:
            self.node("AveragePool", name, x, count_include_pad=int(count), **attributes)
        return cells

    def adaptive_pool(self, name: str, operation: AdaptivePool, x: str) -> None:
        """Windows that overlap are no pool of ONNX's: down and across by a matrix each."""
        (height, width), (rows, columns) = self.grids[x], operation.cells
        down = self.constant(f"{name}.down", _means(height, rows))
        across = self.constant(f"{name}.across", _means(width, columns).T)
        self.node("MatMul", name, self.node("MatMul", f"{name}.rows", down, x), across)

    def add(self, name: str, operation: Add, shortcut: str, branch: str) -> None:
        if operation.scale != 1:
            scale = self.constant(f"{name}.scale", torch.tensor(operation.scale))
            branch = self.node("Mul", f"{name}.scaled", branch, scale)
        total = self.rectified(name, operation.relu)
        self.node("Add", total, shortcut, branch)
        if operation.relu:
            self.node("Relu", name, total)

    def model(
        self, shape: list[int | None], dtype: npt.DTypeLike, outputs: Mapping[str, str], metadata: Mapping[str, str]
    ) -> "onnx.ModelProto":
        """All of it, with the outputs by the names that they are to have."""
        helper, of = self.onnx.helper, self.onnx.helper.np_dtype_to_tensor_dtype
        ends = []
        for name, value in outputs.items():
            self.node("Identity", name, value)
            grid = () if value in self.flat else self.grids[value]
            ends.append(helper.make_tensor_value_info(name, of(np.dtype(np.float32)), ["N", f"{name} channels", *grid]))
        beginning = helper.make_tensor_value_info(PICTURES, of(np.dtype(dtype)), [shape[0] or "N", *shape[1:]])
        graph = helper.make_graph(self.nodes, "torchinception", [beginning], ends, self.weights)
        model: onnx.ModelProto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="torchinception",
        )
        helper.set_model_props(model, dict(metadata))
        return model


def _window(kernel: torch.Tensor) -> Pair:
    return kernel.shape[2], kernel.shape[3]


def _as_pads(pad: Sides) -> list[int]:
    return [pad.top, pad.left, pad.bottom, pad.right]


def _cells(size: Pair, kernel: Pair, stride: Pair, pad: Sides, *, ceil: bool) -> Pair:
    """How many windows fit; with `ceil` also one that fits in part, if it begins ahead of the padding at the end."""

    def along(length: int, window: int, step: int, before: int, after: int) -> int:
        room = length + before + after - window
        count = (-(-room // step) if ceil else room // step) + 1
        return count - 1 if ceil and (count - 1) * step >= length + before else count

    height = along(size[0], kernel[0], stride[0], pad.top, pad.bottom)
    return height, along(size[1], kernel[1], stride[1], pad.left, pad.right)


def _reaching(size: Pair, kernel: Pair, stride: Pair, pad: Sides, cells: Pair) -> Sides:
    """As much padding at the ends as the last windows need."""
    bottom, right = (
        max((count - 1) * step + window - length - before, 0)
        for count, step, window, length, before in zip(cells, stride, kernel, size, (pad.top, pad.left), strict=True)
    )
    return Sides(pad.top, bottom, pad.left, right)


def _means(length: int, cells: int) -> torch.Tensor:
    """(cells, length): row i takes the mean from `floor(i * length / cells)` to `ceil((i + 1) * length / cells)`."""
    matrix = torch.zeros(cells, length, dtype=torch.float64)
    for i in range(cells):
        start, stop = i * length // cells, -(-(i + 1) * length // cells)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix

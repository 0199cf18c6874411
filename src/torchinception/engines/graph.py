"""A network in evaluation mode as a small immutable graph, made straight from its modules: nothing is traced.

>>> from torchinception.models import create
>>> graph = to_graph(create("tiny_inception"))
>>> [node.name for node in graph.nodes][:4]
['input', 'trunk.conv_1.conv', 'trunk.conv_1.bn', 'trunk.conv_1.relu']
>>> graph.up_to("inception_1a").output
'trunk.inception_1a'

Auxiliary heads and dropout do nothing in evaluation, and are left out. Values are (N, C, H, W) up to `GlobalPool`,
(N, C) behind it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from torchinception.engines.operations import (
    UNPADDED,
    AdaptivePool,
    Add,
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
)
from torchinception.engines.windows import Shape, output_shape
from torchinception.errors import UsageError
from torchinception.layers import SAME, Concat, Pair, Residual, SamePad
from torchinception.network import Inception


@dataclass(frozen=True, eq=False)
class Node:
    """One value, by the name of the module that makes it, and the names of the values it is made of."""

    name: str
    operation: Operation
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes, each behind those it needs; the first is the input. `stages`: the node that is each stage's output."""

    nodes: tuple[Node, ...]
    stages: Mapping[str, str]
    output: str

    def __post_init__(self) -> None:
        known = set[str]()
        for node in self.nodes:
            assert node.name not in known, f"{node.name} is there twice"
            assert known.issuperset(node.inputs), f"{node.name} stands ahead of what it needs"
            known.add(node.name)
        assert known.issuperset((self.output, *self.stages.values()))

    def __getitem__(self, name: str) -> Node:
        """A node by its name; `graph.by_name` is quicker for many."""
        return self.by_name[name]

    @property
    def by_name(self) -> dict[str, Node]:
        """Every node by its name, in order."""
        return {node.name: node for node in self.nodes}

    def up_to(self, stage: str) -> "Graph":
        """The graph that puts out a stage, without what only later ones need.

        Raises:
            UsageError: no stage of that name is in this graph.
        """
        if stage not in self.stages:
            raise UsageError(f"no stage named {stage}; stages: {', '.join(self.stages)}")
        return replace(self, output=self.stages[stage]).pruned()

    def pruned(self) -> "Graph":
        """Without the nodes, and the names of stages, that the output does not need."""
        needed = {self.output, self.nodes[0].name}
        for node in reversed(self.nodes):
            needed.update(node.inputs if node.name in needed else ())
        nodes = tuple(node for node in self.nodes if node.name in needed)
        return replace(self, nodes=nodes, stages={name: at for name, at in self.stages.items() if at in needed})

    def shapes(self, size: Pair) -> dict[str, Shape]:
        """Of every value, (C, H, W) or (C), for pictures of that size.

        Raises:
            UsageError: they are too small.
        """
        found = dict[str, Shape]()
        for node in self.nodes:
            if isinstance(node.operation, Input):
                found[node.name] = (node.operation.channels, *size)
            else:
                found[node.name] = output_shape(node.operation, [found[name] for name in node.inputs])
        return found

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> "Graph":
        """The same with all weights in another type, or elsewhere."""

        def moved(operation: Any) -> Any:
            values = {field.name: getattr(operation, field.name) for field in fields(operation)}
            tensors = {name: v.to(device, dtype) for name, v in values.items() if isinstance(v, Tensor)}
            return replace(operation, **tensors)

        return replace(self, nodes=tuple(replace(node, operation=moved(node.operation)) for node in self.nodes))


def to_graph(net: Inception, dtype: torch.dtype = torch.float64) -> Graph:
    """What `net` computes in evaluation mode, its weights copied; float64 leaves nothing for rewrites to round.

    Raises:
        UsageError: a module that no function of `torchinception.layers` builds.
    """
    builder = _Builder(dtype)
    value = builder.add("input", Input(net.channels))
    stages = {}
    for name, stage in net.trunk.named_children():
        value = stages[name] = builder.walk(f"trunk.{name}", stage, value)
    value = builder.add("pool", GlobalPool(), value)
    value = builder.walk("classifier", net.classifier, value)
    return Graph(tuple(builder.nodes), stages, value)


class _Builder:
    """Collects nodes; every module is a node, or the nodes of its children."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype, self.nodes = dtype, list[Node]()

    def add(self, name: str, operation: Operation, *inputs: str) -> str:
        self.nodes.append(Node(name, operation, inputs))
        return name

    def walk(self, name: str, module: nn.Module, value: str) -> str:
        """Add what `module` makes of `value`; the name of its output."""
        kind = type(module)  # no subclass, which may compute something else
        if isinstance(module, nn.Sequential) and kind is nn.Sequential:
            return self.chain(name, module, value)
        if isinstance(module, Concat) and kind is Concat:
            branches = [self.walk(f"{name}.{key}", branch, value) for key, branch in module.named_children()]
            return self.add(name, Join(), *branches)
        if isinstance(module, Residual) and kind is Residual:
            branch = self.walk(f"{name}.branch", module.branch, value)
            shortcut = self.walk(f"{name}.shortcut", module.shortcut, value)
            total = self.add(name, Add(module.scale), shortcut, branch)
            return self.add(f"{name}.relu", Relu(), total) if module.relu else total
        if kind in (nn.Identity, nn.Dropout):
            return value
        return self.add(name, self.operation(name, module), value)

    def chain(self, name: str, modules: nn.Sequential, value: str) -> str:
        """A `SamePad` belongs to the convolution or pool behind it."""
        pad: SamePad | None = None
        for key, module in modules.named_children():
            if isinstance(module, SamePad):
                pad = module
            elif pad is None:
                value = self.walk(f"{name}.{key}", module, value)
            else:
                value = self.add(f"{name}.{key}", self.padded(f"{name}.{key}", pad, module), value)
                pad = None
        if pad is not None:
            raise UsageError(f"{name} ends in a SamePad, without the convolution or pool that it pads for")
        return value

    def padded(self, name: str, pad: SamePad, module: nn.Module) -> Operation:
        operation = self.operation(name, module)
        if not isinstance(operation, Convolution | MaxPool):
            raise UsageError(f"{name}, {module}, cannot be padded by {pad}")
        value = 0.0 if isinstance(operation, Convolution) else -torch.inf
        fits = (operation.window, operation.stride, pad.value) == ((pad.kernel,) * 2, (pad.stride,) * 2, value)
        if not fits or operation.padding != UNPADDED:
            raise UsageError(f"{name}, {module}, does not fit the SamePad ahead of it")
        return replace(operation, padding=SAME)

    def operation(self, name: str, module: nn.Module) -> Operation:
        read = READERS.get(type(module))
        found = read(module, self.copy) if read else None
        if found is None:
            raise UsageError(f"{name} is {module}, which no engine knows; layers are those of torchinception.layers")
        return found

    def copy(self, tensor: Tensor) -> Tensor:
        return tensor.detach().to(self.dtype, copy=True)


Copy = Callable[[Tensor], Tensor]


def _convolution(module: Any, copy: Copy) -> Operation | None:
    if module.dilation != (1, 1) or module.padding_mode != "zeros" or isinstance(module.padding, str):
        return None
    bias = None if module.bias is None else copy(module.bias)
    return Convolution(copy(module.weight), bias, module.stride, _sides(module.padding), module.groups)


def _batch_norm(module: Any, copy: Copy) -> Operation | None:
    tensors = (module.running_mean, module.running_var, module.weight, module.bias)
    if any(tensor is None for tensor in tensors):
        return None
    mean, variance, gamma, beta = map(copy, tensors)
    return BatchNorm(mean, variance, gamma, beta, module.eps)


def _max_pool(module: Any, _: Copy) -> Operation | None:
    if _pair(module.dilation) != (1, 1) or module.return_indices:
        return None
    return MaxPool(_pair(module.kernel_size), _pair(module.stride), _sides(module.padding), module.ceil_mode)


def _average_pool(module: Any, _: Copy) -> Operation | None:
    if module.divisor_override is not None:
        return None
    kernel, stride, padding = _pair(module.kernel_size), _pair(module.stride), _sides(module.padding)
    return AveragePool(kernel, stride, padding, module.ceil_mode, module.count_include_pad)


def _adaptive_pool(module: Any, _: Copy) -> Operation | None:
    rows, columns = _pair(module.output_size)
    return AdaptivePool((rows, columns)) if rows and columns else None


def _linear(module: Any, copy: Copy) -> Operation | None:
    return None if module.bias is None else Linear(copy(module.weight), copy(module.bias))


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def _sides(padding: int | Pair) -> Sides:
    down, across = _pair(padding)
    return Sides(down, down, across, across)


READERS: Mapping[type[nn.Module], Callable[[Any, Copy], Operation | None]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda _module, _copy: Relu(),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    nn.LocalResponseNorm: lambda module, _: ResponseNorm(module.size, module.alpha, module.beta, module.k),
    nn.Linear: _linear,
}

"""A graph as a PyTorch module for CPUs whose weights lie as oneDNN wants them.

PyTorch's own convolution has oneDNN lay out its kernel anew in every call, which costs a third of a network's time at
batch 1. The functions used here are those that `torch.compile` puts in place of it when it freezes weights: no public
ones, so that `can_pack` asks whether they are there.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from torchinception.engines.graph import Graph
from torchinception.engines.module import Writer, attribute_name, to_module
from torchinception.engines.operations import Convolution
from torchinception.layers import Pair


def can_pack() -> bool:
    """Whether this PyTorch, on this processor, has what `to_packed_module` needs."""
    names = (torch._C._nn, "mkldnn_reorder_conv2d_weight"), (torch.ops.mkldnn, "_convolution_pointwise")
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return available and all(hasattr(where, name) for where, name in names)


def to_packed_module(graph: Graph, shape: Sequence[int]) -> fx.GraphModule:
    """As `to_module`, for float32 pictures on the CPU; quickest for those of `shape` (N, C, H, W), right for all."""
    return _PackedWriter(graph, shape).module()


class _PackedWriter(Writer):
    def __init__(self, graph: Graph, shape: Sequence[int]) -> None:
        super().__init__(graph)
        self.shapes = _Shapes(graph).of(shape)

    def convolve(self, name: str, conv: Convolution, x: fx.Node, cells: Pair) -> fx.Node:
        layout, shape = (cells, conv.stride, (1, 1), conv.groups), self.shapes[attribute_name(name, "kernel")]
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # its stub knows fewer arguments
        kernel = self.buffer(name, "kernel", reorder(conv.kernel.to_mkldnn(), *layout, shape))
        bias = None if conv.bias is None else self.buffer(name, "bias", conv.bias)
        after = "relu" if conv.relu else "none"
        return self.apply(torch.ops.mkldnn._convolution_pointwise, x, kernel, bias, *layout, after, [], "")


class _Shapes(fx.Interpreter):
    """Runs a graph on the meta device, where nothing is computed, to learn what each kernel meets."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(to_module(graph.to(device="meta")))
        self.met: dict[object, list[int]] = {}

    def of(self, shape: Sequence[int]) -> dict[object, list[int]]:
        self.run(torch.empty(*shape, device="meta"))
        return self.met

    def run_node(self, n: fx.Node) -> Any:
        if n.target is torch.conv2d:
            x, kernel, *_ = n.args
            assert isinstance(x, fx.Node)
            assert isinstance(kernel, fx.Node)
            self.met[kernel.target] = list(self.env[x].shape)
        return super().run_node(n)

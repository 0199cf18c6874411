"""A graph as a PyTorch module for CPUs whose weights lie as oneDNN wants them.

PyTorch's own convolution has oneDNN lay out its kernel anew in every call, which costs up to 40 % of a network's time
at batch 1 (benchmarks/torch_engine.py). The functions used here are those that `torch.compile` puts in its place when
it freezes weights. They are no public ones, so that `can_pack` asks whether they are there.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from torchinception.engines.graph import Graph
from torchinception.engines.module import Writer, attribute_name, to_module
from torchinception.engines.operations import Convolution
from torchinception.layers import Pair

Packed = dict[tuple[int, ...], tuple[Tensor, Tensor]]  # kernels, each with what became of it, by identity and input


def can_pack() -> bool:
    """Whether this PyTorch, on this processor, has what `to_packed_module` needs."""
    names = (torch._C._nn, "mkldnn_reorder_conv2d_weight"), (torch.ops.mkldnn, "_convolution_pointwise")
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return available and all(hasattr(where, name) for where, name in names)


def to_packed_module(graph: Graph, shape: Sequence[int], packed: Packed) -> fx.GraphModule:
    """As `to_module`, for float32 pictures on the CPU; quickest for those of `shape` (N, C, H, W), right for all.

    `packed` is what modules of one engine share: kernels that are in it already are not laid out, and kept, twice.
    """
    return _PackedWriter(graph, shape, packed).module()


class _PackedWriter(Writer):
    def __init__(self, graph: Graph, shape: Sequence[int], packed: Packed) -> None:
        super().__init__(graph)
        self.shapes, self.packed = _Shapes(graph).of(shape), packed

    def convolve(self, name: str, conv: Convolution, x: fx.Node, cells: Pair) -> fx.Node:
        layout, shape = (cells, conv.stride, (1, 1), conv.groups), self.shapes[attribute_name(name, "kernel")]
        key = (id(conv.kernel), *shape[1:])  # the batch makes no difference to the layout
        if key not in self.packed:
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # its stub knows fewer arguments
            self.packed[key] = (conv.kernel, reorder(conv.kernel.to_mkldnn(), *layout, shape))
        kernel = self.buffer(name, "kernel", self.packed[key][1])
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

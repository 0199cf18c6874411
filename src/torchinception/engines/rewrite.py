"""Exact rewrites of a graph: the same function of the pictures in fewer or cheaper steps.

Each is a function of its own, so that each can be left out: which of them pay depends on the runtime, and is for
measurements to say. A name stands for a value: every name that a rewritten graph shares with the one before has the
same value there, up to rounding, and stages keep their outputs. New values have new names.

Rewrites may come in any order. That of `REWRITES` leaves the least, as batch norm hides a convolution's bias, and a
merged convolution what stood behind each of its parts. They compute in float64; give them a graph in float64 and
round it once, with `Graph.to`, at the end.

>>> from torchinception.engines.graph import to_graph
>>> from torchinception.models import create
>>> graph = to_graph(create("tiny_inception"))
>>> len(graph.nodes), len(rewrite(graph).nodes), len(rewrite(graph, (fold_batch_norm,)).nodes)
(72, 34, 53)
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

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
    Linear,
    Operation,
    Relu,
    Slice,
)

Rewrite = Callable[[Graph], Graph]


def fold_batch_norm(graph: Graph) -> Graph:
    """Batch norm behind a convolution becomes part of its kernel and bias.

    Exact, since both are linear in each channel; not so where something else reads the convolution's own output, or
    behind anything but a convolution, where it stays.
    """
    nodes, needed, found = graph.by_name, _uses(graph), dict[str, Sequence[Node]]()
    for node in graph.nodes:
        if not isinstance(norm := node.operation, BatchNorm):
            continue
        before = nodes[node.inputs[0]]
        conv = before.operation
        if not isinstance(conv, Convolution) or conv.relu or needed[before.name] > 1:
            continue
        factor = norm.gamma.double() / (norm.variance.double() + norm.eps).sqrt()
        bias = norm.beta.double() + (conv.bias_or_zeros - norm.mean.double()) * factor
        folded = replace(conv, kernel=_times(conv.kernel, factor), bias=bias.to(conv.kernel.dtype))
        found[node.name] = [Node(node.name, folded, before.inputs)]
    return _with(graph, found)


def simplify(graph: Graph) -> Graph:
    """A linear layer becomes a 1x1 convolution, the global pool an adaptive one, a batch norm that is left a factor.

    Values behind the global pool are (N, C, 1, 1) then.
    """

    def simpler(operation: Operation) -> Operation:
        match operation:
            case Linear(weight, bias):
                return Convolution(weight[:, :, None, None], bias, (1, 1), UNPADDED)
            case GlobalPool():
                return AdaptivePool((1, 1))
            case BatchNorm(mean, variance, gamma, beta, eps):
                factor = gamma / (variance + eps).sqrt()
                return Affine(factor, beta - mean * factor)
        return operation

    return replace(graph, nodes=tuple(replace(node, operation=simpler(node.operation)) for node in graph.nodes))


def fuse_relu(graph: Graph) -> Graph:
    """ReLU becomes part of the convolution, bias or sum that it is applied to, if nothing else reads that."""
    nodes, needed, found = graph.by_name, _uses(graph), dict[str, Sequence[Node]]()
    for node in graph.nodes:
        if isinstance(node.operation, Relu) and needed[node.inputs[0]] == 1:
            before = nodes[node.inputs[0]]
            if isinstance(before.operation, Convolution | Affine | Add):
                found[node.name] = [Node(node.name, replace(before.operation, relu=True), before.inputs)]
    return _with(graph, found)


def scale_input(graph: Graph, mean: Sequence[float], std: Sequence[float], levels: float = 255) -> Graph:
    """The graph for pictures of 0 to `levels`, each channel then being `(x / levels - mean) / std`: no rewrite.

    The new input is called "pictures"; "input" stays the name of what the network itself takes.
    """
    first = graph.nodes[0]
    assert isinstance(first.operation, Input)
    like = next(node.operation.kernel for node in graph.nodes if isinstance(node.operation, Convolution))
    means, stds = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))
    scaling = Affine((1 / (levels * stds)).to(like), (-means / stds).to(like))
    return _with(graph, {first.name: [Node("pictures", first.operation), Node(first.name, scaling, ("pictures",))]})


def fold_scaling(graph: Graph, *, padded: bool = False) -> Graph:
    """What `scale_input` added becomes part of the convolutions that read it.

    Exact where these are unpadded (Inception-v3, v4 and the residual networks, Xception). A padded one pads what is
    scaled already with 0, which is the mean of the pictures: with `padded`, these are padded with that, channel by
    channel, for a runtime that can; else their scaling stays. Folding and padding with 0 would change every border.
    """
    nodes, found = graph.by_name, dict[str, Sequence[Node]]()
    readers = [node for node in graph.nodes if any(_is_scaling(nodes[name], nodes) for name in node.inputs)]
    for node in readers:
        conv = node.operation
        if not isinstance(conv, Convolution) or not (padded or conv.padding == UNPADDED) or conv.fill is not None:
            return graph  # the scaled picture is needed as it is
        before = nodes[node.inputs[0]]
        scaling = before.operation
        assert isinstance(scaling, Affine)
        assert scaling.scale is not None
        scale, shift = scaling.scale.double(), scaling.shift.double()
        of_each = conv.kernel.shape[1]  # output channel k reads `of_each` channels from group k // (C' / groups)
        scale_read, shift_read = (
            v.view(conv.groups, 1, of_each).expand(-1, len(conv.kernel) // conv.groups, -1).reshape(-1, of_each, 1, 1)
            for v in (scale, shift)
        )
        dtype = conv.kernel.dtype
        folded = replace(
            conv,
            kernel=(conv.kernel.double() * scale_read).to(dtype),
            bias=(conv.bias_or_zeros + (conv.kernel.double() * shift_read).sum((1, 2, 3))).to(dtype),
            fill=None if conv.padding == UNPADDED else (-shift / scale).to(dtype),
        )
        found[node.name] = [Node(node.name, folded, before.inputs)]
    return _with(graph, found)


def fold_residual_scale(graph: Graph) -> Graph:
    """The factor of a residual branch becomes part of the convolution that the branch ends in.

    Exact, since that convolution (the up-projection) has no ReLU behind it; where it has one, or something else reads
    it, the factor stays.
    """
    nodes, needed, found = graph.by_name, _uses(graph), dict[str, Sequence[Node]]()
    for node in graph.nodes:
        if not isinstance(total := node.operation, Add) or total.scale == 1:
            continue
        shortcut, branch = node.inputs
        conv, name = nodes[branch].operation, f"{branch}.scaled"
        if not isinstance(conv, Convolution) or conv.relu or needed[branch] > 1:
            continue
        factor = torch.full((len(conv.kernel),), total.scale, dtype=torch.float64, device=conv.kernel.device)
        bias = None if conv.bias is None else (conv.bias.double() * factor).to(conv.bias.dtype)
        scaled = replace(conv, kernel=_times(conv.kernel, factor), bias=bias)
        found[node.name] = [
            Node(name, scaled, nodes[branch].inputs),
            Node(node.name, replace(total, scale=1.0), (shortcut, name)),
        ]
    return _with(graph, found)


def move_average_pool(graph: Graph) -> Graph:
    """A 1x1 convolution behind an average pool goes ahead of it, so that the pool has fewer channels to sum.

    Exact, since the one is a weighted sum over channels, the same in every place, and the other one over places, the
    same in every channel: so whether padding is counted or not. But where it is counted, the mean at the border is
    that of the convolution's values and zeros, which are no values of a convolution with bias: so bias, and ReLU,
    which is not linear, come behind the pool. Never with max pools, which are not linear; and not where the
    convolution has as many channels as the pool or more, or the pool a stride, where it would cost more.
    """
    nodes, needed, found = graph.by_name, _uses(graph), dict[str, Sequence[Node]]()
    for node in graph.nodes:
        conv = node.operation
        if not isinstance(conv, Convolution) or not conv.is_pointwise or conv.stride != (1, 1):
            continue
        before = nodes[node.inputs[0]]
        pool, narrower = before.operation, conv.kernel.shape[0] < conv.kernel.shape[1]
        if not isinstance(pool, AveragePool) or pool.stride != (1, 1) or needed[before.name] > 1 or not narrower:
            continue
        first, pooled = f"{node.name}.ahead", f"{node.name}.pooled"
        bias = conv.bias_or_zeros.to(conv.kernel.dtype)
        found[node.name] = [
            Node(first, replace(conv, bias=None, relu=False), before.inputs),
            Node(pooled, pool, (first,)),
            Node(node.name, Affine(None, bias, conv.relu), (pooled,)),
        ]
    return _with(graph, found)


def merge_siblings(graph: Graph) -> Graph:
    """1x1 convolutions that read one value become one, whose channels are then shared out: one larger product.

    Exact, since no output channel knows of another. They have to agree in stride, in bias (or none) and in ReLU.
    """
    siblings: dict[object, list[Node]] = {}
    for node in graph.nodes:
        if isinstance(conv := node.operation, Convolution) and conv.is_pointwise:
            siblings.setdefault((node.inputs, conv.stride, conv.relu, conv.bias is None), []).append(node)
    found = dict[str, list[Node]]()
    for family in siblings.values():
        if len(family) == 1:
            continue
        convs = [node.operation for node in family if isinstance(node.operation, Convolution)]
        biases = [conv.bias for conv in convs if conv.bias is not None]
        kernel, bias = torch.cat([conv.kernel for conv in convs]), torch.cat(biases) if biases else None
        merged, start = f"{family[0].name}.merged", 0
        for node, conv in zip(family, convs, strict=True):
            stop = start + len(conv.kernel)
            found[node.name] = [Node(node.name, Slice(start, stop), (merged,))]
            start = stop
        found[family[0].name].insert(0, Node(merged, replace(convs[0], kernel=kernel, bias=bias), family[0].inputs))
    return _with(graph, found)


REWRITES: tuple[Rewrite, ...] = (
    fold_batch_norm,
    fold_scaling,
    fold_residual_scale,
    move_average_pool,
    fuse_relu,
    merge_siblings,
)


def rewrite(graph: Graph, rewrites: Iterable[Rewrite] = REWRITES) -> Graph:
    """One rewrite after the other."""
    for one in rewrites:
        graph = one(graph)
    return graph


def _with(graph: Graph, found: Mapping[str, Sequence[Node]]) -> Graph:
    """Nodes in place of those of some names, without the ones that nothing needs any more."""
    nodes = (new for node in graph.nodes for new in found.get(node.name, (node,)))
    return replace(graph, nodes=tuple(nodes)).pruned()


def _uses(graph: Graph) -> Counter[str]:
    """How often each value is read, by nodes or as the output of a stage."""
    return Counter([*(name for node in graph.nodes for name in node.inputs), *graph.stages.values(), graph.output])


def _is_scaling(node: Node, nodes: Mapping[str, Node]) -> bool:
    scales = isinstance(node.operation, Affine) and node.operation.scale is not None and not node.operation.relu
    return scales and isinstance(nodes[node.inputs[0]].operation, Input)


def _times(kernel: Tensor, factor: Tensor) -> Tensor:
    """The kernel times a factor for each output channel."""
    return (kernel.double() * factor.view(-1, 1, 1, 1)).to(kernel.dtype)

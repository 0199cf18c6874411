"""What both quantizers are given: a network as a graph that takes bytes, and what of it is to stay in float.

A convolution of 8 bits multiplies whole numbers; what they stand for is decided by calibration, from the values that
some pictures cause. Weights have a scale for each output channel, values one for the whole layer.
"""

import platform
from collections.abc import Iterator, Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from torchinception.engines.graph import Graph, to_graph
from torchinception.engines.operations import Affine, BatchNorm, Convolution, GlobalPool, Linear, ResponseNorm
from torchinception.engines.rewrite import (
    fold_batch_norm,
    fold_residual_scale,
    fold_scaling,
    fuse_relu,
    rewrite,
    scale_input,
)
from torchinception.machine import processor_flags
from torchinception.network import Inception


def graph_of_bytes(net: Inception, mean: Sequence[float], std: Sequence[float]) -> Graph:
    """The network's graph in float32, for pictures of 0 to 255; `mean` and `std` as in `Preprocess`.

    Raises:
        UsageError: a module that is no part of the family.
    """
    graph = rewrite(to_graph(net), (fold_batch_norm, fold_residual_scale, fuse_relu))
    return fold_scaling(scale_input(graph, mean, std)).to(torch.float32)


def kept_in_float(graph: Graph) -> tuple[str, ...]:
    """The nodes that would not survive 8 bits, or are not worth them.

    Scaling; response normalization, whose squares have twice as many bits; the classifier and the mean ahead of it,
    which cost nothing, and rounded logits rank close classes by chance.
    """
    kinds = Affine | BatchNorm | ResponseNorm | GlobalPool | Linear
    return tuple(node.name for node in graph.nodes if isinstance(node.operation, kinds))


def first_convolutions(graph: Graph) -> tuple[str, ...]:
    """Those that read the pictures, as they are or scaled."""
    early, found = {graph.nodes[0].name}, []
    for node in graph.nodes[1:]:
        if not early.issuperset(node.inputs):
            continue
        if isinstance(node.operation, Convolution):
            found.append(node.name)
        elif isinstance(node.operation, Affine):
            early.add(node.name)
    return tuple(found)


class Singles:
    """Each picture of some batches, uint8 (1, H, W, C), as often as it is gone through.

    One at a time, as quantizers keep much of what they compute: with 32 pictures of v3 ONNX Runtime takes 6 GB, and
    is no quicker.
    """

    def __init__(self, batches: Sequence[Tensor]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for batch in self._batches:
            yield from (picture[None].contiguous().numpy() for picture in batch)


def saturates() -> bool:
    """Whether sums of two products of 8 bits may not fit here, so that weights have to make do with 7 bits.

    x86 adds such pairs up in 16 bits, and cuts off what is more, unless it has VNNI, which sums in 32 bits. Only Linux
    says which; others are taken to have none. Arm never cuts off.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    return not {"avx512_vnni", "avx_vnni"} & processor_flags()

"""What an exported file holds, whatever its format: the network with its scaling, and what it says of itself."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

import torch
from torch import Tensor

from torchinception.classifier import Classifier
from torchinception.engines.graph import Graph, to_graph
from torchinception.engines.onnx_model import LOGITS
from torchinception.engines.rewrite import Rewrite, fold_scaling, rewrite, scale_input
from torchinception.errors import UsageError
from torchinception.layers import Pair
from torchinception.weights.bundle import tensors_sha256

PROBABILITIES = "probabilities"
OUTPUTS = (PROBABILITIES, LOGITS)


@dataclass(frozen=True, eq=False)
class Quantized:
    """A network in 8 bits that somebody has found good enough.

    `model`, from uint8 (N, H, W, 3) to `logits`, is one of ONNX, or OpenVINO's two files as a zip of `model.xml` and
    `model.bin`. `run` computes it where it was judged, and is what a file is compared with. `report` says how it was
    judged, and goes into the parity file.
    """

    model: bytes
    run: Callable[[Tensor], Tensor]
    report: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Content:
    """A graph in float32 that takes pictures of 0 to 255, their size, how many a call takes (None: any number).

    `output` is one of `OUTPUTS`; `metadata` are texts by name, most of them JSON; `quantized` is written instead of the
    graph.
    """

    graph: Graph
    size: Pair
    batch: int | None
    output: str
    metadata: Mapping[str, str]
    quantized: Quantized | None = None


class Loaded(NamedTuple):
    """A file as a runtime has loaded it: uint8 (N, H, W, 3) -> float32 (N, classes).

    `plain`: without what it takes to compute in float32 everywhere; it is compared, but not what a file is judged by.
    """

    runtime: str
    version: str
    run: Callable[[Tensor], Tensor]
    plain: bool = False


def content_of(
    model: Classifier, rewrites: Sequence[Rewrite], batch: int | None, output: str, quantized: Quantized | None = None
) -> Content:
    """What a file of `model` is to hold; everything is computed in float64, and rounded once.

    Raises:
        UsageError: a module that is no part of the family, or a network of other pictures than RGB.
    """
    look = model.preprocess
    if model.network.channels != len(look.mean):
        raise UsageError(f"an exported file takes RGB pictures, this network {model.network.channels} channels")
    graph = rewrite(to_graph(model.network).to(device="cpu"), rewrites)
    scaled = fold_scaling(scale_input(graph, look.mean, look.std)).to(torch.float32)
    return Content(scaled, (look.size, look.size), batch, output, describe(model), quantized)


def describe(model: Classifier) -> Mapping[str, str]:
    """The metadata: `classes` and `names` in the order of the outputs, how to prepare pictures, and where it is from.

    `model_sha256` is what the model file of the same weights says in its header, as `tensors_sha256`.
    """
    return dict(
        network=model.spec.network,
        classes=json.dumps(model.classes, ensure_ascii=False),
        names=json.dumps(model.names, ensure_ascii=False),
        preprocess=model.preprocess.model_dump_json(),
        model_sha256=tensors_sha256(model.network.state_dict()),
        versions=json.dumps({package: version(package) for package in ("torchinception", "torch")}),
    )

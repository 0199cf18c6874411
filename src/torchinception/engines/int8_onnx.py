"""8 bits in ONNX Runtime: its static quantizer, which writes QuantizeLinear and DequantizeLinear around each layer."""

import importlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
from torch import Tensor

from torchinception.engines.graph import Graph
from torchinception.engines.int8_engine import Int8Engine
from torchinception.engines.int8_graph import Singles, first_convolutions, kept_in_float
from torchinception.engines.onnx_engine import OnnxEngine, import_onnxruntime
from torchinception.engines.onnx_model import PICTURES, import_onnx, write_onnx
from torchinception.layers import Pair

QUANTIZED = ("Conv", "Relu", "MaxPool", "AveragePool", "Concat", "Add")
PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")  # what the quantizer otherwise tells its user to do first


class OnnxInt8Engine(Int8Engine, OnnxEngine):
    """An `Int8Engine` of ONNX Runtime."""

    def _cut(self, stage: str, value: str) -> bytes:
        onnx = import_onnx()
        model = onnx.load_from_string(self.model)
        graph = model.graph
        needed, kept = {value}, []
        for node in reversed(graph.node):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        weights = [weight for weight in graph.initializer if weight.name in needed]
        nodes = [*reversed(kept), onnx.helper.make_node("Identity", [value], [stage])]
        answer = onnx.helper.make_tensor_value_info(stage, onnx.TensorProto.FLOAT, None)
        cut = onnx.helper.make_graph(nodes, graph.name, graph.input, [answer], weights)
        model.graph.CopyFrom(cut)
        found: bytes = model.SerializeToString()
        return found


class _Reader:
    """Pictures as the quantizer asks for them, once; None behind the last one."""

    def __init__(self, pictures: Singles) -> None:
        self._pictures = iter(pictures)

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {PICTURES: picture}


def quantize_onnx(graph: Graph, size: Pair, calibration: Sequence[Tensor], *, half_range: bool) -> bytes:
    """A model of ONNX in 8 bits: `pictures`, uint8 (N, H, W, C), any number -> `logits`, float32 (N, classes).

    The first convolution, of three channels, is quicker in float: GoogLeNet takes 11.6 ms instead of 13.0 (in OpenVINO
    it is the other way round, 7.0 and 6.1). Values are unsigned, and weights signed: signed values take v3 from 22.8
    to 30.4 ms with VNNI. Ranges are those seen (with percentiles, entropy or moving averages a trained `tiny_inception`
    agreed with itself as well, within 0.1 %).

    Args:
        graph: of bytes, see `graph_of_bytes`.
        size: height and width of the pictures.
        calibration: uint8 (N, H, W, C) each.
        half_range: give weights 7 bits, see `saturates`.

    Raises:
        UsageError: a package that is not installed.
    """
    onnx, _ = import_onnx(), import_onnxruntime()
    quantization = importlib.import_module("onnxruntime.quantization")
    model = write_onnx(graph, size, uint8=True, metadata=dict([PREPARED]))
    prefixes = tuple(f"/{name}" for name in (*kept_in_float(graph), *first_convolutions(graph)))
    excluded = [
        node.name
        for node in model.graph.node
        if node.name.startswith(tuple(f"{prefix}." for prefix in prefixes)) or node.name in prefixes
    ]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "quantized.onnx"
        quantization.quantize_static(
            model,
            path,
            _Reader(Singles(calibration)),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=half_range,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=excluded,
            # ReLU costs nothing where it stays, and the outputs of stages keep their names
            extra_options=dict(QDQKeepRemovableActivations=True),
        )
        model = onnx.load(path)
    del model.metadata_props[:]
    model.producer_name = "torchinception"
    found: bytes = model.SerializeToString()
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the quantizer tells the root logger, and let it not set that up."""

    def others(record: logging.LogRecord) -> bool:
        return "onnxruntime" not in Path(record.pathname).parts

    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(others)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(others)
        root.removeHandler(handler)

"""Exported files as their users load them, and a model to export."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from data_fixtures import tiny_classifier
from torch import Tensor

from torchinception.classifier import Classifier
from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.openvino_engine import import_openvino

CLASSES = ("bag", "Turnschuh – 鞋", "\"a\" <b> & 'c'\n")
NAMES = ("bag", "shoe", "shoe")


def varied(model: Classifier) -> Classifier:
    """With logits that differ from picture to picture, as trained ones do."""
    with torch.no_grad():
        model.network.classifier.weight *= 40
    return model


def small_model() -> Classifier:
    return varied(tiny_classifier(*CLASSES, names=NAMES))


def run(path: Path) -> Callable[[Tensor], Tensor]:
    """An exported file as its users load it, without this package."""
    if path.suffix == ".onnx":
        session = import_onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda pictures: torch.from_numpy(session.run(None, {"pictures": pictures.numpy()})[0])
    if path.suffix == ".xml":
        compiled = import_openvino().Core().compile_model(path, "CPU", dict(INFERENCE_PRECISION_HINT="f32"))
        return lambda pictures: torch.from_numpy(compiled({"pictures": pictures.numpy()})[0])
    module = torch.export.load(path).module()
    return torch.no_grad()(module)


def read_metadata(path: Path) -> dict[str, str]:
    if path.suffix == ".onnx":
        return dict(import_onnxruntime().InferenceSession(path).get_modelmeta().custom_metadata_map)
    if path.suffix == ".xml":
        read = import_openvino().Core().read_model(path)
        return {
            name: read.get_rt_info(["torchinception", name]).astype(str)
            for name in read.get_rt_info("torchinception").value
        }
    texts = {"metadata.json": ""}
    torch.export.load(path, extra_files=texts)
    return dict(json.loads(texts["metadata.json"]))


def describe(value: onnx.ValueInfoProto) -> tuple[str, list[int | str]]:
    return value.name, [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

"""OpenVINO's own format: what is computed in a file .xml, the weights in one .bin beside it, of the same name.

The texts stand in the model's `rt_info`, under `torchinception`.
"""

import importlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from torchinception.engines.onnx_model import LOGITS, PICTURES
from torchinception.engines.openvino_engine import import_openvino
from torchinception.exports.content import PROBABILITIES, Content, Loaded
from torchinception.exports.onnx_file import to_onnx

SECTION = "torchinception"


def write(content: Content, path: Path) -> None:
    """Write both files; floats have 32 bits, which is not OpenVINO's default."""
    openvino = import_openvino()
    if content.quantized is None:
        model = openvino.Core().read_model(to_onnx(content).SerializeToString())
    else:
        model = _finish(openvino, _unpack(openvino, content.quantized.model), content)
    for name, text in content.metadata.items():
        model.set_rt_info(text, [SECTION, name])
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # a full disk
        raise OSError(f"OpenVINO could not ({error})") from error


def _unpack(openvino: Any, model: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(model)) as files:
        return openvino.Core().read_model(files.read("model.xml"), files.read("model.bin"))


def _finish(openvino: Any, model: Any, content: Content) -> Any:
    """Logits of any number of pictures -> what the file is to put out, of as many as it is to take."""
    if content.batch:
        shape = model.input(PICTURES).get_partial_shape()
        shape[0] = content.batch
        model.reshape({PICTURES: shape})
    if content.output == PROBABILITIES:
        answers = importlib.import_module("openvino.opset13").softmax(model.output(LOGITS).get_node().input_value(0), 1)
        answers.output(0).set_names({PROBABILITIES})
        model = openvino.Model([answers], model.get_parameters(), "torchinception")
    return model


def load(path: Path, threads: int) -> list[Loaded]:
    """In OpenVINO, in float32 on processors too that have less."""
    openvino = import_openvino()
    core = openvino.Core()
    core.set_property(dict(ENABLE_MMAP=False))  # a file that is mapped could not be renamed on Windows
    settings = dict(
        PERFORMANCE_HINT="LATENCY",
        INFERENCE_PRECISION_HINT="f32",
        INFERENCE_NUM_THREADS=threads,
        ENABLE_CPU_PINNING=False,
    )
    request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()

    def run(pictures: torch.Tensor) -> torch.Tensor:
        answers = request.infer({PICTURES: pictures.numpy()}, share_inputs=True)[0]
        return torch.from_numpy(answers.copy())  # the next call writes there

    return [Loaded("openvino", openvino.__version__.split("-")[0], run)]

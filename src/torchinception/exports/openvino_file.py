"""OpenVINO's own format: what is computed in a file .xml, the weights in one .bin beside it, of the same name.

The texts stand in the model's `rt_info`, under `torchinception`.

Nothing in a file makes OpenVINO compute in float32 on a processor that has bfloat16: of the model's `runtime_options`
its CPU plugin reads none but those of caches (`Config::apply_rt_info`), and layers marked with
`DisablePrecisionConversion` lose the mark where they are replaced. So the setting is among the texts.
"""

import importlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from torchinception.engines.onnx_model import LOGITS, PICTURES
from torchinception.engines.openvino_engine import import_openvino
from torchinception.exports.content import PROBABILITIES, Content, Loaded
from torchinception.exports.onnx_file import to_onnx

SECTION = "torchinception"
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32"}  # to compile a file with, so that it computes in float32 everywhere
SETTINGS_NAME = "openvino_settings"


def write(content: Content, path: Path) -> None:
    """Write both files; floats have 32 bits, which is not OpenVINO's default."""
    openvino = import_openvino()
    if content.quantized is None:
        model = openvino.Core().read_model(to_onnx(content).SerializeToString())
    else:
        model = _finish(openvino, _unpack(openvino, content.quantized.model), content)
    for name, text in (*content.metadata.items(), (SETTINGS_NAME, json.dumps(SETTINGS))):
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
    """In OpenVINO with `SETTINGS`, and as whoever does not know of them loads it."""
    openvino = import_openvino()
    core = openvino.Core()
    core.set_property(dict(ENABLE_MMAP=False))  # a file that is mapped could not be renamed on Windows
    model, version = core.read_model(path), openvino.__version__.split("-")[0]

    def loaded(own: Mapping[str, str]) -> Loaded:
        settings = dict(PERFORMANCE_HINT="LATENCY", INFERENCE_NUM_THREADS=threads, ENABLE_CPU_PINNING=False)
        request = core.compile_model(model, "CPU", {**settings, **own}).create_infer_request()

        def run(pictures: torch.Tensor) -> torch.Tensor:
            answers = request.infer({PICTURES: pictures.numpy()}, share_inputs=True)[0]
            return torch.from_numpy(answers.copy())  # the next call writes there

        return Loaded("openvino", version, run, plain=not own)

    return [loaded(SETTINGS), loaded({})]

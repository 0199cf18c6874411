"""OpenVINO's own format: what is computed in a file .xml, the weights in one .bin beside it, of the same name.

The texts stand in the model's `rt_info`, under `torchinception`.
"""

from pathlib import Path

import torch

from torchinception.engines.onnx_model import PICTURES
from torchinception.engines.openvino_engine import import_openvino
from torchinception.exports.content import Content, Loaded
from torchinception.exports.onnx_file import to_onnx

SECTION = "torchinception"


def write(content: Content, path: Path) -> None:
    """Write both files, in float32, which is not OpenVINO's default."""
    openvino = import_openvino()
    model = openvino.Core().read_model(to_onnx(content).SerializeToString())
    for name, text in content.metadata.items():
        model.set_rt_info(text, [SECTION, name])
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # a full disk
        raise OSError(f"OpenVINO could not ({error})") from error


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

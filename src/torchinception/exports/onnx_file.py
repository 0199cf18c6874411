"""Files of ONNX: the texts stand in `metadata_props`."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.onnx_model import LOGITS, PICTURES, import_onnx, write_onnx
from torchinception.exports.content import PROBABILITIES, Content, Loaded

if TYPE_CHECKING:
    import onnx


def write(content: Content, path: Path) -> None:
    """Write the file, which `onnx.checker` has found to be valid."""
    model = to_onnx(content)
    import_onnx().checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def to_onnx(content: Content) -> "onnx.ModelProto":
    """The model, from `pictures` to `logits` or `probabilities`."""
    if content.quantized is None:
        model = write_onnx(content.graph, content.size, batch=content.batch, uint8=True)
    else:
        model = import_onnx().load_from_string(content.quantized.model)
        _fix_batch(model, content.batch)
    if content.output == PROBABILITIES:
        _add_softmax(model)
    import_onnx().helper.set_model_props(model, dict(content.metadata))
    return model


def _fix_batch(model: "onnx.ModelProto", batch: int | None) -> None:
    """Say how many pictures a model takes that is for any number."""
    if batch:
        for end in (*model.graph.input, *model.graph.output):
            end.type.tensor_type.shape.dim[0].dim_value = batch
        del model.graph.value_info[:]  # which says otherwise of what is between


def _add_softmax(model: "onnx.ModelProto") -> None:
    """Put out probabilities of the logits."""
    node = import_onnx().helper.make_node("Softmax", [LOGITS], [PROBABILITIES], name=PROBABILITIES, axis=1)
    model.graph.node.append(node)
    model.graph.output[0].name = PROBABILITIES  # of the same shape


def load(path: Path, threads: int) -> list[Loaded]:
    """In ONNX Runtime, and if it is installed in OpenVINO, which takes such files too."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors alone
    session = runtime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def run(pictures: torch.Tensor) -> torch.Tensor:
        answers: Any = session.run(None, {PICTURES: pictures.numpy()})
        return torch.from_numpy(answers[0])

    found = [Loaded("onnxruntime", runtime.__version__, run)]
    if find_spec("openvino"):
        from torchinception.exports import openvino_file

        found += openvino_file.load(path, threads)
    return found

"""The models are valid ONNX, take and put out what they say, and carry what they are given."""

import sys

import numpy as np
import onnx
import pytest
import torch
from engine_fixtures import answers, error, inputs, network, settled, small_size
from onnx.checker import check_model
from torch.nn import functional as F  # noqa: N812

from torchinception.data.real_pictures import real_pictures
from torchinception.data.transforms import Preprocess
from torchinception.engines.graph import to_graph
from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.onnx_model import LOGITS, PICTURES, write_onnx
from torchinception.engines.openvino_engine import import_openvino
from torchinception.engines.operations import Sides
from torchinception.engines.windows import adaptive_means, count_windows
from torchinception.errors import UsageError
from torchinception.models import NETWORKS, create

PREPROCESS = Preprocess(size=28, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
TINY = "tiny_inception"


def describe(value: onnx.ValueInfoProto) -> tuple[str, str, list[int | str]]:
    kind = value.type.tensor_type
    shape = [dimension.dim_param or dimension.dim_value for dimension in kind.shape.dim]
    return value.name, onnx.TensorProto.DataType.Name(kind.elem_type), shape


def ends(model: onnx.ModelProto) -> list[tuple[str, str, list[int | str]]]:
    """The input and the outputs."""
    return [describe(value) for value in (*model.graph.input, *model.graph.output)]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_makes_a_valid_model(name: str) -> None:
    """The shapes that ONNX infers must be those that are said, of every stage."""
    height, width = small_size(name)
    with torch.device("meta"):
        values = create(name).eval().endpoints(torch.empty(1, 3, height, width))
    shapes = {stage: value.shape for stage, value in values.items()}
    graph = to_graph(create(name, initialize=False), torch.float32)
    model = write_onnx(graph, (height, width), stages=shapes)
    check_model(model)
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:  # no shape depends on it, and copying it takes seconds
            weight.ClearField("raw_data")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    outputs = {LOGITS: (1, NETWORKS[name].classes)} | shapes
    expected = [(output, "FLOAT", ["N", *shape[1:]]) for output, shape in outputs.items()]
    assert ends(model) == [(PICTURES, "FLOAT", ["N", 3, height, width]), *expected]
    assert ends(inferred) == ends(model)


@pytest.mark.parametrize("name", ["googlenet", "xception"])
def test_stages_besides_are_those_of_the_network(name: str) -> None:
    x = inputs(real_pictures(2, *small_size(name)), PREPROCESS)
    net = settled(name, x)
    with torch.no_grad():
        right = net.endpoints(x.double())
    model = write_onnx(to_graph(net), small_size(name), stages=right).SerializeToString()
    session = import_onnxruntime().InferenceSession(model, providers=["CPUExecutionProvider"])
    core = import_openvino().Core()
    settings = dict(INFERENCE_PRECISION_HINT="f32")
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    pictures = {PICTURES: x.contiguous().numpy()}
    for found in (session.run(list(right), pictures), [compiled(pictures)[stage] for stage in right]):
        for value, stage in zip(found, right, strict=True):
            assert error(torch.from_numpy(value), right[stage]) <= 1e-4, stage


def test_a_model_of_bytes_says_so() -> None:
    model = write_onnx(to_graph(network(TINY)), (28, 30), batch=2, uint8=True)
    check_model(model, full_check=True)
    assert ends(model) == [(PICTURES, "UINT8", [2, 28, 30, 3]), (LOGITS, "FLOAT", [2, 10])]


def test_the_graph_gets_bytes_as_they_are() -> None:
    pictures = real_pictures(2, 28, 28)
    x = pictures.permute(0, 3, 1, 2).float()
    net = settled(TINY, x)
    model = write_onnx(to_graph(net), (28, 28), uint8=True).SerializeToString()
    session = import_onnxruntime().InferenceSession(model, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {PICTURES: pictures.numpy()})
    assert error(torch.from_numpy(answer), answers(net, x)) <= 1e-4


def test_a_graph_that_ends_in_a_stage_puts_it_out_by_its_name() -> None:
    model = write_onnx(to_graph(network(TINY)).up_to("inception_1a"), (28, 28))
    assert ends(model)[1:] == [("inception_1a", "FLOAT", ["N", 16, 28, 28])]


def test_texts_are_carried() -> None:
    texts = {"classes": '["bag", "Turnschuh \u2013 \u978b"]', "preprocess": PREPROCESS.model_dump_json()}
    model = onnx.load_from_string(write_onnx(to_graph(network(TINY)), (28, 28), metadata=texts).SerializeToString())
    assert {text.key: text.value for text in model.metadata_props} == texts


def test_weights_are_raw_and_rounded_once() -> None:
    net = network(TINY)
    model = write_onnx(to_graph(net), (28, 28))
    weights = {weight.name: weight for weight in model.graph.initializer}
    assert all(weight.raw_data for weight in weights.values())
    written = onnx.numpy_helper.to_array(weights["/classifier.weight"])
    assert np.array_equal(written, net.classifier.weight.detach().float().numpy())


def test_pictures_too_small_are_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        write_onnx(to_graph(network(TINY)), (28, 5))


def test_a_stage_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no stage named mixed_9z"):
        write_onnx(to_graph(network(TINY)), (28, 28), stages=["mixed_9z"])


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'torchinception\[onnx\]'"):
        write_onnx(to_graph(network(TINY)), (28, 28))


@pytest.mark.parametrize("ceil", [False, True])
def test_windows_are_counted_as_pytorch_counts_them(ceil: bool) -> None:
    for kernel in range(1, 6):
        for stride in range(1, 5):
            for pad in range(kernel // 2 + 1):
                for length in range(kernel, 14):
                    counted = count_windows(
                        (length, length + 1), (kernel,) * 2, (stride,) * 2, Sides(pad, pad, pad, pad), ceil=ceil
                    )
                    x = torch.empty(1, 1, length, length + 1, device="meta")
                    assert counted == F.max_pool2d(x, kernel, stride, pad, ceil_mode=ceil).shape[2:]


def test_adaptive_windows_are_cut_as_pytorch_cuts_them() -> None:
    for length in range(1, 15):
        for cells in range(1, 8):
            ones = torch.eye(length, dtype=torch.float64)[None]
            assert adaptive_means(length, cells).allclose(F.adaptive_avg_pool1d(ones, cells)[0].T, rtol=0, atol=1e-15)

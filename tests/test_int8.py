"""8 bits answer nearly as fp32 does, and their quantizers keep quiet."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_fixtures import answers, error, inputs, settled, small_size
from torch import Tensor

from torchinception import machine
from torchinception.classifier import Classifier
from torchinception.data.real_pictures import real_pictures
from torchinception.data.sample import SIDE
from torchinception.data.transforms import Preprocess
from torchinception.engines import int8_graph
from torchinception.engines.engine import Engine
from torchinception.engines.int8 import quantize, quantized_model
from torchinception.engines.int8_graph import saturates
from torchinception.engines.int8_openvino import write_openvino
from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.openvino_engine import import_openvino
from torchinception.errors import UsageError
from torchinception.models import NETWORKS, create

pytest_plugins = ("int8_fixtures",)
RUNTIMES = ("onnx", "openvino")
PREPROCESS = Preprocess(size=SIDE, crop=1.0)  # that of `trained`


@pytest.fixture(scope="session")
def engines(trained: Classifier, calibration: list[Tensor]) -> dict[str, Engine]:
    """Of each runtime."""
    return {name: quantize(name, trained.network, PREPROCESS, calibration, batch=4, threads=1) for name in RUNTIMES}


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_trained_network_answers_nearly_as_in_fp32(
    name: str, engines: dict[str, Engine], trained: Classifier, checked: Tensor
) -> None:
    right, found = trained.engine.run_uint8(checked), engines[name].run_uint8(checked)
    assert (found.argmax(1) == right.argmax(1)).double().mean() >= 0.99  # 2 of 240
    assert 0 < error(found, right.double()) <= 0.1


@pytest.mark.parametrize("name", RUNTIMES)
def test_it_says_what_it_is(name: str, engines: dict[str, Engine]) -> None:
    engine = engines[name]
    assert (engine.name, engine.precision, engine.threads) == (name, "int8", 1)


@pytest.mark.parametrize("name", RUNTIMES)
def test_scaled_pictures_are_answered_as_the_bytes_that_they_were(
    name: str, engines: dict[str, Engine], checked: Tensor
) -> None:
    pictures = checked[:7]
    assert engines[name].run(inputs(pictures, PREPROCESS)).equal(engines[name].run_uint8(pictures))


def test_every_grey_level_survives_scaling() -> None:
    preprocess = Preprocess(size=16, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    pictures = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(1, 1, 1, 3)
    engine = quantize("onnx", create("tiny_inception"), preprocess, [real_pictures(1, 16, 16)])
    assert engine._grey_levels(inputs(pictures, preprocess)).equal(pictures)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RUNTIMES)
def test_features_are_those_of_the_quantized_network(
    name: str, engines: dict[str, Engine], trained: Classifier, checked: Tensor
) -> None:
    x = inputs(checked[:8], PREPROCESS)
    for stage in ("conv_1", "inception_2b", "inception_3b"):
        found, right = engines[name].features(x, stage), trained.engine.features(x, stage)
        assert error(found, right.double()) <= 0.1
    assert error(found, right.double()) > 1e-4  # the last one is not that of fp32
    with pytest.raises(UsageError, match="no stage named mixed_9z"):
        engines[name].features(x, "mixed_9z")


@pytest.mark.parametrize("name", RUNTIMES)
def test_pictures_of_another_size_are_refused(name: str, engines: dict[str, Engine]) -> None:
    with pytest.raises(UsageError, match="for pictures of 28x28, not of 28x30"):
        engines[name].run_uint8(torch.zeros(1, 28, 30, 3, dtype=torch.uint8))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All networks, and one at its own size, take minutes: with --full, else the one with response normalization."""
    if "network" in metafunc.fixturenames:
        every = [*((name, small_size(name)) for name in NETWORKS), ("inception_v3", (299, 299))]
        one = [("googlenet", (75, 86))]
        metafunc.parametrize(("network", "size"), every if metafunc.config.getoption("--full") else one)


def apart(one: Tensor, other: Tensor) -> float:
    """The length of their difference, of that of `other`."""
    return float((one - other).norm() / other.norm())


def test_stages_of_every_network_are_nearly_those_of_float64(network: str, size: tuple[int, int]) -> None:
    """Random weights let errors grow from stage to stage, up to 0.12 at two thirds of v4's and 0.36 at its end."""
    pictures = real_pictures(2, *size)
    x = inputs(pictures, PREPROCESS)
    net = settled(network, x)
    stages = list(net.trunk._modules)
    for name in RUNTIMES:
        engine = quantize(name, net, PREPROCESS, [pictures], batch=2, threads=1)
        middle, last = stages[2 * len(stages) // 3], stages[-1]
        assert apart(engine.features(x, middle).double(), answers(net, x, middle)) <= 0.2, name
        right = answers(net, x, last)
        found = apart(engine.features(x, last).double(), right)
        assert found < apart(right.flip(0), right), name  # than the other picture
        assert engine.run(x).shape == (2, 10)


def test_only_whole_sums_are_8_bits(trained: Classifier) -> None:
    """Response normalization, the first convolution and the classifier stay in float."""
    onnx = pytest.importorskip("onnx", reason="the extra onnx is installed by make")
    net = settled("googlenet", inputs(real_pictures(2, 75, 86), PREPROCESS))
    model = onnx.load_from_string(quantized_model("onnx", net, PREPROCESS, [real_pictures(1, 75, 86)]))
    makers = {output: node for node in model.graph.node for output in node.output}
    read_by = {node.name: [makers[name].op_type for name in node.input if name in makers] for node in model.graph.node}
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    quantized = {name for name in convolutions if "DequantizeLinear" in read_by[name]}
    norms = [name for name in convolutions if name.endswith(".total")]
    assert len(norms) == 2
    assert {*convolutions} - quantized == {convolutions[0], *norms}
    assert "DequantizeLinear" not in read_by["/classifier"]


def test_a_model_of_onnx_takes_any_number_of_pictures(trained: Classifier, checked: Tensor) -> None:
    session = import_onnxruntime().InferenceSession(
        quantized_model("onnx", trained.network, PREPROCESS, [checked[:64]]), providers=["CPUExecutionProvider"]
    )
    for count in (1, 5):
        assert session.run(["logits"], {"pictures": checked[:count].numpy()})[0].shape == (count, 3)


def test_openvinos_files_answer_as_the_engine(engines: dict[str, Engine], checked: Tensor, tmp_path: Path) -> None:
    write_openvino(engines["openvino"].model, tmp_path / "net.xml")  # type: ignore[attr-defined]
    assert {path.name for path in tmp_path.iterdir()} >= {"net.xml", "net.bin"}
    compiled = import_openvino().Core().compile_model(tmp_path / "net.xml", "CPU", dict(INFERENCE_PRECISION_HINT="f32"))
    answer = compiled(checked[:5].numpy())["logits"]
    assert np.allclose(answer, engines["openvino"].run_uint8(checked[:5]).numpy(), atol=1e-4)


def test_weights_of_7_bits_are_taken_where_sums_would_be_cut_off(
    trained: Classifier, checked: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is installed by make")
    monkeypatch.setattr(machine, "PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setattr(int8_graph.platform, "machine", lambda: "x86_64")
    largest = []
    for flags in ("fma avx2", "fma avx2 avx_vnni"):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
        model = onnx.load_from_string(quantized_model("onnx", trained.network, PREPROCESS, [checked[:8]]))
        weights = [onnx.numpy_helper.to_array(weight) for weight in model.graph.initializer]
        largest.append(max(np.abs(weight.astype(int)).max() for weight in weights if weight.dtype == np.int8))
    assert largest == [64, 127]
    (tmp_path / "cpuinfo").unlink()
    assert saturates()
    monkeypatch.setattr(int8_graph.platform, "machine", lambda: "aarch64")
    assert not saturates()


def test_nothing_to_calibrate_with_is_refused() -> None:
    with pytest.raises(UsageError, match="needs pictures to calibrate with"):
        quantized_model("onnx", create("tiny_inception"), PREPROCESS, [])


def state() -> tuple[object, ...]:
    root, nncf = logging.getLogger(), logging.getLogger("nncf")
    return (
        *root.handlers,
        *root.filters,
        root.level,
        nncf.level,
        logging.getLoggerClass(),
        sys.modules.get("nncf.torch"),
    )


@pytest.mark.parametrize("name", RUNTIMES)
def test_quantizing_leaves_pythons_logging_and_the_screen_alone(
    name: str, trained: Classifier, checked: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantized_model(name, trained.network, PREPROCESS, [checked[:2]])  # imports are tested in a process of their own
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = state()
    quantized_model(name, trained.network, PREPROCESS, [checked[:2]])
    assert state() == before
    assert list(tmp_path.iterdir()) == []


RUN = """
import sys

def refuse(event, arguments):
    assert not event.startswith(("socket.connect", "socket.getaddrinfo", "socket.sendto")), (event, arguments)

sys.addaudithook(refuse)
import logging
import torch
from torchinception.data.transforms import Preprocess
from torchinception.engines.int8 import quantize
from torchinception.models import create

pictures = torch.zeros(2, 28, 28, 3, dtype=torch.uint8)
for name in ("onnx", "openvino"):
    quantize(name, create("tiny_inception"), Preprocess(size=28), [pictures]).run_uint8(pictures)
assert "pytest" not in sys.modules  # where it is, nncf tells nobody anyway
assert not {"openvino_telemetry", "nncf.torch"} & sys.modules.keys()
assert not logging.getLogger().handlers
assert logging.getLoggerClass() is logging.Logger
print("ran")
"""
ASKED = (
    "CI",
    "NNCF_CI",
    "NNCF_DEV",
    "ORT_DISABLE_TELEMETRY",
    "TF_BUILD",
    "JENKINS_URL",
    "XDG_CACHE_HOME",
)  # where telemetry is off anyway


def test_quantizers_tell_nobody_print_nothing_and_leave_nothing_at_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ASKED}
    environment |= dict(HOME=str(home), PYTHONPATH=os.pathsep.join(sys.path), MPLCONFIGDIR=str(tmp_path / "plots"))
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("ran\n", "")
    assert list(home.iterdir()) == []

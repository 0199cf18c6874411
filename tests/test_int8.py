"""8 bits answer nearly as fp32 does, are taken only where that is checked, and are refused where it is not so."""

import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from conftest import copy_splits
from engine_fixtures import answers, crops, error, inputs, settled, small_size
from store_fixtures import Notes
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from torchinception.classifier import Classifier
from torchinception.data.folder import Folder, scan
from torchinception.data.sample import SIDE
from torchinception.data.samples import Samples
from torchinception.data.transforms import Preprocess
from torchinception.engines import int8_graph
from torchinception.engines.engine import Engine, build
from torchinception.engines.int8 import quantize, quantized_model
from torchinception.engines.int8_graph import saturates
from torchinception.engines.int8_openvino import write_openvino
from torchinception.engines.int8_parity import Parity, compare
from torchinception.engines.int8_pictures import choose_labelled, choose_unlabelled, read
from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.openvino_engine import import_openvino
from torchinception.errors import DataError, UsageError
from torchinception.models import NETWORKS, create
from torchinception.progress import Listener
from torchinception.quantization import quantize_model
from torchinception.weights.bundle import ModelSpec

RUNTIMES = ("onnx", "openvino")
PREPROCESS = Preprocess(size=SIDE, crop=1.0)


@pytest.fixture(scope="session")
def clothes(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 classes of 80 pictures in `train`, 80 in `val`. Only read it."""
    return copy_splits(sample, tmp_path_factory.mktemp("int8") / "clothes", train=80, val=80)


@pytest.fixture(scope="session")
def folder(clothes: Path) -> Folder:
    return scan(clothes)


def cut(samples: Samples) -> Tensor:
    """uint8 (N, H, W, 3)."""
    return torch.cat(list(read(samples, PREPROCESS)))


@pytest.fixture(scope="session")
def trained(folder: Folder) -> Classifier:
    """A classifier that is nearly always right. Only read it; `model` is a copy to change."""
    torch.manual_seed(0)
    net = create("tiny_inception", len(folder.classes), dropout=0.0)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    samples = folder.splits["train"]
    x, labels = inputs(cut(samples), PREPROCESS), torch.from_numpy(samples.labels).long()
    for _ in range(4):
        for part in torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            F.cross_entropy(net(x[part]), labels[part]).backward()
            optimizer.step()
    spec = ModelSpec(network="tiny_inception", classes=folder.classes, preprocess=PREPROCESS, dropout=0.0)
    return Classifier(net, spec)


@pytest.fixture
def model(trained: Classifier) -> Classifier:
    net = create("tiny_inception", len(trained.classes), dropout=0.0)
    net.load_state_dict(trained.network.state_dict())
    return Classifier(net, trained.spec)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture(scope="session")
def engines(trained: Classifier, folder: Folder) -> dict[str, Engine]:
    """Of each runtime."""
    pictures = cut(folder.splits["train"])[::2].split(50)
    return {name: quantize(name, trained.network, PREPROCESS, pictures, batch=4, threads=1) for name in RUNTIMES}


@pytest.fixture(scope="session")
def checked(folder: Folder) -> Tensor:
    """uint8 (N, H, W, 3) that nothing was calibrated with."""
    return cut(folder.splits["val"])


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
    engine = quantize("onnx", create("tiny_inception"), preprocess, [crops(1, 16, 16)])
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
    pictures = crops(2, *size)
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
    net = settled("googlenet", inputs(crops(2, 75, 86), PREPROCESS))
    model = onnx.load_from_string(quantized_model("onnx", net, PREPROCESS, [crops(1, 75, 86)]))
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
    write_openvino(engines["openvino"]._model, tmp_path / "net.xml")  # type: ignore[attr-defined]
    assert {path.name for path in tmp_path.iterdir()} >= {"net.xml", "net.bin"}
    compiled = import_openvino().Core().compile_model(tmp_path / "net.xml", "CPU", dict(INFERENCE_PRECISION_HINT="f32"))
    answer = compiled(checked[:5].numpy())["logits"]
    assert np.allclose(answer, engines["openvino"].run_uint8(checked[:5]).numpy(), atol=1e-4)


def test_weights_of_7_bits_are_taken_where_sums_would_be_cut_off(
    trained: Classifier, checked: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is installed by make")
    monkeypatch.setattr(int8_graph, "PROCESSOR", tmp_path / "cpuinfo")
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


class Fixed:
    """An engine whose answers are those that it was given."""

    version, threads, precision, memory_bytes = "1", 1, "fp32", 0

    def __init__(self, name: str, guesses: list[int]) -> None:
        self.name, self._logits = name, F.one_hot(torch.tensor(guesses), 4).float()

    def run_uint8(self, pictures: Tensor) -> Tensor:
        return self._logits[pictures[:, 0, 0, 0].long()]


def fixed(right: list[int], found: list[int], labels: list[int] | None, max_loss: float = 0.5) -> Parity:
    pictures = torch.arange(len(right), dtype=torch.uint8).reshape(-1, 1, 1, 1)
    one, other = cast("Engine", Fixed("one", right)), cast("Engine", Fixed("other", found))
    truth = None if labels is None else torch.tensor(labels)
    return compare(one, other, pictures.split(64), truth, max_loss=max_loss)


def test_with_classes_the_limit_is_on_accuracy_lost() -> None:
    truth = [0] * 200
    right, found = [1, 2, *[0] * 198], [0, 1, 1, 1, *[0] * 196]  # 198 right, 197 right, 4 named otherwise
    parity = fixed(right, found, truth)
    assert (parity.accuracy_fp32, parity.accuracy_int8, parity.agreement) == (0.99, 0.985, 0.98)
    assert parity.accepted  # 0.5 points, and no more
    assert not fixed(right, [1, *found[1:]], truth).accepted
    assert parity.logits_error == 1


def test_without_classes_the_limit_is_on_what_is_named_otherwise() -> None:
    right = [0] * 200
    assert fixed(right, [1, *right[1:]], None).accepted
    assert not fixed(right, [1, 1, *right[2:]], None).accepted
    assert fixed(right, [1, 1, *right[2:]], None, max_loss=1).accepted


def test_the_quicker_one_that_is_accepted_is_taken(model: Classifier, clothes: Path, notes: Notes) -> None:
    before = model.engine
    engine, parity = quantize_model(model, clothes, calibration=100, threads=1, listener=notes)
    assert (engine.precision, engine.name, engine.threads) == ("int8", parity.name, 1)
    assert parity.pictures == 240
    assert parity.accuracy_fp32 is not None
    assert parity.accuracy_fp32 > 0.9
    told = [text for text in notes.said if text.startswith("int8 in ")]
    assert len(told) == 2
    assert str(parity) in told
    times = [float(text.split(" ms instead")[0].split()[-1]) for text in told]
    assert parity.milliseconds_int8 == pytest.approx(min(times), abs=0.06)
    assert model.engine is before  # only `use` gives a model another engine


def spread(model: Classifier, factor: float = 1e5) -> None:
    """Give one channel a huge range, and the weights that read it the inverse: the same function, but not in 8 bits."""
    trunk = model.network.trunk
    norm = next(layer for layer in trunk.get_submodule("conv_1").modules() if isinstance(layer, torch.nn.BatchNorm2d))
    readers = [
        layer
        for layer in trunk.get_submodule("inception_1a").modules()
        if isinstance(layer, torch.nn.Conv2d) and layer.in_channels == norm.num_features
    ]
    with torch.no_grad():
        live = int(model.features(torch.full((1, 3, SIDE, SIDE), 128).byte(), "conv_1").mean((0, 2, 3)).argmax())
        norm.weight[live] *= factor
        norm.bias[live] *= factor
        for reader in readers:
            reader.weight[:, live] /= factor


def test_a_network_that_8_bits_spoil_is_refused(model: Classifier, clothes: Path, checked: Tensor) -> None:
    before = model.engine.run_uint8(checked)
    spread(model)
    assert error(model.engine.run_uint8(checked), before.double()) <= 1e-4  # in fp32 nothing has changed
    with pytest.raises(
        UsageError, match=r"(?s)refused, as it loses \d.* in onnx and .* in openvino.*--max-loss"
    ) as told:
        quantize_model(model, clothes, calibration=60, listener=Listener())
    assert "of 240 pictures" in str(told.value)
    assert model.engine.precision == "fp32"


def test_more_may_be_lost_by_those_who_say_so(model: Classifier, clothes: Path) -> None:
    spread(model)
    engine, parity = quantize_model(model, clothes, name="onnx", calibration=60, max_loss=100)
    assert engine.name == "onnx"
    assert parity.loss_points > 0.5


def test_classes_that_the_model_does_not_know_are_left_aside(model: Classifier, clothes: Path, notes: Notes) -> None:
    model.classes = model.names = ("ant", "bee", "wasp")
    _, parity = quantize_model(model, clothes, name="onnx", calibration=60, listener=notes)
    assert parity.accuracy_fp32 is None
    assert any("does not know the classes bag" in text for text in notes.said)


def test_a_folder_without_classes_is_compared_with_fp32(
    model: Classifier, clothes: Path, tmp_path: Path, notes: Notes
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in clothes.glob("train/*/0*.png"):
        shutil.copy(path, pictures / f"{path.parent.name}-{path.name}")
    (pictures / "bad.png").write_bytes(b"no picture")
    _, parity = quantize_model(model, pictures, name="onnx", listener=notes)
    assert (parity.pictures, parity.accuracy_fp32) == (180, None)
    assert any("bad.png" in text for text in notes.said)


def test_what_was_quantized_is_kept(model: Classifier, clothes: Path, cache: Path, notes: Notes) -> None:
    first = quantize_model(model, clothes, name="onnx", calibration=60, listener=notes)
    again = quantize_model(model, clothes, name="onnx", calibration=60, max_loss=7, listener=notes)
    assert [text for text in notes.said if "Quantizing" in text] == ["Quantizing for onnx with 60 pictures"]
    assert again[1] == replace(first[1], max_loss=7)  # milliseconds and all
    quantize_model(model, clothes, name="onnx", calibration=61, listener=notes)
    with torch.no_grad():
        model.network.classifier.bias[0] += 1e-3
    quantize_model(model, clothes, name="onnx", calibration=60, listener=notes)
    assert len([text for text in notes.said if "Quantizing" in text]) == 3
    assert len(list(cache.glob("*.int8"))) == 3


@pytest.mark.parametrize("damage", ["model", "record", "check"])
def test_what_is_damaged_is_made_anew(damage: str, model: Classifier, clothes: Path, cache: Path, notes: Notes) -> None:
    def run() -> Parity:
        return quantize_model(model, clothes, name="onnx", calibration=60, listener=notes)[1]

    first = run()
    (kept,), (record,) = cache.glob("*.int8"), cache.glob("*.json")
    if damage == "model":
        content = bytearray(kept.read_bytes())
        content[len(content) // 2] ^= 1
        kept.write_bytes(content)
    elif damage == "record":
        record.write_bytes(record.read_bytes()[:-20])
    else:
        found = json.loads(record.read_bytes())
        found["checks"] = {key: dict(pictures=1) for key in found["checks"]}
        record.write_text(json.dumps(found))
    again = run()
    assert len([text for text in notes.said if "Quantizing" in text]) == (1 if damage == "check" else 2)
    assert (again.accuracy_int8, again.pictures) == (first.accuracy_int8, first.pictures)
    assert run() == again


def test_a_cache_that_cannot_be_written_is_told(model: Classifier, clothes: Path, cache: Path, notes: Notes) -> None:
    cache.parent.write_text("a file")
    engine, _ = quantize_model(model, clothes, name="onnx", calibration=60, listener=notes)
    assert engine.precision == "int8"
    assert any("not kept" in text for text in notes.said)


def test_no_content_is_calibrated_with_and_checked_on(clothes: Path, tmp_path: Path) -> None:
    mixed = Path(shutil.copytree(clothes, tmp_path / "mixed"))
    for path in mixed.glob("train/bag/*.png"):
        shutil.copy(path, mixed / "val" / "bag" / f"copy-{path.name}")
    folder = scan(mixed)
    options = dict(classes=folder.classes, names=folder.classes, trained_on="", listener=Listener())
    chosen = [choose_labelled(folder, calibration=500, check=500, **options) for _ in range(2)]  # type: ignore[arg-type]
    one, other = ({s.digest for s in part} for part in (chosen[0].calibration, chosen[0].check))
    assert (len(one), len(other), one & other) == (240, 240, set())
    assert chosen[0].check == chosen[1].check
    assert chosen[0].labels is not None
    assert [folder.classes[i] for i in chosen[0].labels] == [Path(s.place).parent.name for s in chosen[0].check]


def test_one_split_is_shared_out(clothes: Path) -> None:
    folder = scan(clothes / "val")
    options = dict(classes=folder.classes, names=folder.classes, trained_on="", listener=Listener())
    chosen = choose_labelled(folder, calibration=500, check=100, **options)  # type: ignore[arg-type]
    assert (len(chosen.calibration), len(chosen.check)) == (60, 100)
    assert not {s.digest for s in chosen.calibration} & {s.digest for s in chosen.check}
    assert {Path(s.place).parent.name for s in chosen.calibration} == {*folder.classes}


def test_too_few_pictures_are_refused(clothes: Path) -> None:
    paths = sorted(clothes.glob("val/bag/00*.png")) * 9
    with pytest.raises(DataError, match="2 pictures to calibrate int8 with and 8 others"):
        choose_unlabelled(paths, calibration=5, check=100, listener=Listener())


@pytest.mark.parametrize("missing", ["nncf", "openvino"])
def test_a_package_that_is_not_installed_is_named(
    missing: str, model: Classifier, clothes: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r"needs onnx and openvino and nncf: pip install 'torchinception\[int8\]'"):
        quantize_model(model, clothes, name="openvino")
    with pytest.raises(UsageError, match=rf"{missing}: pip install"):
        quantized_model("openvino", model.network, PREPROCESS, [crops(1, SIDE, SIDE)])
    assert quantize_model(model, clothes, calibration=60, listener=notes)[0].name == "onnx"


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (dict(name="torch"), "no int8 in an engine named torch; expected auto, onnx, openvino"),
        (dict(max_loss=-1), "max_loss 0 to 100 points"),
        (dict(calibration=0), "at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, object], wrong: str, model: Classifier) -> None:
    with pytest.raises(UsageError, match=wrong):
        quantize_model(model, "nowhere", **options)  # type: ignore[arg-type]


def test_int8_is_compared_with_fp32_alone(model: Classifier) -> None:
    model.use(build("torch", model.network, preprocess=PREPROCESS, precision="bf16"))
    with pytest.raises(UsageError, match="compared with fp32, but the model's engine computes in bf16"):
        quantize_model(model, "nowhere")


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
ASKED = ("CI", "ORT_DISABLE_TELEMETRY", "TF_BUILD", "JENKINS_URL", "XDG_CACHE_HOME")  # where telemetry is off anyway


def test_quantizers_tell_nobody_print_nothing_and_leave_nothing_at_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ASKED}
    environment |= dict(HOME=str(home), PYTHONPATH=os.pathsep.join(sys.path), MPLCONFIGDIR=str(tmp_path / "plots"))
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("ran\n", "")
    assert list(home.iterdir()) == []

"""An exported file answers as PyTorch does, says what it is, and stands there only then."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from data_fixtures import full_disk, listing, tiny_classifier
from engine_fixtures import answers, error, inputs, settled, small_size
from export_fixtures import CLASSES, NAMES, describe, read_metadata, run, small_model, varied
from onnx.checker import check_model
from peer_weights import randomize

from torchinception.classifier import Classifier
from torchinception.data.real_pictures import real_pictures
from torchinception.data.transforms import Preprocess
from torchinception.engines.eager_engine import EagerEngine
from torchinception.errors import InceptionError, SaveError
from torchinception.exports import exporting
from torchinception.exports.content import content_of
from torchinception.exports.exporting import TARGETS, export
from torchinception.layers import SAME, conv, lrn
from torchinception.machine import processor_name, usable_cores
from torchinception.models import NETWORKS, Inception, create
from torchinception.progress import Listener
from torchinception.weights.bundle import ModelSpec

QUICK = ("xception",)
OWN_SIZE = ("small_inception",)
TOLERANCE = 1e-4  # of the largest logit; 7e-5 was seen at small sizes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All networks in three formats take minutes: with --full, else the quickest that has depthwise layers and sums."""
    every = metafunc.config.getoption("--full")
    for fixture, quick in (("small", QUICK), ("own_size", OWN_SIZE)):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, NETWORKS if every else quick)


@pytest.fixture(params=TARGETS)
def to(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def target(to: str, tmp_path: Path) -> Path:
    return tmp_path / f"model{TARGETS[to].suffix}"


@pytest.fixture(scope="module")
def model() -> Classifier:
    return small_model()


@pytest.fixture(scope="module")
def exported(model: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each format, with its parity file. Only read it; `written` is a copy of one to change."""
    folder = tmp_path_factory.mktemp("exported")
    for to, target in TARGETS.items():
        export(model, folder / f"model{target.suffix}", to)
    return folder


@pytest.fixture
def written(exported: Path, target: Path) -> Path:
    """`target`, as `export` has written it, and what belongs to it."""
    for path in exported.iterdir():
        if path.name.startswith(target.name) or (path.suffix == ".bin" and target.suffix == ".xml"):
            shutil.copy(path, target.parent)
    return target


def check_formats(name: str, side: int, count: int, folder: Path) -> None:
    """Logits of each format beside float64's, on so many pictures, some at a time."""
    look = Preprocess(size=side, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    pictures = real_pictures(count, side, side)
    net = settled(name, inputs(pictures[:8], look))
    parts = pictures.split([1, 3, *[4] * (count // 4 - 1)])
    right = torch.cat([answers(net, inputs(part, look)) for part in parts])
    spec = ModelSpec(network=name, classes=tuple("0123456789"), preprocess=look)
    for target in TARGETS.values():
        path = folder / f"model{target.suffix}"
        target.write(content_of(Classifier(net, spec), target.rewrites, None, "logits"), path)
        for loaded in target.load(path, torch.get_num_threads()):
            if loaded.plain:
                continue
            answer = torch.cat([loaded.run(part) for part in parts])
            assert error(answer, right) <= TOLERANCE, loaded.runtime
            assert answer.argmax(1).equal(right.argmax(1)), loaded.runtime


def test_every_format_of_a_network_answers_as_in_float64(small: str, tmp_path: Path) -> None:
    check_formats(small, small_size(small)[1], 4, tmp_path)


def test_a_network_at_its_own_size_answers_as_in_float64_on_32_pictures(own_size: str, tmp_path: Path) -> None:
    check_formats(own_size, NETWORKS[own_size].size, 32, tmp_path)


def test_a_file_says_what_it_is(model: Classifier, written: Path, tmp_path: Path) -> None:
    model.save(tmp_path / "model.safetensors")
    found = read_metadata(written)
    found.pop("openvino_settings", None)
    assert Preprocess.model_validate_json(found.pop("preprocess")) == model.preprocess
    header = (tmp_path / "model.safetensors").read_bytes()[:4096].decode(errors="ignore")
    assert f'"tensors_sha256":"{found.pop("model_sha256")}"' in header
    assert {name: json.loads(text) for name, text in found.items() if name != "network"} == dict(
        classes=list(CLASSES),
        names=list(NAMES),
        versions=dict(torchinception="0.1.0", torch=torch.__version__.split("+")[0]),
    )
    assert found["network"] == "tiny_inception"


@pytest.mark.parametrize("output", ["probabilities", "logits"])
def test_the_parity_file_holds_what_can_be_found_again(model: Classifier, to: str, written: Path, output: str) -> None:
    target = written
    if output != "probabilities":
        export(model, target, to, output=output)
    told = json.loads(target.with_name(f"{target.name}.parity.json").read_text("utf-8"))
    pictures = real_pictures(32, 28, 28)
    look = model.preprocess
    exact = EagerEngine(model.network, mean=look.mean, std=look.std, precision="fp64").run_uint8(pictures)
    found = run(target)(pictures).double()
    right = exact.log_softmax(1) if output == "probabilities" else exact
    difference = ((found.log() if output == "probabilities" else found) - right).abs().max().item()
    own = told["runtimes"][0]
    # the check runs one picture at a time, and with other settings: both are within rounding of float32
    assert own["max_difference"] == pytest.approx(difference, abs=1e-6 * told["scale"])
    assert own["max_difference"] <= TOLERANCE * told["scale"]
    assert told["scale"] == pytest.approx(exact.abs().max().item())
    assert len(exact.argmax(1).unique()) > 1, "one class for all pictures would show nothing"
    assert (own["top1_agreement"], own["fits"], told["pictures"], told["threads"]) == (
        1,
        True,
        32,
        torch.get_num_threads(),
    )
    assert own["latency_ms"] > 0 < told["pytorch"]["latency_ms"]
    assert (told["file"], told["to"], told["output"], told["batch"]) == (target.name, to, output, "dynamic")
    assert told["file_sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert told["model_sha256"] == read_metadata(target)["model_sha256"]
    assert {"torchinception", "torch"} <= told["versions"].keys()
    assert (told["machine"]["processor"], told["machine"]["cores"]) == (processor_name(), usable_cores())


def test_onnx_is_tried_in_both_runtimes(model: Classifier, tmp_path: Path) -> None:
    parity = export(model, tmp_path / "model.onnx")
    assert [found.runtime for found in parity.runtimes] == ["onnxruntime", "openvino"]


def test_probabilities_sum_to_one(written: Path) -> None:
    probabilities = run(written)(real_pictures(6, 28, 28)).double()
    assert probabilities.min() >= 0
    assert probabilities.sum(1).allclose(torch.ones(6).double(), rtol=0, atol=3e-7)  # float32, each rounded once


def test_any_number_of_pictures_is_taken_unless_it_is_fixed(model: Classifier, to: str, written: Path) -> None:
    pictures, dynamic = real_pictures(7, 28, 28), run(written)
    whole = dynamic(pictures)
    for count in (1, 3):
        assert dynamic(pictures[:count]).allclose(whole[:count], rtol=0, atol=1e-5)
    export(model, written, to, batch=3)
    fixed = run(written)
    assert fixed(pictures[:3]).allclose(whole[:3], rtol=0, atol=1e-5)
    with pytest.raises(Exception, match=r"(?i)dimension|shape|guard"):  # each runtime has its own
        fixed(pictures[:2])


def test_a_batch_larger_than_the_check_is_checked_too(model: Classifier, tmp_path: Path) -> None:
    parity = export(model, tmp_path / "model.onnx", batch=40)
    assert (parity.pictures, parity.pictures_a_call) == (32, 40)


@pytest.mark.parametrize(("batch", "many"), [(None, "N"), (2, 2)])
def test_onnx_names_its_ends_and_is_valid(
    model: Classifier, tmp_path: Path, batch: int | None, many: int | str
) -> None:
    export(model, tmp_path / "model.onnx", batch=batch)
    written = onnx.load(tmp_path / "model.onnx")
    check_model(written, full_check=True)
    assert [describe(value) for value in (*written.graph.input, *written.graph.output)] == [
        ("pictures", [many, 28, 28, 3]),
        ("probabilities", [many, 3]),
    ]


ALONE = """
import sys
sys.modules["torchinception"] = None
import numpy, torch
module = torch.export.load(sys.argv[1]).module()
numpy.save(sys.argv[3], module(torch.from_numpy(numpy.load(sys.argv[2]))).detach().numpy())
"""


def test_torch_loads_its_file_without_this_package(tmp_path: Path) -> None:
    """Padding and response normalization are functions of ours, not to be called by name."""
    net = randomize(Inception("rows", dict(first=conv(8, 7, stride=2, pad=SAME), second=lrn()), 2))
    look, pictures = Preprocess(size=28), real_pictures(2, 28, 28)
    model = Classifier(net, ModelSpec(network=net.name, classes=("a", "b"), preprocess=look))
    target = TARGETS["torch-export"]
    target.write(content_of(model, target.rewrites, None, "logits"), tmp_path / "model.pt2")
    np.save(tmp_path / "in.npy", pictures.numpy())
    files = (tmp_path / name for name in ("model.pt2", "in.npy", "out.npy"))
    subprocess.run([sys.executable, "-c", ALONE, *files], check=True, env=os.environ | dict(PYTHONPATH=""))
    answer = torch.from_numpy(np.load(tmp_path / "out.npy"))
    assert error(answer, answers(net, inputs(pictures, look))) <= TOLERANCE


def test_no_file_tells_where_it_was_made(exported: Path) -> None:
    for path in exported.iterdir():
        for place in (exported, Path(exporting.__file__).parents[2]):
            assert str(place).encode() not in path.read_bytes(), path.name


def test_a_file_that_does_not_answer_as_pytorch_does_leaves_the_old_one(
    model: Classifier, to: str, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(written.parent)
    other = varied(tiny_classifier(*CLASSES))
    with torch.no_grad():
        other.network.classifier.bias[0] += 0.01
    monkeypatch.setattr(exporting, "content_of", lambda _, *others: content_of(other, *others))
    with pytest.raises(InceptionError, match=rf"{written.name} was not written: .* does not answer as PyTorch does"):
        export(model, written, to)
    after = listing(written.parent)
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in before if name != ".")  # whose time has changed


def test_a_full_disk_leaves_the_old_file(model: Classifier, to: str, written: Path) -> None:
    before = {path.name: path.read_bytes() for path in written.parent.iterdir()}
    with full_disk(300_000), pytest.raises(SaveError, match=rf"cannot write .*{written.name}: .*; free space"):
        export(model, written, to, batch=1)
    assert {path.name: path.read_bytes() for path in written.parent.iterdir()} == before


def test_an_export_that_is_stopped_leaves_the_old_file(model: Classifier, to: str, written: Path) -> None:
    class Stop(Listener):
        def progress(self, task: str, done: int, total: int, **figures: float) -> None:
            if task == "Comparing":
                raise KeyboardInterrupt

    before = {path.name: path.read_bytes() for path in written.parent.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        export(model, written, to, batch=1, listener=Stop())
    assert {path.name: path.read_bytes() for path in written.parent.iterdir()} == before


def test_a_second_export_replaces_the_first(to: str, written: Path) -> None:
    other = varied(tiny_classifier("x", "y"))
    export(other, written, to)
    assert json.loads(read_metadata(written)["classes"]) == ["x", "y"]
    assert run(written)(real_pictures(1, 28, 28)).shape == (1, 2)
    told = json.loads((written.parent / f"{written.name}.parity.json").read_text())
    assert told["file_sha256"] == hashlib.sha256(written.read_bytes()).hexdigest()


def test_auxiliary_heads_stay_behind_and_the_model_as_it_is(tmp_path: Path) -> None:
    spec = ModelSpec(network="googlenet", classes=CLASSES, aux=True, preprocess=Preprocess(size=75))
    model = Classifier(create("googlenet", 3, aux=True), spec)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    for to, target in TARGETS.items():
        path = tmp_path / f"model{target.suffix}"
        target.write(content_of(model, target.rewrites, None, "logits"), path)
        assert b"aux" not in path.read_bytes(), to
    assert all(tensor.equal(before[name]) for name, tensor in model.network.state_dict().items())

"""What is not exported, and how that is said; networks in 8 bits, which are held against others of that kind."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from engine_fixtures import error
from export_fixtures import CLASSES, describe, read_metadata, run, small_model

from torchinception.classifier import Classifier
from torchinception.data.real_pictures import real_pictures
from torchinception.data.transforms import Preprocess
from torchinception.engines.onnx_engine import OnnxEngine
from torchinception.engines.onnx_model import write_onnx
from torchinception.engines.rewrite import fold_scaling, scale_input
from torchinception.errors import InceptionError, SaveError, UsageError
from torchinception.exports.content import Quantized
from torchinception.exports.exporting import TARGETS, export
from torchinception.exports.parity import _agreement
from torchinception.models import create
from torchinception.weights.bundle import ModelSpec


@pytest.fixture(scope="module")
def model() -> Classifier:
    return small_model()


def test_a_network_of_other_pictures_than_rgb_is_refused(tmp_path: Path) -> None:
    spec = ModelSpec(network="tiny_inception", classes=CLASSES, channels=1, preprocess=Preprocess(size=28))
    with pytest.raises(UsageError, match="takes RGB pictures, this network 1 channels"):
        export(Classifier(create("tiny_inception", 3, channels=1), spec), tmp_path / "model.onnx")


def quantized(model: Classifier, shift: float = 0) -> Quantized:
    """In place of a network in 8 bits: one whose answers differ from the model's by much more than rounding."""
    other = copy.deepcopy(model.network)
    with torch.no_grad():
        other.classifier.weight.mul_(4).round_().div_(4)
    engine = OnnxEngine(other)
    content = write_onnx(fold_scaling(scale_input(engine.graph, (0.5,) * 3, (0.5,) * 3)), (28, 28), uint8=True)
    return Quantized(content.SerializeToString(), lambda x: engine.run_uint8(x) + shift, dict(accepted=True))


@pytest.mark.parametrize("batch", [None, 2])
def test_a_quantized_network_is_compared_with_the_engine_it_was_judged_in(
    model: Classifier, tmp_path: Path, batch: int | None
) -> None:
    parity = export(model, tmp_path / "model.onnx", batch=batch, output="logits", quantized=quantized(model))
    assert parity.runtimes[0].max_difference <= 1e-6 * parity.scale < parity.pytorch.max_difference / 100
    told = json.loads((tmp_path / "model.onnx.parity.json").read_text())
    assert (told["precision"], told["int8"]) == ("int8", dict(accepted=True))
    pictures = real_pictures(2, 28, 28)
    assert error(run(tmp_path / "model.onnx")(pictures), quantized(model).run(pictures).double()) <= 1e-6
    assert {"classes", "model_sha256"} <= read_metadata(tmp_path / "model.onnx").keys()
    written = onnx.load(tmp_path / "model.onnx")
    assert describe(written.graph.input[0]) == ("pictures", [batch or "N", 28, 28, 3])


def test_a_quantized_network_that_answers_otherwise_than_it_was_judged_is_refused(
    model: Classifier, tmp_path: Path
) -> None:
    with pytest.raises(InceptionError, match="does not answer as the network in 8 bits does"):
        export(model, tmp_path / "model.onnx", output="logits", quantized=quantized(model, shift=0.1))
    assert list(tmp_path.iterdir()) == []


def test_int8_is_not_for_torch(model: Classifier, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="int8 is for onnx and openvino, not for torch-export"):
        export(model, tmp_path / "model.pt2", "torch-export", quantized=quantized(model))


def test_another_best_class_is_only_let_pass_where_float64_hardly_tells_them_apart() -> None:
    def fits(right: list[float], found: list[float]) -> tuple[bool, int]:
        right_, found_ = torch.tensor([right]).double(), torch.tensor([found]).double()
        result = _agreement("x", "1", found_, right_, right_, 0.1, 1.0)
        return result.fits, result.unclear

    assert fits([1.0, 0.0], [1.05, 0.0]) == (True, 0)
    assert fits([1.0, 0.0], [1.2, 0.0]) == (False, 0)
    assert fits([1.0, 0.95], [0.95, 1.0]) == (True, 1)
    assert fits([1.0, 0.88], [0.92, 0.97]) == (True, 1)  # each of the two may move by the tolerance
    assert fits([1.0, 0.79], [0.89, 0.9]) == (False, 0)
    assert fits([1.0, 0.0], [float("nan"), 0.0])[0] is False
    assert fits([1.0], [1.0]) == (True, 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (dict(to="tflite"), "no format named tflite; formats: onnx, openvino, torch-export"),
        (dict(to="openvino"), r"files of openvino end in .xml: .*model.xml, not .*model.onnx"),
        (dict(to="torch-export"), r"end in .pt2"),
        (dict(output="classes"), "no output named classes; expected probabilities or logits"),
        (dict(batch=0), "a batch of 0 pictures"),
    ],
)
def test_what_cannot_be_is_refused(model: Classifier, tmp_path: Path, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        export(model, tmp_path / "model.onnx", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_made(model: Classifier, tmp_path: Path) -> None:
    export(model, tmp_path / "new" / "deep" / "model.pt2", "torch-export")
    assert {path.name for path in (tmp_path / "new" / "deep").iterdir()} == {"model.pt2", "model.pt2.parity.json"}


def test_no_folder_is_made_for_what_is_not_written(tmp_path: Path) -> None:
    spec = ModelSpec(network="tiny_inception", classes=CLASSES, channels=1, preprocess=Preprocess(size=28))
    with pytest.raises(UsageError, match="takes RGB pictures"):
        export(Classifier(create("tiny_inception", 3, channels=1), spec), tmp_path / "new" / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows says it in other words")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("file/model.onnx", ".*file is a file and no folder; choose another place"),
        (f"{'x' * 300}.onnx", "File name too long; choose a shorter name"),
    ],
    ids=["folder", "name"],
)
def test_what_hinders_writing_is_told_with_what_helps(model: Classifier, tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match=rf"cannot write .*: {told}$"):
        export(model, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("taken", ["model.xml", "model.bin", "model.xml.parity.json"])
def test_a_folder_in_the_files_place_stays(model: Classifier, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).mkdir()
    with pytest.raises(SaveError, match=f"{taken}: it is a folder"):
        export(model, tmp_path / "model.xml", "openvino")
    assert [path.name for path in tmp_path.iterdir()] == [taken]


@pytest.mark.parametrize(
    ("to", "package", "extra"),
    [("onnx", "onnx", "onnx"), ("onnx", "onnxruntime", "onnx"), ("openvino", "openvino", "openvino")],
)
def test_without_a_package_the_extra_is_named_and_nothing_written(
    model: Classifier, tmp_path: Path, to: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"pip install 'torchinception\[{extra}\]'"):
        export(model, tmp_path / f"model{TARGETS[to].suffix}", to)
    assert list(tmp_path.iterdir()) == []


def test_onnx_needs_no_openvino(model: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert [found.runtime for found in export(model, tmp_path / "model.onnx").runtimes] == ["onnxruntime"]

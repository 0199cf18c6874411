"""What is written for OpenVINO, whose own default is bfloat16 where the processor has it."""

import json
from pathlib import Path

import pytest
import torch
from export_fixtures import small_model

from torchinception.classifier import Classifier
from torchinception.data.real_pictures import real_pictures
from torchinception.engines.eager_engine import EagerEngine
from torchinception.engines.openvino_engine import import_openvino
from torchinception.exports.exporting import export

TOLERANCE = 1e-4  # of the largest logit


@pytest.fixture(scope="module")
def model() -> Classifier:
    return small_model()


@pytest.fixture(scope="module")
def exported(model: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both kinds of files that OpenVINO takes. Only read them."""
    folder = tmp_path_factory.mktemp("exported")
    export(model, folder / "model.onnx")
    export(model, folder / "model.xml", "openvino")
    return folder


def test_the_names_of_openvinos_ends_are_those_of_onnx(model: Classifier, tmp_path: Path) -> None:
    export(model, tmp_path / "model.xml", "openvino", output="logits")
    read = import_openvino().Core().read_model(tmp_path / "model.xml")
    assert (read.input().any_name, read.output().any_name) == ("pictures", "logits")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml", "model.xml.parity.json"]


@pytest.mark.parametrize("name", ["model.onnx", "model.xml"])
def test_what_openvino_does_without_its_settings_is_measured_beside(
    model: Classifier, exported: Path, name: str
) -> None:
    told = json.loads((exported / f"{name}.parity.json").read_text("utf-8"))
    [plain] = told["plain"]
    pictures = real_pictures(32, 28, 28)
    look = model.preprocess
    right = EagerEngine(model.network, mean=look.mean, std=look.std, precision="fp64").run_uint8(pictures)
    compiled = import_openvino().Core().compile_model(exported / name, "CPU")
    found = torch.cat([torch.from_numpy(compiled(one[None].numpy())[0].copy()) for one in pictures])
    difference = (found.double().log() - right.log_softmax(1)).abs().max().item()
    # which sums are rounded to bfloat16, where the processor has it, depends on the number of threads
    assert plain["max_difference"] == pytest.approx(difference, rel=0.5, abs=TOLERANCE * told["scale"])
    assert (plain["runtime"], len(plain)) == ("openvino", len(told["runtimes"][0]))


def test_a_file_for_openvino_holds_the_settings_that_it_is_compiled_with(exported: Path) -> None:
    core = import_openvino().Core()
    read = core.read_model(exported / "model.xml")
    settings = json.loads(read.get_rt_info(["torchinception", "openvino_settings"]).astype(str))
    compiled = core.compile_model(read, "CPU", settings)
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    layers = compiled.get_runtime_model().get_ops()
    assert "bf16" not in {layer.get_rt_info()["runtimePrecision"].astype(str) for layer in layers}

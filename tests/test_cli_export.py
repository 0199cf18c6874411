import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import CLASSES, Result
from data_fixtures import listing
from PIL import Image

from torchinception.engines.onnx_engine import import_onnxruntime

Inception = Callable[..., Result]


@pytest.mark.parametrize(
    ("to", "files"),
    [
        ("onnx", ["model.onnx", "model.onnx.parity.json"]),
        ("openvino", ["model.bin", "model.xml", "model.xml.parity.json"]),
        ("torch-export", ["model.pt2", "model.pt2.parity.json"]),
    ],
)
def test_export_writes_a_file_and_says_how_near_it_comes(
    inception: Inception, finished: Path, tmp_path: Path, to: str, files: list[str]
) -> None:
    name = next(file for file in files if file.endswith(("onnx", "xml", "pt2")))
    result = inception("export", finished, "--to", to, "--out", name, cwd=tmp_path)
    assert (result.code, sorted(path.name for path in tmp_path.iterdir())) == (0, files), result.err
    told = json.loads((tmp_path / f"{name}.parity.json").read_text())
    first, *runtimes, last = result.out.splitlines()
    if to != "torch-export":
        [plain] = told["plain"]
        apart = plain["max_difference"] / told["scale"]
        assert runtimes.pop() == (
            'Compile it in OpenVINO with {"INFERENCE_PRECISION_HINT": "f32"} for float32 on every processor: '
            f"without, logits are {apart:.0e} of the largest apart here"
        )
    assert first.startswith(f"{name}: tiny_inception, ")
    assert first.endswith("MB; uint8 (N, 28, 28, 3) -> probabilities (N, 3)")
    assert len(runtimes) == len(told["runtimes"])
    for line, found in zip(runtimes, told["runtimes"], strict=True):
        assert f" {found['version']}: top-1 as PyTorch's on 32 of 32 pictures, logits " in line
        assert f"; {found['latency_ms']:.1f} ms a call, PyTorch {told['pytorch']['latency_ms']:.1f}" in line
    assert last.endswith(f"{name}.parity.json")


def test_an_exported_file_names_a_picture_as_predict_does(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    picture = split / "val/bag/000.png"
    named = json.loads(inception("predict", finished, picture, "--json").out)["predictions"]
    inception("export", finished, "--out", tmp_path / "model.onnx")
    session = import_onnxruntime().InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    look = json.loads(metadata["preprocess"])
    with Image.open(picture) as image:
        side = round(look["size"] / look["crop"])
        left = round((side - look["size"]) / 2)
        large = image.convert("RGB").resize((side, side), Image.Resampling[look["interpolation"].upper()])
    pixels = np.asarray(large)[left : left + look["size"], left : left + look["size"]]
    (probabilities,) = session.run(["probabilities"], {"pictures": pixels[None]})
    found = dict(zip(json.loads(metadata["classes"]), probabilities[0].tolist(), strict=True))
    assert sorted(found) == list(CLASSES)
    assert found == pytest.approx({best["class"]: best["probability"] for best in named}, abs=1e-5)


def test_a_fixed_batch_and_logits_are_said(inception: Inception, finished: Path, tmp_path: Path) -> None:
    result = inception("export", finished, "--out", "m.onnx", "--batch", 4, "--output", "logits", cwd=tmp_path)
    assert "uint8 (4, 28, 28, 3) -> logits (4, 3)" in result.out
    told = json.loads((tmp_path / "m.onnx.parity.json").read_text())
    assert (told["batch"], told["output"], told["pictures_a_call"]) == (4, "logits", 4)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--out", "model.pt"], 2, "files of onnx end in .onnx: model.onnx, not model.pt"),
        (["--out", "model.onnx", "--to", "tflite"], 2, "formats: onnx, openvino, torch-export"),
        (["--out", "model.onnx", "--output", "classes"], 2, "expected probabilities or logits"),
        (["--out", "model.onnx", "--batch", "many"], 2, "many is neither dynamic nor a number from 1 on"),
        (["--out", "model.onnx", "--batch", "0"], 2, "0 is neither dynamic nor a number from 1 on"),
        ([], 2, "--out"),
    ],
)
def test_what_cannot_be_is_said_before_the_model_is_loaded(
    inception: Inception, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    result = inception("export", "no-such-model", *arguments, cwd=tmp_path)
    assert (result.code, result.out, told in " ".join(result.err.split())) == (code, "", True), result.err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_exits_with_66(inception: Inception, tmp_path: Path) -> None:
    result = inception("export", "no-such-model", "--out", "model.onnx", cwd=tmp_path)
    assert (result.code, "no model file at no-such-model" in result.err) == (66, True)


def test_an_export_changes_nothing_else(inception: Inception, finished: Path, tmp_path: Path) -> None:
    before = listing(finished)
    inception("export", finished, "--out", tmp_path / "model.onnx")
    assert listing(finished) == before


@pytest.mark.parametrize(("to", "name"), [("onnx", "m.onnx"), ("openvino", "m.xml")])
def test_int8_is_written_once_it_was_found_good_enough(
    inception: Inception, finished: Path, sample: Path, tmp_path: Path, to: str, name: str
) -> None:
    options = ("--to", to, "--out", name, "--precision", "int8", "--calibrate", sample, "--max-loss", 100)
    result = inception("export", finished, *options, cwd=tmp_path)
    assert result.code == 0, result.err
    assert f"{name}: tiny_inception, int8, " in result.out
    assert "top-1 as in the engine it was judged in on 32 of 32 pictures" in result.out
    told = json.loads((tmp_path / f"{name}.parity.json").read_text())
    assert (told["precision"], told["int8"]["name"], told["int8"]["max_loss"]) == ("int8", to, 100)
    assert told["pytorch"]["max_difference"] > 1e-3 * told["scale"], "these are no 8 bits"


def test_int8_that_loses_too_much_is_not_written(
    inception: Inception, finished: Path, split: Path, sample: Path, tmp_path: Path
) -> None:
    """A network that nothing was taught answers at random, and otherwise in 8 bits."""
    options = ("--out", "m.onnx", "--precision", "int8", "--calibrate", sample, "--max-loss", 0)
    result = inception("export", finished, *options, cwd=tmp_path)
    assert (result.code, "int8 is refused" in result.err, result.out) == (2, True, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [("--precision", "int8"), ("--calibrate", "photos")])
def test_int8_needs_pictures_and_nothing_else_takes_them(
    inception: Inception, tmp_path: Path, options: tuple[str, ...]
) -> None:
    result = inception("export", "no-such-model", "--out", "m.onnx", *options, cwd=tmp_path)
    assert result.code == 2
    assert "--precision int8" in result.err
    assert "--calibrate" in result.err


def test_weights_of_8_bits_are_right_on_every_processor(
    inception: Inception, finished: Path, sample: Path, tmp_path: Path
) -> None:
    """Without VNNI sums of products of 8 by 8 bits are cut off, of 8 by 7 not."""
    options = ("--out", "m.onnx", "--precision", "int8", "--calibrate", sample, "--max-loss", 100)
    result = inception("export", finished, *options, cwd=tmp_path)
    assert result.code == 0, result.err
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(tmp_path / "m.onnx").graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    assert len(weights) > 5
    assert max(abs(values.astype(int)).max() for values in weights) <= 64

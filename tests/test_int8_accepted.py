"""8 bits are taken only where a check accepts them, are refused where not, and are kept for later."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from engine_fixtures import error
from store_fixtures import Notes
from torch import Tensor

from torchinception import quantization
from torchinception.classifier import Classifier
from torchinception.data.folder import scan
from torchinception.data.real_pictures import real_pictures
from torchinception.data.sample import SIDE
from torchinception.data.transforms import Preprocess
from torchinception.engines.engine import Engine, build
from torchinception.engines.int8 import quantized_model
from torchinception.engines.int8_parity import Int8Parity, compare
from torchinception.engines.int8_pictures import choose_labelled, choose_unlabelled, read
from torchinception.errors import DataError, UsageError
from torchinception.progress import Listener
from torchinception.quantization import quantize_model

pytest_plugins = ("int8_fixtures",)


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
    times = [float(text.split(" ms a picture instead")[0].split()[-1]) for text in told]
    assert parity.milliseconds_int8 == pytest.approx(min(times), rel=0.006)  # three digits are told
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


def test_a_refusal_says_that_logits_are_not_finite(
    model: Classifier, clothes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*arguments: Any, **options: Any) -> Int8Parity:
        return replace(compare(*arguments, **options), logits_error=float("nan"))

    monkeypatch.setattr(quantization, "compare", damaged)
    with pytest.raises(UsageError, match="refused, as it has logits that are not finite in onnx, and the limit is 100"):
        quantize_model(model, clothes, name="onnx", calibration=60, max_loss=100)


class Recorder:
    """An engine that notes how many pictures it was given each time."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.counts = engine, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def run_uint8(self, pictures: Tensor) -> Tensor:
        self.counts.append(len(pictures))
        return self.engine.run_uint8(pictures)


def test_it_is_checked_with_the_batch_that_it_is_for_and_quantized_once_for_all(
    model: Classifier, clothes: Path, cache: Path, notes: Notes
) -> None:
    for batch in (7, 1):
        recorder = Recorder(build("torch", model.network, model.preprocess))
        model.use(cast("Engine", recorder))
        _, parity = quantize_model(model, clothes, name="onnx", calibration=60, check=50, batch=batch, listener=notes)
        assert recorder.counts[: -(-50 // batch)] == [len(part) for part in torch.arange(50).split(batch)]
        assert (parity.pictures, parity.batch) == (50, batch)
    assert [text for text in notes.said if "Quantizing" in text] == ["Quantizing for onnx with 60 pictures"]
    (record,) = cache.glob("*.json")
    assert len(json.loads(record.read_bytes())["checks"]) == 2


@pytest.mark.parametrize("batch", [1, 7, 32, 79, 80, 200])
def test_pictures_are_read_in_order_whatever_the_batch(batch: int, clothes: Path, checked: Tensor) -> None:
    samples = scan(clothes / "val").splits["all"]
    parts = list(read([samples[index] for index in range(80)], Preprocess(size=SIDE, crop=1.0), batch))
    assert [len(part) for part in parts] == [len(part) for part in torch.arange(80).split(batch)]
    assert torch.cat(parts).equal(checked[:80])


@pytest.mark.parametrize("damage", ["model", "record", "check"])
def test_what_is_damaged_is_made_anew(damage: str, model: Classifier, clothes: Path, cache: Path, notes: Notes) -> None:
    def run() -> Int8Parity:
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
        quantized_model("openvino", model.network, model.preprocess, [real_pictures(1, SIDE, SIDE)])
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
    model.use(build("torch", model.network, preprocess=model.preprocess, precision="bf16"))
    with pytest.raises(UsageError, match="compared with fp32, but the model's engine computes in bf16"):
        quantize_model(model, "nowhere")

"""What computes is settled before anything is read, and by the first of several processes."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from conftest import Result, copy_pictures
from data_fixtures import tiny_classifier
from engine_fixtures import AT_ONCE
from torch import distributed

from torchinception import quantization
from torchinception.classifier import Classifier
from torchinception.cli_engine import use_engine
from torchinception.engines import choice
from torchinception.engines.engine import Engine, build
from torchinception.errors import LostProcessError
from torchinception.prediction import Ranks, ranks
from torchinception.progress import Listener

Inception = Callable[..., Result]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "tensorrt"], "no engine named tensorrt; expected auto, native, torch, onnx"),
        (["--precision", "int4"], "no precision int4 on cpu; expected fp32, bf16"),
        (["--precision", "fp16", "--device", "cpu"], "no precision fp16 on cpu"),
        (["--engine", "onnx", "--precision", "bf16"], "the engine onnx runs on the CPU in fp32, not on cpu in bf16"),
        (["--precision", "int8", "--calibrate", "x", "--engine", "tensorrt"], "no engine named tensorrt"),
        (["--precision", "int8", "--calibrate", "x", "--engine", "eager"], "no int8 in the engine eager"),
        (["--precision", "int8", "--calibrate", "x", "--tier", "fast"], "of the engine native, which has no int8"),
        (["--device", "tpu"], "no device named tpu"),
        (["--tier", "slow"], "no tier slow; expected direct, default, fast"),
        (["--engine", "native", "--tier", "slow"], "no tier slow; expected direct, default, fast"),
        (["--engine", "onnx", "--tier", "fast"], "the engine onnx has no tier fast; native has"),
        (["--engine", "torch", "--no-tune"], "the engine torch has nothing that is tuned; native has"),
        (["--precision", "bf16", "--no-tune"], "the engine native runs on the CPU in fp32, not on cpu in bf16"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_read(
    command: str, options: list[str], told: str, inception: Inception
) -> None:
    result = inception(command, "no-model", "no-pictures", *options)
    assert (result.code, told in result.err) == (2, True), result.err


def test_a_wrong_stage_is_told_before_engines_are_measured(
    inception: Inception, finished: Path, sample: Path, tmp_path: Path
) -> None:
    environment = dict(TORCHINCEPTION_CACHE=str(tmp_path / "cache"))
    pictures = copy_pictures(sample / "train", tmp_path / "clothes", 22)  # 66 in all, enough to measure for
    options = ("--features", tmp_path / "a.npy", "--stage", "mixed_9z")
    result = inception("predict", finished, pictures, *options, environment=environment)
    assert (result.code, "no stage named mixed_9z in tiny_inception" in result.err) == (2, True), result.err
    assert not list((tmp_path / "cache").glob("engines/*"))


def use(model: Classifier, **options: Any) -> int:
    given = dict(
        batch="auto",
        threads=1,
        tier="default",
        tune=True,
        precision="fp32",
        calibrate=None,
        max_loss=0.5,
        pictures=None,
        listener=Listener(),
    )
    return use_engine(model, "auto", **(given | options))


def test_one_choice_is_measured_for_all_numbers_of_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path))
    monkeypatch.setattr(choice, "SECONDS", 0.0)
    model = tiny_classifier("a", "b")
    assert {use(model, pictures=pictures) for pictures in (64, 100, 200, 5000, None)} == {256}
    assert len(list((tmp_path / "engines").glob("choice-*"))) == 1


def test_several_processes_take_whole_batches_and_measure_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path))
    model = tiny_classifier("a", "b")
    assert use(model, pictures=5000, alone=False) == 256
    assert model.engine.name == AT_ONCE
    assert not list(tmp_path.iterdir())


def quantizing(model: Classifier, one: Ranks) -> None:
    with one.first_alone():
        use(model, batch="4", precision="int8", calibrate="pictures", alone=False)


def test_the_first_process_quantizes_before_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def quantize(model: Classifier, *_: object, **__: object) -> tuple[Engine, None]:
        name = threading.current_thread().name
        events.append(f"{name} begins")
        if name == "first":
            others.join(0.2)  # time to run ahead
        events.append(f"{name} ends")
        return build("eager", model.network, model.preprocess), None

    monkeypatch.setattr(quantization, "quantize_model", quantize)
    store = distributed.HashStore()
    models = [tiny_classifier("a", "b") for _ in range(2)]
    others = threading.Thread(target=quantizing, args=(models[1], Ranks(1, 2, store=store)), name="other")
    others.start()
    first = threading.Thread(target=quantizing, args=(models[0], Ranks(0, 2, store=store)), name="first")
    first.start()
    first.join(60)
    others.join(60)
    assert events == ["first begins", "first ends", "other begins", "other ends"]
    assert [model.engine.name for model in models] == ["eager", "eager"]


def test_a_first_process_that_never_quantizes_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "PATIENCE", timedelta(seconds=0.1))
    with pytest.raises(LostProcessError, match="process 1 of 2: the first one is gone; start all of them again"):
        quantizing(tiny_classifier("a", "b"), Ranks(1, 2, store=cast("Any", distributed.HashStore())))

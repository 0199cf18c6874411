"""The fastest engine is taken, of those that answer right; what was found is kept, and holds for what it was found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_fixtures import AT_ONCE, answers, inputs, tiny_network
from torch import Tensor, nn

import torchinception as ti
from torchinception.data.real_pictures import real_pictures
from torchinception.data.transforms import Preprocess
from torchinception.engines import choice
from torchinception.engines.checked import check_pictures, deviation
from torchinception.engines.engine import Engine, build
from torchinception.engines.remembered import remembered
from torchinception.models import Inception
from torchinception.progress import Listener

PREPROCESS = Preprocess(size=28, mean=(0.4, 0.5, 0.6))
MEASURED = ("torch", "onnx", "openvino")
SECONDS = dict(torch=3.0, onnx=1.0, openvino=2.0)


class Ear(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps: list[tuple[str, int, int]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, task: str, done: int, total: int, **figures: float) -> None:
        self.steps.append((task, done, total))


@pytest.fixture(autouse=True)
def runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a machine without a compiler has too; the native engine has a test of its own."""
    monkeypatch.setattr(choice, "MEASURED", MEASURED)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def net() -> Inception:
    return tiny_network()


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Which engines were timed, each time; they take `SECONDS`."""
    calls: list[list[str]] = []

    def time(runs: dict[str, Callable[[], object]], threads: int) -> dict[str, list[float]]:
        for run in runs.values():
            run()
        calls.append(list(runs))
        return {name: [SECONDS[name]] * 3 for name in runs}

    monkeypatch.setattr(choice, "_time", time)
    return calls


class Liar:
    """An engine with one logit wrong."""

    def __init__(self, engine: Engine, by: float) -> None:
        self.engine, self.by = engine, by

    def run_uint8(self, pictures: Tensor) -> Tensor:
        logits = self.engine.run_uint8(pictures)
        logits[0, 0] += self.by * logits.abs().max()
        return logits


def tamper(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], make: Callable[[Engine], Any]) -> None:
    def tampered(name: str, *arguments: Any, **options: Any) -> Any:
        engine = build(name, *arguments, **options)
        return make(engine) if name in names else engine

    monkeypatch.setattr(choice, "build", tampered)


def fail(engine: Engine) -> Engine:
    raise RuntimeError("out of order")


def choose(net: Inception, ear: Listener | None = None, **options: Any) -> Engine:
    return ti.engine(net, preprocess=PREPROCESS, listener=ear, **options)


def test_the_fastest_is_taken_and_told(net: Inception, timed: list[list[str]]) -> None:
    ear = Ear()
    assert choose(net, ear, threads=1, batch=2).name == "onnx"
    assert ear.said == ["Fastest with 1 thread, 2 at a time: onnx (speeds: torch 1.00, onnx 3.00, openvino 1.50)"]
    assert [done for _, done, _ in ear.steps] == [0, 1, 2, 3, 4, 5]
    assert {(task, total) for task, _, total in ear.steps} == {(choice.TASK, 5)}


def test_real_times_choose_one_that_answers_right(net: Inception) -> None:
    engine = choose(net, threads=1, batch=2)
    pictures = real_pictures(5, 28, 28)
    x = inputs(pictures, PREPROCESS)
    assert engine.name in MEASURED
    (known,) = remembered()
    assert {trial.engine for trial in known.trials if trial.seconds and trial.error is not None} == set(MEASURED)
    assert deviation(engine.run_uint8(pictures), answers(net.double(), x)).tolerable


def test_a_gain_that_is_not_worth_a_start_leaves_pytorch(
    net: Inception, timed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECONDS, "torch", 1.02)
    assert choose(net).name == "torch"


def test_what_was_found_is_kept(net: Inception, timed: list[list[str]]) -> None:
    ear = Ear()
    choose(net, threads=1)
    assert choose(net, ear, threads=1).name == "onnx"
    assert timed == [list(MEASURED)]
    assert (ear.said, ear.steps) == ([], [])


@pytest.mark.parametrize("other", ["weights", "batch", "threads", "tier", "tune", "version", "machine", "size"])
def test_it_holds_for_nothing_else(
    other: str, net: Inception, timed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(net, batch=2, threads=1)
    options = dict(batch=2, threads=1, preprocess=PREPROCESS)
    if other == "weights":
        with torch.no_grad():
            net.classifier.bias.add_(1)
    elif other in ("batch", "threads"):
        options |= {other: 3}
    elif other in ("tier", "tune"):
        options |= dict(tier="fast") if other == "tier" else dict(tune=False)
    elif other == "size":
        options |= dict(preprocess=PREPROCESS.model_copy(update=dict(size=32)))
    elif other == "version":
        versions = choice.engine_versions() | dict(onnx="0.1")
        monkeypatch.setattr(choice, "engine_versions", lambda: versions)
    else:
        monkeypatch.setattr(choice, "describe_machine", lambda: "another one")
    ti.engine(net, **options)  # type: ignore[arg-type]
    assert len(timed) == 2
    assert len({known.about for known in remembered()}) == (1 if other in ("version", "machine") else 2)


@pytest.mark.parametrize("damage", ["nothing", "half", "other", "older"])
def test_a_damaged_note_is_written_anew(damage: str, net: Inception, timed: list[list[str]], cache: Path) -> None:
    choose(net)
    (note,) = (cache / "engines").iterdir()
    text = note.read_text()
    note.write_text(
        {"nothing": "", "half": text[: len(text) // 2], "other": "[]", "older": '{"engine": "torch"}'}[damage]
    )
    assert choose(net).name == "onnx"
    assert (len(timed), note.read_text()) == (2, text)


@pytest.mark.parametrize("engine", ["onnx", "tensorrt"])
def test_what_was_fastest_and_fails_now_is_told_and_others_are_measured(
    engine: str, net: Inception, timed: list[list[str]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(net)
    (note,) = (cache / "engines").iterdir()
    note.write_text(note.read_text().replace('"engine":"onnx"', f'"engine":"{engine}"', 1))  # a later version's, say
    tamper(monkeypatch, ("onnx",), fail)
    ear = Ear()
    assert choose(net, ear, pictures=3).name == AT_ONCE  # of so few none are timed
    assert ear.said[0].startswith(f"The engine {engine}, which was the fastest, fails now: ")
    assert ear.said[0].endswith(
        {"onnx": "out of order"}.get(
            engine, "no engine named tensorrt; expected auto, native, torch, onnx, openvino, compile, eager"
        )
    )
    assert (len(ear.said), len(timed)) == (1, 1)
    assert choose(net, ear).name == "openvino"
    assert timed[1:] == [["torch", "openvino"]]
    ear.said.clear()
    assert choose(net, ear).name == "openvino"
    assert (ear.said, len(timed)) == ([], 2)


def test_a_cache_that_cannot_be_written_is_told(net: Inception, timed: list[list[str]], cache: Path) -> None:
    cache.write_text("a file")
    ear = Ear()
    assert choose(net, ear).name == "onnx"
    assert ear.said[0].startswith("The choice is not remembered: cannot write")


def test_few_pictures_are_not_worth_it(net: Inception, timed: list[list[str]]) -> None:
    assert choose(net, pictures=63).name == AT_ONCE
    assert timed == []
    assert choose(net, pictures=64).name == "onnx"
    assert choose(net, pictures=1).name == "onnx"
    assert len(timed) == 1


@pytest.mark.parametrize("by", [2e-4, 2.0, float("nan")])
def test_an_engine_that_answers_wrong_is_never_used(
    by: float, net: Inception, timed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(monkeypatch, ("onnx",), lambda engine: Liar(engine, by))
    ear = Ear()
    assert choose(net, ear).name == "openvino"
    assert timed == [["torch", "openvino"]]
    assert ear.said[0].startswith("The engine onnx ")
    assert "is not used: differs from float64 by " in ear.said[0]
    assert choose(net, ear).name == "openvino"


def test_an_engine_that_breaks_is_never_used(
    net: Inception, timed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(monkeypatch, ("onnx", "torch"), fail)
    ear = Ear()
    assert choose(net, ear).name == "openvino"
    assert [text.endswith("is not used: fails: out of order") for text in ear.said] == [True, True, False]


def test_without_an_engine_that_works_the_network_itself_does(net: Inception, monkeypatch: pytest.MonkeyPatch) -> None:
    tamper(monkeypatch, MEASURED, fail)
    ear = Ear()
    assert choose(net, ear).name == "eager"
    assert len(ear.said) == 4
    assert choose(net).name == "eager"


def test_a_network_with_a_layer_of_its_own_runs_as_it_is(net: Inception) -> None:
    net.trunk.add_module("own", nn.GELU())
    x = torch.randn(3, 3, 28, 28)
    engine = choose(net)
    assert engine.name == "eager"
    with torch.no_grad():
        torch.testing.assert_close(engine.run(x), net.eval()(x))


def test_bfloat16_is_pytorchs_and_is_not_measured(net: Inception, timed: list[list[str]]) -> None:
    engine = choose(net, precision="bf16")
    assert (engine.name, engine.precision, timed) == ("torch", "bf16", [])


def test_a_network_of_one_channel_is_checked_on_grey_pictures(timed: list[list[str]]) -> None:
    net = tiny_network(channels=1)
    assert choose(net).name == "onnx"
    assert timed == [list(MEASURED)]
    pictures = check_pictures(2, PREPROCESS, 1)
    assert pictures.shape == (2, 28, 28, 1)
    x = pictures.permute(0, 3, 1, 2) / 255 * 2 - 1  # of 0.4, 0.5 and 0.6 the mean is 0.5
    assert deviation(choose(net).run_uint8(pictures), answers(net.double(), x)).tolerable


def test_the_choice_is_json_for_whoever_looks(net: Inception, timed: list[list[str]], cache: Path) -> None:
    choose(net, batch=2, threads=1)
    (note,) = (cache / "engines").iterdir()
    found = json.loads(note.read_text())
    assert (found["engine"], found["network"], found["batch"], found["threads"]) == ("onnx", "tiny_inception", 2, 1)
    assert [trial["seconds"] for trial in found["trials"]] == [3.0, 1.0, 2.0]

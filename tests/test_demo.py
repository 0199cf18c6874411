"""The real demonstration, once and last; and what it does to folders that are there already."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest
from child import At
from conftest import Result
from data_fixtures import listing

from torchinception.classifier import load
from torchinception.data.sample import CLASSES
from torchinception.dreaming import dream

Inception = Callable[..., Result]
SIXTH_STEP = At("*/train/*", 5 * 32 + 1, SIGTERM)


@pytest.fixture(scope="session")
def demonstration(inception: Inception, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """`inception demo` in an empty folder: what it printed, and the folder."""
    cwd = tmp_path_factory.mktemp("demonstration")
    return inception("demo", cwd=cwd), cwd


@pytest.fixture(scope="session")
def metrics(demonstration: tuple[Result, Path]) -> Any:
    return json.loads((demonstration[1] / "runs/demo/metrics.json").read_text())


def test_the_demo_reaches_its_accuracy_on_pictures_it_never_saw(
    demonstration: tuple[Result, Path], metrics: Any
) -> None:
    assert demonstration[0].code == 0, demonstration[0].err
    assert (metrics["test_pictures"], metrics["train_pictures"] + metrics["val_pictures"]) == (1000, 2500)
    assert metrics["test_top1"] >= 0.84


def test_the_demo_prints_the_numbers_that_it_writes(demonstration: tuple[Result, Path], metrics: Any) -> None:
    found = re.search(r"On (\d+) pictures it never saw: top-1 (\S+), top-5 (\S+)\. Trained", demonstration[0].out)
    assert found
    assert found.groups() == ("1000", f"{metrics['test_top1']:.1%}", f"{metrics['test_top5']:.1%}")
    rows = [tuple(row.split()) for row in demonstration[0].out.splitlines()]
    assert {(name, f"{fraction:.1%}") for name, fraction in metrics["per_class"].items()} <= set(rows)
    assert metrics.keys() >= {"seconds", "images_per_second"}


def test_the_demo_writes_a_whole_run_beside_its_pictures_and_nothing_else(demonstration: tuple[Result, Path]) -> None:
    cwd = demonstration[1]
    assert [p.name for p in cwd.iterdir()] == ["runs"]
    assert [p.name for p in (cwd / "runs").iterdir()] == ["demo"]
    assert sorted(p.name for p in (cwd / "runs/demo").iterdir()) == sorted(
        ["checkpoints", "data", "metrics.csv", "metrics.json", "model.safetensors", "recipe.toml", "report.html"]
    )
    with (cwd / "runs/demo/metrics.csv").open(newline="") as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(1, 19))


def test_the_demos_report_shows_curves_classes_and_mistakes(demonstration: tuple[Result, Path], metrics: Any) -> None:
    page = (demonstration[1] / "runs/demo/report.html").read_text()
    assert page.count("<svg") == 5  # loss, accuracy, learning rate, confusion, calibration
    assert f"{metrics['test_top1']:.4g}" in page
    assert page.count("data:image/png;base64,") >= 24
    assert all(name in page for name in CLASSES)


def test_the_demos_next_commands_work(demonstration: tuple[Result, Path], inception: Inception, metrics: Any) -> None:
    said, cwd = demonstration
    commands = re.findall(r"inception (predict \S+ \S+|evaluate \S+ \S+)$", said.out, re.MULTILINE)
    predicted, evaluated = (inception(*command.split(), "--json", cwd=cwd) for command in commands)
    assert (predicted.code, evaluated.code) == (0, 0)
    best = [json.loads(line)["predictions"][0]["class"] for line in predicted.out.splitlines()]
    assert best.count("bag") / len(best) == pytest.approx(metrics["per_class"]["bag"], abs=1e-6)  # float32 in the file
    assert json.loads(evaluated.out)["top1"] == metrics["test_top1"]


def test_the_demo_replaces_an_earlier_one(inception: Inception, tmp_path: Path) -> None:
    first = inception("demo", "--out", tmp_path / "demo", at=(SIXTH_STEP,))
    (tmp_path / "demo" / "metrics.json").write_text("{}")  # what marks a finished run
    second = inception("demo", "--out", tmp_path / "demo", at=(SIXTH_STEP,))
    for result in (first, second):
        assert (result.code, "stopped by SIGTERM after step 6" in result.err) == (143, True), result.err
    assert not (tmp_path / "demo" / "metrics.json").exists()


def test_the_demo_replaces_one_that_was_killed_while_it_wrote_its_pictures(
    inception: Inception, tmp_path: Path
) -> None:
    moment = At("*/data/train/*", 100, SIGKILL, begun=True)
    assert inception("demo", "--out", tmp_path / "demo", at=(moment,)).code == -SIGKILL
    result = inception("demo", "--out", tmp_path / "demo", at=(SIXTH_STEP,))
    assert (result.code, len(list(tmp_path.glob("demo/data/*/*/*.png")))) == (143, 3500), result.err


@pytest.mark.parametrize("name", ["data/train/notes.txt", "thesis.txt"])
def test_the_demo_refuses_a_folder_that_is_not_its_own_and_leaves_it_alone(
    inception: Inception, tmp_path: Path, name: str
) -> None:
    (tmp_path / "mine" / name).parent.mkdir(parents=True)
    (tmp_path / "mine" / name).write_text("years of work")
    before = listing(tmp_path)
    result = inception("demo", "--out", tmp_path / "mine", at=(SIXTH_STEP,))
    assert (result.code, listing(tmp_path) == before) == (2, True), result.err


def test_a_demo_that_cannot_be_written_exits_with_74(inception: Inception, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = inception("demo", "--out", tmp_path / "file" / "demo")
    assert (result.code, "cannot write" in result.err) == (74, True)


def test_dreaming_raises_the_last_stage_five_times(demonstration: tuple[Result, Path]) -> None:
    run = demonstration[1] / "runs/demo"
    for picture in sorted((run / "data/test").glob("*/000.png")):
        found = dream(load(run), picture, "inception_3b")
        assert found.after >= 5 * found.before > 0

"""`inception evaluate`: one model or several, one process or several, and the folder that it writes."""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from child import At
from conftest import CLASSES, Result, Running, copy_splits
from data_fixtures import listing, tiny_classifier, write_classes
from test_ranks import ranks

from torchinception.classifier import load
from torchinception.evaluation import evaluate
from torchinception.explaining import explain
from torchinception.training.reporting import FILES, package_commit, results_of

Inception = Callable[..., Result]
TIMES = ("seconds", "images_per_second")


@pytest.fixture(scope="module")
def uneven(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 3 classes 7 pictures to validate on: 21, which 2 processes cannot share evenly."""
    return copy_splits(sample, tmp_path_factory.mktemp("uneven") / "clothes", train=1, val=7)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same classes, in another order and for larger pictures."""
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    tiny_classifier(*reversed(CLASSES), size=36).save(path)
    return path


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key not in (*TIMES, "members")}
    return kept | dict(members=[without_times(member) for member in found["members"]])


def evaluated(result: Result) -> dict[str, Any]:
    assert result.code == 0, result.err
    return without_times(json.loads(result.out))


def test_several_models_are_averaged_and_told_one_by_one(
    inception: Inception, finished: Path, other: Path, uneven: Path
) -> None:
    together = evaluated(inception("evaluate", finished, other, uneven, "--json", "--engine", "torch"))
    alone = [evaluated(inception("evaluate", m, uneven, "--json", "--engine", "torch")) for m in (finished, other)]
    for member, single in zip(together["members"], alone, strict=True):
        assert {key: member[key] for key in ("top1", "top5", "pictures", "per_class")} == {
            key: single[key] for key in ("top1", "top5", "pictures", "per_class")
        }
        assert member["loss"] == pytest.approx(single["loss"], rel=1e-5)  # float32 in another order of classes
    shown = inception("evaluate", finished, other.name, uneven, "--engine", "torch", cwd=other.parent).out
    assert f"top-1 {together['top1']:.2%}" in shown
    assert "by 2 models" in shown
    assert other.name in shown


def test_models_of_other_classes_are_refused_and_the_difference_is_named(
    inception: Inception, finished: Path, uneven: Path, tmp_path: Path
) -> None:
    tiny_classifier("bag", "sneaker", "hat").save(tmp_path / "hats.safetensors")
    result = inception("evaluate", finished, tmp_path / "hats.safetensors", uneven)
    assert (result.code, result.out) == (2, "")
    assert "must know the same classes" in result.err
    assert ("trouser" in result.err, "hat" in result.err) == (True, True)


def test_out_holds_a_report_tables_and_what_json_prints(
    inception: Inception, finished: Path, uneven: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found"
    for _ in range(2):  # the second one replaces the first
        result = inception("evaluate", finished, uneven, "--json", "--out", out)
        assert result.code == 0, result.err
        assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
        assert json.loads((out / "evaluation.json").read_text()) == json.loads(result.out)
    found = json.loads(result.out)
    with (out / "per_class.csv").open(newline="") as file:
        assert {row["class"]: float(row["recall"]) for row in csv.DictReader(file)} == found["per_class"]
    with (out / "confusion.csv").open(newline="") as file:
        assert sum(int(row["pictures"]) for row in csv.DictReader(file)) == found["pictures"] == 21
    with (out / "mistakes.csv").open(newline="") as file:
        assert [row["picture"] for row in csv.DictReader(file)] == [m["picture"] for m in found["mistakes"]]
    page = (out / "report.html").read_text()
    for words in ("tiny_inception on clothes", "Calibration", "Architecture", "optimizer.lr", "val pictures"):
        assert words in page
    assert found["mistakes"]
    assert page.count("data:image/png;base64,") == 2 * len(found["mistakes"])  # each with its heat map


def test_out_is_a_folder_of_its_own_or_nothing_happens(
    inception: Inception, finished: Path, uneven: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    before = listing(tmp_path), listing(uneven), listing(finished)
    for out in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt", uneven / "val" / "found", finished):
        result = inception("evaluate", finished, uneven, "--out", out)
        assert (result.code, result.out, "choose another --out" in result.err) == (2, "", True), result.err
    assert (listing(tmp_path), listing(uneven), listing(finished)) == before


def test_of_many_classes_the_worst_and_the_best_are_printed(inception: Inception, tmp_path: Path) -> None:
    names = [f"class-{number:02}" for number in range(40)]
    write_classes(tmp_path / "data", **dict.fromkeys(names, 1))
    tiny_classifier(*names).save(tmp_path / "m.safetensors")
    result = inception("evaluate", tmp_path / "m.safetensors", tmp_path / "data", "--engine", "torch")
    assert result.code == 0, result.err
    assert sum(line.startswith("class-") for line in result.out.splitlines()) == 20
    assert "the worst 10 and best 10 of 40 classes, all with --json or --out FOLDER" in result.out


@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_two_processes_count_every_picture_once(
    start: Callable[..., Running], inception: Inception, finished: Path, other: Path, uneven: Path, launcher: str
) -> None:
    command = (finished, other, uneven, "--json", "--engine", "torch", "--batch", 4)
    expected = evaluated(inception("evaluate", *command))
    first, second = ranks(start, 2, *command, launcher=launcher, command="evaluate")
    found = evaluated(first.finish())
    quiet = second.finish()
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert found["pictures"] == expected["pictures"] == 21
    assert sum(sum(row.values()) for row in found["confusion"].values()) == 21
    exact = ("top1", "top5", "per_class", "confusion", "scores", "confused", "split")
    assert {key: found[key] for key in exact} == {key: expected[key] for key in exact}
    assert [m["picture"] for m in found["mistakes"]] == [m["picture"] for m in expected["mistakes"]]
    for key in ("loss", "calibration"):
        assert json.loads(json.dumps(found[key]), parse_float=lambda text: round(float(text), 4)) == json.loads(
            json.dumps(expected[key]), parse_float=lambda text: round(float(text), 4)
        )


def test_torchrun_itself_starts_them(finished: Path, uneven: Path) -> None:
    words = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "torchinception", "evaluate")
    command = (sys.executable, "-m", *words, str(finished), str(uneven), "--json", "--engine", "torch")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pictures"] == 21


def test_more_processes_than_pictures_count_them_all_the_same(
    start: Callable[..., Running], finished: Path, tmp_path: Path
) -> None:
    write_classes(tmp_path / "data", bag=1, sneaker=1)
    running = ranks(start, 3, finished, tmp_path / "data", "--json", "--engine", "torch", command="evaluate")
    results = [each.finish() for each in running]
    assert [result.code for result in results] == [0, 0, 0], results[0].err
    assert json.loads(results[0].out)["pictures"] == 2


def test_a_killed_process_ends_the_other(start: Callable[..., Running], finished: Path, uneven: Path) -> None:
    begun = time.monotonic()
    moment = At("*/val/*", 2, SIGKILL, begun=True)  # of the second process, which does not check the pictures
    first, second = ranks(
        start, 2, finished, uneven, "--engine", "torch", "--batch", 2, at={1: moment}, command="evaluate"
    )
    assert second.finish().code == -SIGKILL
    result = first.finish()
    assert (result.code, "another process of this run died" in result.err) == (70, True), result.err
    assert time.monotonic() - begun < 120


def test_what_cannot_work_is_said_by_every_process(start: Callable[..., Running], finished: Path) -> None:
    results = [each.finish() for each in ranks(start, 2, finished, "nowhere", command="evaluate")]
    assert [result.code for result in results] == [66, 66]


def test_the_heat_map_of_a_mistake_is_gradcams_of_its_first_guess(finished: Path, uneven: Path) -> None:
    model = load(finished)
    found = evaluate(model, uneven)
    shown = results_of(found, model).mistakes
    assert len(shown) == len(found.mistakes) > 0
    for mistake, told in zip(found.mistakes, shown, strict=True):
        right = explain(model, mistake.sample.path, target=mistake.guesses[0])
        assert told.seen is not None
        assert told.heat is not None
        assert (told.seen == right.picture).all()
        assert told.heat == pytest.approx(right.heat / max(right.heat.max(), 1e-12), abs=1e-4)  # batches in float32


def test_the_commit_is_known_in_a_checkout_alone() -> None:
    commit = package_commit()
    assert commit is None or len(commit.removesuffix("-dirty")) == 40

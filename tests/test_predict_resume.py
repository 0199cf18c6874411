"""When `inception predict` goes on with the file of a run that did not end, and when it refuses to."""

import csv
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from data_fixtures import full_disk, listing, tiny_classifier, write_classes
from predict_fixtures import KINDS, contents, finish, start, stop
from store_fixtures import Notes

from torchinception.classifier import Classifier, engine
from torchinception.errors import SaveError, UsageError
from torchinception.prediction.parts import part_of


@pytest.fixture(scope="module")
def model() -> Classifier:
    return tiny_classifier("a", "b", "c")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """000.png to 010.png, of which 004.png is broken."""
    root = write_classes(tmp_path, photos=11) / "photos"
    (root / "004.png").write_bytes(b"broken")
    return root


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("batches", [1, 3, 6])
def test_a_stopped_run_goes_on_and_ends_as_one_never_stopped(
    model: Classifier, photos: Path, tmp_path: Path, notes: Notes, name: str, batches: int
) -> None:
    finish(model, photos, tmp_path / "whole" / name)
    path = tmp_path / "stopped" / name
    stop(start(model, photos, path), batches)
    assert not path.exists()
    run = start(model, photos, path, notes=notes, resume=True)
    assert notes.said == [f"Going on after {run.done} pictures in {part_of(path)}"]
    assert run.done == min(11, 2 * batches)
    for _ in run:
        pass
    assert (run.done, run.bad) == (11, 1)
    assert contents(path) == contents(tmp_path / "whole" / name)
    assert len(list(path.parent.iterdir())) == len(contents(path))


@pytest.mark.parametrize("name", KINDS)
def test_what_was_written_after_the_last_state_is_cut_off(
    model: Classifier, photos: Path, tmp_path: Path, name: str
) -> None:
    finish(model, photos, tmp_path / "whole" / name)
    path = tmp_path / "torn" / name
    stop(start(model, photos, path), 2)
    for kept in ("rows", "features"):
        if (file := part_of(path) / "0-of-1" / kept).exists():
            file.write_bytes(file.read_bytes() + b"half a row")
    finish(model, photos, path, resume=True)
    assert contents(path) == contents(tmp_path / "whole" / name)


def test_a_finished_file_is_there_until_another_is_whole(model: Classifier, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    path.write_text("an earlier run's")
    stop(start(model, photos, path), 3)
    assert path.read_text() == "an earlier run's"
    finish(model, photos, path, resume=True)
    assert len(path.read_text().splitlines()) == 1 + 10 * 3 + 1


def test_an_unfinished_run_is_not_begun_anew_in_silence(model: Classifier, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    stop(start(model, photos, path), 2)
    before = listing(tmp_path)
    told = "holds 4 pictures of a run that did not end; go on with --resume, or delete that folder to begin anew"
    with pytest.raises(UsageError, match=told):
        start(model, photos, path)
    assert listing(tmp_path) == before
    shutil.rmtree(part_of(path))
    assert finish(model, photos, path).done == 11


def test_nothing_to_go_on_with_is_said(model: Classifier, photos: Path, tmp_path: Path, notes: Notes) -> None:
    finish(model, photos, tmp_path / "named.csv", notes=notes, resume=True)
    assert notes.said == [f"Nothing to go on with at {tmp_path / 'named.csv.part'}; begun anew"]


@pytest.mark.parametrize("name", KINDS)
def test_going_on_with_a_finished_file_says_so_and_changes_nothing(
    model: Classifier, photos: Path, tmp_path: Path, notes: Notes, name: str
) -> None:
    path = tmp_path / name
    finish(model, photos, path)
    before = listing(tmp_path)
    run = start(model, photos, path, notes=notes, resume=True, batch=5)
    assert list(run) == []
    assert (run.done, run.bad) == (11, 1)
    assert notes.said == [f"{path} is finished, all 11 pictures; to begin anew leave out --resume"]
    assert listing(tmp_path) == before


@pytest.mark.parametrize("what", ["pictures", "model", "options", "file", "cache"])
def test_a_finished_file_of_something_else_is_begun_anew(
    model: Classifier, photos: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "named.csv"
    finish(model, photos, path)
    if what == "pictures":
        (photos / "010.png").rename(photos / "last.png")
    elif what == "file":
        path.write_text("of somebody else")
    elif what == "cache":
        monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "empty"))
    other = other_weights(model) if what == "model" else model
    run = start(other, photos, path, resume=True, **(dict(top=1) if what == "options" else {}))
    assert sum(map(len, run)) == 11
    assert len(path.read_text().splitlines()) == 1 + 10 * (1 if what == "options" else 3) + 1


def other_weights(model: Classifier) -> Classifier:
    state = model.network.state_dict()
    other = tiny_classifier("a", "b", "c")
    other.network.load_state_dict({name: value + (value.ndim == 4) * 1e-3 for name, value in state.items()})
    return other


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (dict(model=other_weights), "of another model"),
        (dict(model=lambda _: tiny_classifier("a", "b", "d")), "of another model"),
        (dict(top=1), "of another top"),
        (dict(fast=True), "of another fast_decode"),
        (dict(top=1, fast=True), "of another top and fast_decode"),
    ],
    ids=["weights", "classes", "top", "fast_decode", "two"],
)
def test_another_model_and_other_options_are_refused(
    model: Classifier, photos: Path, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    path = tmp_path / "named.csv"
    stop(start(model, photos, path), 2)
    before = listing(tmp_path)
    other = change.get("model", lambda same: same)(model)
    with pytest.raises(UsageError, match=told):
        start(other, photos, path, resume=True, **{key: v for key, v in change.items() if key != "model"})
    assert listing(tmp_path) == before


def test_another_stage_is_refused(model: Classifier, photos: Path, tmp_path: Path) -> None:
    stop(start(model, photos, tmp_path / "features.npy"), 1)
    with pytest.raises(UsageError, match="of another output"):
        start(model, photos, tmp_path / "features.npy", stage="conv_1", resume=True)


def test_other_pictures_are_refused_and_more_of_them_behind_are_not(
    model: Classifier, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "named.csv"
    stop(start(model, photos, path), 2)
    shutil.copy(photos / "000.png", photos / "000b.png")
    with pytest.raises(UsageError, match="of other pictures, or in another order; name the same ones"):
        finish(model, photos, path, resume=True)
    (photos / "000b.png").rename(photos / "last.png")
    assert finish(model, photos, path, resume=True).done == 12


def test_another_precision_is_refused_and_another_engine_is_not(photos: Path, tmp_path: Path) -> None:
    path, other = tmp_path / "out.csv", tiny_classifier("a", "b", "c")
    stop(start(other, photos, path), 1)
    other.use(engine(other, precision="bf16"))
    with pytest.raises(UsageError, match="is of another precision"):
        start(other, photos, path, resume=True)
    other.use(engine(other, "onnx"))
    stop(start(other, photos, path, resume=True), 1)


def test_another_batch_may_go_on(model: Classifier, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    stop(start(model, photos, path), 2)
    assert finish(model, photos, path, resume=True, batch=5).done == 11
    with path.open(newline="") as file:
        assert len({row["path"] for row in csv.DictReader(file)}) == 11


def test_damage_to_what_was_kept_is_noticed(model: Classifier, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    stop(start(model, photos, path), 2)
    rows = part_of(path) / "0-of-1/rows"
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"rows is shorter than it was, so damaged; delete that folder"):
        start(model, photos, path, resume=True)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_two_processes_do_not_write_to_the_same_file(model: Classifier, photos: Path, tmp_path: Path) -> None:
    first = iter(start(model, photos, tmp_path / "named.csv"))
    next(first)
    with pytest.raises(UsageError, match="another process is writing to"):
        start(model, photos, tmp_path / "named.csv", resume=True)
    assert sum(len(rows) for rows in first) == 9


def test_a_run_that_found_nothing_leaves_nothing(model: Classifier, photos: Path, tmp_path: Path) -> None:
    before = listing(tmp_path).keys()
    run = iter(start(failing(model), photos, tmp_path / "named.csv"))
    with pytest.raises(ZeroDivisionError):
        next(run)
    assert listing(tmp_path).keys() == before


def failing(model: Classifier) -> Classifier:
    """A classifier that fails."""
    broken = Classifier(model.network, model.spec)
    broken.name = lambda *_: 1 // 0  # type: ignore[method-assign]
    return broken


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_is_told_and_a_run_goes_on_when_there_is_space(
    model: Classifier, photos: Path, tmp_path: Path, name: str
) -> None:
    finish(model, photos, tmp_path / "whole" / name)
    path = tmp_path / "full" / name
    stop(start(model, photos, path), 1)
    with full_disk(1000), pytest.raises(SaveError, match=rf"cannot write .*{re.escape(name)}"):
        finish(model, photos, path, resume=True)
    assert not path.exists()
    finish(model, photos, path, resume=True)
    assert contents(path) == contents(tmp_path / "whole" / name)

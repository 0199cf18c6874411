"""The files that `inception predict` writes: what is in them, and when a run goes on with one."""

import csv
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_fixtures import full_disk, listing, tiny_classifier, write_classes
from store_fixtures import Notes

from torchinception.classifier import Classifier
from torchinception.errors import SaveError, UsageError
from torchinception.prediction import Output, Plan, Run, choose_batch, features_file, find_inputs, predict_files
from torchinception.prediction.parts import part_of

KINDS = ("named.csv", "named.parquet", "features.npy", "features.parquet")
WIDTH = 84  # channels of the last stage


@pytest.fixture(scope="module")
def model() -> Classifier:
    return tiny_classifier("a", "b", "c")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """000.png to 010.png, of which 004.png is broken."""
    root = write_classes(tmp_path, photos=11) / "photos"
    (root / "004.png").write_bytes(b"broken")
    return root


def output(path: Path) -> Output:
    if path.name.startswith("features"):
        return features_file(path)
    return Output(path, "csv" if path.suffix == ".csv" else "parquet")


def start(model: Classifier, photos: Path, path: Path, *, notes: Notes | None = None, **options: Any) -> Run:
    plan = Plan(**dict(batch=2, output=output(path)) | options)
    return Run(model, find_inputs([str(photos)], None), plan, listener=notes)


def finish(*arguments: Any, **options: Any) -> Run:
    run = start(*arguments, **options)
    for _ in run:
        pass
    return run


def stop(run: Run, batches: int) -> None:
    """As a signal would, after so many batches."""
    rows = iter(run)
    for _ in range(batches):
        next(rows)
    rows.close()  # type: ignore[attr-defined]


def contents(path: Path) -> dict[str, bytes]:
    """A file, and what belongs to it."""
    return {found.name: found.read_bytes() for found in sorted(path.parent.glob(f"{path.name}*"))}


def test_parquet_holds_what_the_csv_holds(model: Classifier, photos: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="parquet files need the extra [shards]")
    for name in KINDS[:2]:
        assert finish(model, photos, tmp_path / name, top=2).bad == 1
    with (tmp_path / "named.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "named.parquet").to_pylist()
    assert len(table) == 10 * 2 + 1
    assert [{key: "" if v is None else str(v) for key, v in row.items()} for row in table] == lines
    assert table[8] == dict(
        path=str(photos / "004.png"), rank=None, name=None, probability=None, error=lines[8]["error"]
    ) | {"class": None}


def test_features_are_the_average_of_a_stage_and_no_numbers_for_a_bad_picture(
    model: Classifier, photos: Path, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="parquet files need the extra [shards]")
    for name in KINDS[2:]:
        assert finish(model, photos, tmp_path / name, stage="inception_3a").bad == 1
    found = np.load(tmp_path / "features.npy")
    net = model.network
    right = []
    for picture in find_inputs([str(photos)], None):
        if picture.path.name != "004.png":
            x = model.preprocess.normalize(model.preprocess.cut(picture.open(None))[None])
            right.append(net.endpoints(x, ["inception_3a"])["inception_3a"].mean((2, 3))[0].detach().numpy())
    good = np.arange(11) != 4
    assert found.dtype == np.float32
    # folded batch norm, and sums in another order: seen at 2e-7 of values below 2
    np.testing.assert_allclose(found[good], np.stack(right), atol=2e-6)
    assert np.isnan(found[4]).all()
    with (tmp_path / "features.npy.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    assert [row["path"] for row in index] == [str(photos / f"{number:03}.png") for number in range(11)]
    assert [bool(row["error"]) for row in index] == list(~good)
    rows = parquet.read_table(tmp_path / "features.parquet").to_pylist()
    assert [row["path"] for row in rows] == [row["path"] for row in index]
    assert [row["error"] or "" for row in rows] == [row["error"] for row in index]
    assert rows[4]["features"] is None
    assert np.array_equal(np.array([row["features"] for row in rows if row["features"]], np.float32), found[good])


def test_without_a_stage_features_are_what_the_classifier_takes(
    model: Classifier, photos: Path, tmp_path: Path
) -> None:
    finish(model, photos, tmp_path / "features.npy", batch=11)
    found = torch.from_numpy(np.load(tmp_path / "features.npy"))
    assert found.shape == (11, WIDTH)
    probabilities = model.network.classifier(found).softmax(1)
    for row, values in zip(predict_files(model, sorted(photos.iterdir()), top=3), probabilities, strict=True):
        best = dict(zip(model.classes, values.tolist(), strict=True))
        named = row.prediction
        assert named is None or [best[name] for name in named.classes] == pytest.approx(named.probabilities, abs=1e-6)


def test_features_of_bad_pictures_alone_have_their_width_too(model: Classifier, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    finish(model, tmp_path / "a.png", tmp_path / "features.npy")
    assert np.load(tmp_path / "features.npy").shape == (1, WIDTH)


def test_an_unknown_stage_is_told_with_the_known_ones(model: Classifier, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no stage named mixed_9z in tiny_inception; stages: conv_1, .*inception_3a"):
        start(model, photos, tmp_path / "features.npy", stage="mixed_9z")


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


def test_rows_are_there_for_others_to_read_as_they_are_found(model: Classifier, photos: Path, tmp_path: Path) -> None:
    run = iter(start(model, photos, tmp_path / "named.csv"))
    for count in (2, 4):
        next(run)
        text = (tmp_path / "named.csv.part/0-of-1/rows").read_text()
        assert text.count(",1,") == count


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


@pytest.mark.parametrize(("name", "told"), [("a.png", "choose another name"), ("out.npz", r"\.npy or \.parquet")])
def test_no_other_file_is_written_over(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UsageError, match=told):
        output(tmp_path / name) if name == "a.png" else features_file(tmp_path / name)


def test_a_batch_suits_the_size_and_the_device_and_is_no_larger_than_needed() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    sizes = (28, 128, 224, 299, 2000)
    assert [choose_batch(size, cpu) for size in sizes] == [256, 32, 8, 8, 1]
    assert [choose_batch(size, gpu) for size in sizes] == [8 * choose_batch(size, cpu) for size in sizes]
    assert [choose_batch(299, gpu, count) for count in (1, 5, 1000)] == [1, 5, 64]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no text")
@pytest.mark.parametrize("name", KINDS)
def test_a_name_that_is_no_text_is_kept_where_the_format_can(
    model: Classifier, photos: Path, tmp_path: Path, name: str
) -> None:
    for path in photos.iterdir():
        path.unlink() if path.stem != "000" else path.rename(photos / os.fsdecode(b"caf\xe9.png"))
    finish(model, photos, tmp_path / name)
    text = b"".join(contents(tmp_path / name).values())
    assert (b"caf\\udce9.png" if name.endswith(".parquet") else b"caf\xe9.png") in text

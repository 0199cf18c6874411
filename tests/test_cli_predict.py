import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, Result
from data_fixtures import listing
from rich.console import Console

from torchinception import cli_predict, console
from torchinception.prediction import Row

Inception = Callable[..., Result]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def photos(split: Path, tmp_path: Path) -> Path:
    """Two pictures and one that is broken."""
    root = tmp_path / "photos"
    (root / "more").mkdir(parents=True)
    shutil.copy(split / "val/bag/000.png", root / "a.png")
    (root / "b.png").write_bytes((split / "val/bag/001.png").read_bytes()[:100])
    shutil.copy(split / "val/trouser/000.png", root / "more" / "c.png")
    return root


def test_predict_names_every_picture_of_a_folder(inception: Inception, finished: Path, split: Path) -> None:
    result = inception("predict", finished, "val/bag", cwd=split)
    assert result.code == 0
    rows = [row for row in result.out.splitlines() if "val/bag/" in row]
    assert [row.split()[0] for row in rows] == [f"val/bag/00{i}.png" for i in range(4)]
    assert all(row.count("%") == len(CLASSES) for row in rows)


def test_json_is_one_object_a_picture_with_probabilities_that_sum_to_one(
    inception: Inception, finished: Path, split: Path
) -> None:
    result = inception("predict", finished, split / "val", "--json")
    rows = lines(result.out)
    assert [row["path"] for row in rows] == [str(path) for path in sorted(split.glob("val/*/*.png"))]
    for row in rows:
        assert sorted(best["class"] for best in row["predictions"]) == list(CLASSES)
        # three float32 numbers between 0 and 1, each rounded once
        assert sum(best["probability"] for best in row["predictions"]) == pytest.approx(1, abs=3e-7)


def test_csv_holds_what_json_holds(inception: Inception, finished: Path, split: Path, tmp_path: Path) -> None:
    result = inception("predict", finished, split / "val", "--csv", tmp_path / "new" / "named.csv", "--json")
    with (tmp_path / "new" / "named.csv").open(newline="") as file:
        found = [(r["path"], int(r["rank"]), r["class"], float(r["probability"])) for r in csv.DictReader(file)]
    assert found == [
        (row["path"], rank, best["class"], best["probability"])
        for row in lines(result.out)
        for rank, best in enumerate(row["predictions"], 1)
    ]


def test_files_folders_and_globs_come_in_the_order_they_were_named(
    inception: Inception, finished: Path, split: Path
) -> None:
    result = inception("predict", finished, "val/trouser/001.png", "val/bag", "**/sneaker/*2.png", "--json", cwd=split)
    expected = ["val/trouser/001.png", *(f"val/bag/00{i}.png" for i in range(4))]
    expected += ["train/sneaker/002.png", "val/sneaker/002.png"]
    assert [row["path"] for row in lines(result.out)] == expected


def test_top_limits_the_classes(inception: Inception, finished: Path, split: Path) -> None:
    rows = lines(inception("predict", finished, split / "val/bag", "--json", "--top", 1).out)
    assert [len(row["predictions"]) for row in rows] == [1] * 4


def test_the_batch_changes_no_name(inception: Inception, finished: Path, split: Path) -> None:
    one, many = (
        lines(inception("predict", finished, split / "val", "--json", "--batch", b, "--top", 1).out) for b in (1, 12)
    )
    # a batch of another size is summed in another order: float32 rounding, seen at 6e-8
    for a, b in zip(one, many, strict=True):
        expected = b["predictions"][0] | dict(probability=pytest.approx(b["predictions"][0]["probability"], abs=1e-6))
        assert a["predictions"][0] == expected


def test_a_bad_picture_gets_a_row_and_65_and_the_others_are_named(
    inception: Inception, finished: Path, photos: Path
) -> None:
    result = inception("predict", finished, ".", "--json", cwd=photos)
    rows = lines(result.out)
    assert (result.code, "error: 1 of 3 pictures could not be read" in result.err) == (65, True)
    assert [(row["path"], "predictions" in row) for row in rows] == [
        ("a.png", True),
        ("b.png", False),
        ("more/c.png", True),
    ]
    assert rows[1]["error"].startswith("broken")


def test_a_bad_picture_stands_in_the_table_and_in_the_csv(
    inception: Inception, finished: Path, photos: Path, tmp_path: Path
) -> None:
    table = inception("predict", finished, ".", cwd=photos)
    inception("predict", finished, ".", "--csv", tmp_path / "named.csv", cwd=photos)
    with (tmp_path / "named.csv").open(newline="") as file:
        (row,) = (row for row in csv.DictReader(file) if row["path"] == "b.png")
    assert (table.code, row["class"], row["error"][:6]) == (65, "", "broken")
    assert "b.png       broken" in table.out


def test_csv_into_a_place_that_cannot_be_written_exits_with_74(
    inception: Inception, finished: Path, photos: Path
) -> None:
    before = listing(photos)
    result = inception("predict", finished, "a.png", "--csv", "a.png/named.csv", cwd=photos)
    assert (result.code, "cannot write a.png/named.csv" in result.err) == (74, True)
    assert listing(photos) == before


@pytest.mark.parametrize("content", [b"", b"x" * 999])
def test_a_model_file_that_is_none_exits_with_65(inception: Inception, photos: Path, content: bytes) -> None:
    (photos / "m.safetensors").write_bytes(content)
    result = inception("predict", "m.safetensors", "a.png", cwd=photos)
    assert (result.code, result.out, "cannot be read as a checkpoint" in result.err) == (65, "", True)


def test_the_table_is_printed_as_it_grows_with_one_heading(inception: Inception, finished: Path, photos: Path) -> None:
    shutil.copy(photos / "a.png", photos / "z.png")
    heading, *rows = inception("predict", finished, ".", "--batch", 1, cwd=photos).out.splitlines()
    assert heading.split() == ["picture", "named"]
    assert [row.split()[0] for row in rows] == ["a.png", "b.png", "more/c.png", "z.png"]
    # the second column moves to the right for a longer path, and stays there
    assert [len(row) - len(row.split(None, 1)[1]) for row in rows] == [9, 9, 12, 12]


def test_json_goes_to_stdout_while_a_bar_is_on_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "err", Console(file=io.StringIO(), force_terminal=True))
    with console.Screen() as screen:
        screen.progress("Predicting", 1, 2)
        cli_predict._Json().print([Row(Path("a.png"), None, "broken; remove it")])
    assert lines(capsys.readouterr().out) == [dict(path="a.png", error="broken; remove it")]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--resume"], "Give --csv FILE"),
        (["--resume", "--json"], "what is only printed cannot be gone on with"),
        (["--stage", "inception_3a"], "give --features FILE.npy too"),
        (["--csv", "a.csv", "--features", "a.npy"], "give one of them"),
        (["--csv", "a.csv", "--parquet", "a.parquet"], "give one of them"),
        (["--features", "a.npy", "--json"], "leave one of them out"),
        (["--features", "a.npz"], "ends in .npy or .parquet"),
        (["--features", "a.npy", "--stage", "mixed_9z"], "no stage named mixed_9z in tiny_inception; stages: conv_1"),
        (["--batch", "0"], "0 is neither auto nor a number from 1 on"),
        (["--batch", "many"], "many is neither auto nor"),
        (["--csv", "a.png"], "a.png does not end in .csv"),
        (["-"], "name nothing beside it"),
        (["--engine", "tensorrt"], "no engine named tensorrt; expected auto, native, torch"),
        (["--precision", "int8"], "--precision int8 needs --calibrate DATA"),
        (["--calibrate", "."], "--calibrate is for --precision int8"),
        (["--precision", "int8", "--calibrate", ".", "--engine", "torch"], "no int8 in the engine torch"),
    ],
)
def test_what_cannot_go_together_exits_with_2_and_writes_nothing(
    inception: Inception, finished: Path, photos: Path, options: list[str], told: str
) -> None:
    before = listing(photos)
    result = inception("predict", finished, "a.png", *options, cwd=photos)
    assert (result.code, result.out, told in result.err) == (2, "", True), result.err
    assert listing(photos) == before


def test_features_are_written_and_nothing_is_printed(inception: Inception, finished: Path, photos: Path) -> None:
    result = inception("predict", finished, ".", "--features", "new/features.npy", cwd=photos)
    assert (result.code, result.out) == (65, "")
    assert np.isnan(np.load(photos / "new/features.npy")).any(1).tolist() == [False, True, False]


def test_a_file_that_is_written_among_the_pictures_is_none_of_them(
    inception: Inception, finished: Path, photos: Path
) -> None:
    for _ in range(2):
        result = inception("predict", finished, ".", "--parquet", "named.parquet", cwd=photos)
        assert (result.code, "1 of 3 pictures" in result.err) == (65, True), result.err


def test_resuming_what_is_finished_exits_as_the_run_did_that_finished_it(
    inception: Inception, finished: Path, photos: Path
) -> None:
    for pictures, code in ((".", 65), ("a.png", 0)):
        command = ("predict", finished, pictures, "--csv", f"{code}.csv")
        assert inception(*command, cwd=photos).code == code
        before = listing(photos)
        result = inception(*command, "--resume", cwd=photos)
        assert (result.code, f"{code}.csv is finished, all " in result.err) == (code, True), result.err
        assert ("1 of 3 pictures could not be read" in result.err) == (code == 65)
        assert listing(photos) == before


def test_evaluate_agrees_with_the_runs_own_metrics(inception: Inception, finished: Path, split: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    found = json.loads(inception("evaluate", finished, split, "--json", "--batch", 8, "--engine", "torch").out)
    assert {key: found[key] for key in ("top1", "top5", "pictures", "per_class")} == {
        **{key: metrics[f"val_{key}"] for key in ("top1", "top5", "pictures")},
        "per_class": metrics["per_class"],
    }
    assert found["loss"] == pytest.approx(metrics["val_loss"], rel=1e-6)  # the run's is of another engine


def test_evaluate_prints_what_json_holds(inception: Inception, finished: Path, split: Path) -> None:
    found = json.loads(inception("evaluate", finished / "model.safetensors", split, "--json").out)
    shown = inception("evaluate", finished, split)
    assert shown.code == 0
    assert f"top-1 {found['top1']:.2%}, top-5 {found['top5']:.2%}, loss {found['loss']:.4f}" in shown.out
    rows = [row.split() for row in shown.out.splitlines()]
    assert all([name, f"{found['per_class'][name]:.1%}"] in [row[:2] for row in rows] for name in CLASSES)


def test_evaluate_names_the_folder_in_one_piece(inception: Inception, finished: Path, split: Path) -> None:
    assert f"{split}, val pictures: 12" in inception("evaluate", finished, split).out


def test_evaluate_stops_at_a_class_that_the_model_does_not_know(
    inception: Inception, finished: Path, pictures: Path
) -> None:
    (pictures / "bag").rename(pictures / "lunchbox")
    before = listing(pictures)
    result = inception("evaluate", finished, pictures)
    assert (result.code, "does not know the class lunchbox" in result.err) == (65, True)
    assert listing(pictures) == before

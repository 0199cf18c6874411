import csv
import itertools
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from data_fixtures import full_disk, listing, tiny_classifier, write_classes
from rights import plain_rights
from store_fixtures import Notes

from torchinception.classifier import Classifier, Prediction
from torchinception.errors import DataError, MissingInputError, SaveError
from torchinception.prediction import Row, find_pictures, predict_files, write_csv


@pytest.fixture(scope="module")
def model() -> Classifier:
    return tiny_classifier("a", "b", "c")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """000.png to 002.png, and two more in a folder."""
    return write_classes(tmp_path, **{"photos": 3, "photos/more": 2}) / "photos"


def found(root: Path, *patterns: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find_pictures([str(root / p) for p in patterns])]


@pytest.mark.parametrize("batch", [1, 2, 3, 32])
def test_rows_come_in_order_with_the_bad_pictures_between(model: Classifier, photos: Path, batch: int) -> None:
    (photos / "001.png").write_bytes(b"hello")
    paths = [photos / name for name in ("none.png", "000.png", "001.png", "002.png", "more/000.png")]
    rows = list(predict_files(model, paths, top=2, batch=batch))
    assert [row.path for row in rows] == paths
    assert [row.error.split(";")[0] for row in rows] == ["missing", "", "not a picture", "", ""]
    for row in rows:
        expected = [] if row.error else model.predict(row.path, top=2)
        assert ([row.prediction] if row.prediction else []) == [
            replace(e, probabilities=pytest.approx(e.probabilities, abs=1e-6))  # sums differ with the batch's size
            for e in expected
        ]


def test_a_batch_of_bad_pictures_only_is_no_trouble(model: Classifier, photos: Path) -> None:
    rows = list(predict_files(model, [photos / "x.png"] * 5 + [photos / "000.png"], batch=2))
    assert [bool(row.error) for row in rows] == [True] * 5 + [False]


def test_no_files_give_no_rows(model: Classifier) -> None:
    assert list(predict_files(model, [])) == []


def test_files_are_read_as_they_are_needed(model: Classifier, photos: Path) -> None:
    asked = []
    endless = (asked.append(i) or photos / "000.png" for i in itertools.count())
    rows = list(itertools.islice(predict_files(model, endless, batch=2), 4))
    assert len(rows) == 4
    assert len(asked) <= 4 + 2 * 2  # the batch at hand and the one that is read meanwhile


def test_a_folder_is_searched_through_and_files_stand_as_named(photos: Path) -> None:
    (photos / "notes.txt").touch()
    (photos / "more" / "LOUD.JPG").touch()
    everything = ["000.png", "001.png", "002.png", "more/000.png", "more/001.png", "more/LOUD.JPG"]
    assert found(photos, ".") == everything
    assert found(photos, "notes.txt", "more", "000.png") == ["notes.txt", *everything[3:], "000.png"]


def test_globs_are_sorted_and_reach_any_depth(photos: Path) -> None:
    assert found(photos, "*.png") == ["000.png", "001.png", "002.png"]
    assert found(photos, "**/*1.png") == ["001.png", "more/001.png"]
    assert found(photos, "m*") == ["more/000.png", "more/001.png"]


def test_a_name_with_the_characters_of_a_glob_is_a_name_first(photos: Path) -> None:
    (photos / "000.png").rename(photos / "a[1] *.png")
    assert found(photos, "a[1] *.png") == ["a[1] *.png"]


@pytest.mark.parametrize(
    "patterns", [["none.png"], ["none.png", "no.png"], ["000.png", "*.gif"], ["000.png", "none/**"]]
)
def test_what_is_not_there_at_all_is_a_missing_input(photos: Path, patterns: list[str]) -> None:
    with pytest.raises(MissingInputError) as caught:
        found(photos, *patterns)
    missing = next(name for name in patterns if name != "000.png")
    assert f"nothing at {photos / missing}" in str(caught.value)
    assert caught.value.exit_code == 66


def test_a_name_that_is_not_there_among_others_stands_for_itself(photos: Path) -> None:
    assert found(photos, "none.png", "000.png") == ["none.png", "000.png"]


def test_what_is_passed_over_in_a_folder_is_told(photos: Path, notes: Notes) -> None:
    (photos / "IMG.HEIC").write_bytes(b"x")
    (photos / "noext").write_bytes(b"x")
    assert len(find_pictures([str(photos)], notes)) == 5
    some = f"{photos / 'IMG.HEIC'}, {photos / 'noext'}"
    told = f"Passed over 2 without a picture's suffix ({some}); name a file itself to read it"
    assert notes.said == [told]


def test_a_folder_without_pictures_is_a_data_error(photos: Path) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="empty") as caught:
        found(photos, "empty")
    assert caught.value.exit_code == 65


def test_hidden_files_are_left_out_as_in_training(photos: Path) -> None:
    (photos / "._000.png").write_bytes(b"left by a system")
    assert found(photos, ".") == ["000.png", "001.png", "002.png", "more/000.png", "more/001.png"]


def test_a_folder_named_like_a_picture_is_a_folder(photos: Path) -> None:
    (photos / "more").rename(photos / "more.png")
    assert found(photos, ".") == ["000.png", "001.png", "002.png", "more.png/000.png", "more.png/001.png"]


def test_a_picture_that_a_pattern_meets_twice_is_named_once(photos: Path) -> None:
    assert sorted(found(photos, "**")) == ["000.png", "001.png", "002.png", "more/000.png", "more/001.png"]


def test_loops_end_and_pictures_behind_links_are_found_once(photos: Path) -> None:
    (photos / "more" / "loop").symlink_to(photos)
    (photos / "more" / "out").symlink_to(photos.parent)
    (photos / "a link").symlink_to(photos / "more")
    (photos.parent / "beside").mkdir()
    (photos / "000.png").rename(photos.parent / "beside" / "000.png")
    (photos / "beside").symlink_to(photos.parent / "beside")
    expected = ["001.png", "002.png", "beside/000.png", "more/000.png", "more/001.png"]
    assert found(photos, ".") == expected
    assert sorted(found(photos, "**/*.png")) == expected
    assert sorted(found(photos, "**")) == expected
    assert found(photos, "**/more/**/0*1.png") == ["more/001.png"]


def test_pipes_are_never_opened_and_links_to_nothing_have_their_row(model: Classifier, photos: Path) -> None:
    os.mkfifo(photos / "more" / "pipe.png")
    os.mkfifo(photos / "more" / "pipe")
    (photos / "gone.png").symlink_to(photos / "nothing")
    paths = find_pictures([str(photos), str(photos / "m*" / "p*.png"), str(photos / "**" / "*")])
    errors = {row.path.name: row.error.split(";")[0] for row in predict_files(model, paths) if row.error}
    assert errors == {"pipe.png": "no file", "pipe": "no file", "gone.png": "missing"}


def test_what_systems_leave_is_passed_over_unless_it_is_named(photos: Path) -> None:
    write_classes(photos, **{"__MACOSX": 1, "more/@eaDir": 1, ".hidden": 1})
    (photos / "Thumbs.db").touch()
    assert found(photos, "*") == ["000.png", "001.png", "002.png", "more/000.png", "more/001.png"]
    assert found(photos, "*/0*") == ["more/000.png", "more/001.png"]
    assert found(photos, "**/0*1.png") == ["001.png", "more/001.png"]
    assert found(photos, "__MACOSX") == found(photos, "__MACOSX/*") == ["__MACOSX/000.png"]
    assert found(photos, ".hid*/*.png") == [".hidden/000.png"]


def test_a_pattern_that_matches_folders_without_pictures_too_is_no_trouble(photos: Path) -> None:
    (photos / "empty").mkdir()
    assert found(photos, "*") == found(photos, ".")


def test_a_folder_that_cannot_be_listed_is_a_data_error(photos: Path) -> None:
    (photos / "more").chmod(0)
    with plain_rights(), pytest.raises(DataError, match=r"more: cannot be listed \(Permission denied\)"):
        found(photos, ".")


def test_a_name_that_is_too_long_is_a_missing_input(photos: Path) -> None:
    with pytest.raises(MissingInputError):
        found(photos, "x" * 300)


def test_finding_and_predicting_change_nothing(model: Classifier, photos: Path) -> None:
    before = listing(photos)
    assert len(list(predict_files(model, find_pictures([str(photos)])))) == 5
    assert listing(photos) == before


def test_the_csv_has_a_line_a_class_and_one_for_a_bad_picture(tmp_path: Path) -> None:
    name = 'a, "b"\nü 猫'
    rows = [
        Row(Path("1.png"), Prediction(("n1", "c"), (2 / 3, 1 / 3), (name, "c"))),
        Row(Path("2, 3.png"), None, "broken; remove it"),
    ]
    write_csv(tmp_path / "rows.csv", rows)
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["path", "rank", "class", "name", "probability", "error"]
    assert lines == [
        ["1.png", "1", "n1", name, str(2 / 3), ""],
        ["1.png", "2", "c", "c", str(1 / 3), ""],
        ["2, 3.png", "", "", "", "", "broken; remove it"],
    ]


def test_a_csv_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("old")
    rows = [Row(Path("1.png"), None, "broken")] * 100
    with full_disk(), pytest.raises(SaveError, match=r"rows\.csv"):
        write_csv(tmp_path / "rows.csv", rows)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no text")
def test_a_file_name_that_is_no_text_has_its_row(model: Classifier, photos: Path) -> None:
    path = photos / os.fsdecode(b"caf\xe9.png")
    (photos / "000.png").rename(path)
    rows = list(predict_files(model, find_pictures([str(path)])))
    write_csv(photos / "rows.csv", rows)
    assert b"caf" in (photos / "rows.csv").read_bytes()

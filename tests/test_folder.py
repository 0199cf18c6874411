import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from data_fixtures import encode, listing, noise, write_classes
from hypothesis import given, settings
from hypothesis import strategies as st
from store_fixtures import Notes

from torchinception.data.folder import scan
from torchinception.data.layout import natural
from torchinception.data.split import hash_name
from torchinception.errors import DataError, InceptionError, MissingInputError


def refused(root: Path) -> InceptionError:
    """The error of scanning and splitting, which touched nothing."""
    before = listing(root)
    with pytest.raises(InceptionError) as caught:
        scan(root).for_training()
    assert listing(root) == before
    return caught.value


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["."], {"all"}),
        (["train"], {"train"}),
        (["train", "val"], {"train", "val"}),
        (["train", "valid"], {"train", "val"}),
        (["train", "validation", "test"], {"train", "val", "test"}),
        (["test"], {"test"}),
    ],
)
def test_splits_are_found_by_their_usual_names(tmp_path: Path, names: list[str], splits: set[str]) -> None:
    write_classes(tmp_path, **{f"{name}/{c}": 2 for name in names for c in "ab"})
    found = scan(tmp_path)
    assert {name: len(samples) for name, samples in found.splits.items()} == dict.fromkeys(splits, 4)


def test_a_folder_with_a_val_of_its_own_is_used_as_it_is(tmp_path: Path) -> None:
    folder = scan(write_classes(tmp_path, **{"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 2}))
    assert folder.for_training() == folder.splits


def test_val_is_held_out_of_train_and_test_stays(tmp_path: Path) -> None:
    folder = scan(write_classes(tmp_path, **{"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 2}))
    splits = folder.for_training()
    assert splits["test"] == folder.splits["test"]
    assert sorted([*splits["train"], *splits["val"]], key=str) == sorted(folder.splits["train"], key=str)


def test_classes_are_sorted_by_name_and_may_have_any_name(tmp_path: Path) -> None:
    names = ("Zebra", "a b", "b", "naïve ü", "猫", "🌹")
    found = scan(write_classes(tmp_path, **dict.fromkeys(reversed(names), 2)))
    assert found.classes == names
    assert all(sample.path.parent.name == names[sample.label] for sample in found.splits["all"])


def test_class_2_comes_before_class_10(tmp_path: Path) -> None:
    names = ("0", "class1", "class02", "class2", "class2a", "class10", "class10 b", "classes")
    assert scan(write_classes(tmp_path, **dict.fromkeys(reversed(names), 1))).classes == names


@settings(deadline=None)
@given(st.lists(st.text() | st.from_regex(r"[a01]{,4}", fullmatch=True), unique=True), st.randoms())
def test_any_names_have_one_order(names: list[str], random: Random) -> None:
    expected = sorted(names, key=natural)
    random.shuffle(names)
    assert sorted(names, key=natural) == expected


def test_labels_stay_right_when_val_lacks_a_class(tmp_path: Path) -> None:
    found = scan(write_classes(tmp_path, **{"train/a": 2, "train/b": 2, "train/c": 2, "val/a": 1, "val/c": 1}))
    assert [sample.label for sample in found.splits["val"]] == [0, 2]


def test_pictures_in_folders_of_a_class_folder_belong_to_the_class(tmp_path: Path) -> None:
    found = scan(write_classes(tmp_path, **{"a/2024/may": 1, "a": 1, "b": 2}))
    assert [sample.label for sample in found.splits["all"]] == [0, 0, 1, 1]


def test_the_median_of_the_longer_sides_is_known(tmp_path: Path) -> None:
    write_classes(tmp_path, a=2, b=2)
    (tmp_path / "a" / "wide.png").write_bytes(encode(noise(0, 9, 300)))
    assert scan(tmp_path).side_px == 8


def test_hidden_files_and_what_systems_leave_are_ignored(tmp_path: Path) -> None:
    write_classes(tmp_path, **{"a": 2, "b": 2, ".git/objects": 1, "a/.thumbnails": 1})
    for place in (tmp_path, tmp_path / "a"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png"):
            (place / name).write_text("no picture")
    assert len(scan(tmp_path).splits["all"]) == 4


def move(root: Path, part: str) -> None:
    for name in "ab":
        shutil.move(root / name, root / part / name)


def copy_into_one_class(root: Path) -> None:
    write_classes(root, bad=1)
    shutil.copy(root / "bad" / "000.png", root / "bad" / "copy.png")


HARMS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a broken picture": ("bad", lambda root: (root / "a" / "bad.png").write_bytes(encode(noise(0))[:60])),
    "an empty picture": ("bad", lambda root: (root / "a" / "bad.png").touch()),
    "a text": ("bad", lambda root: (root / "a" / "bad.txt").write_text("remember the milk")),
    "a broken link": ("bad", lambda root: (root / "a" / "bad.png").symlink_to(root / "gone.png")),
    "a picture outside": ("bad", lambda root: (root / "a" / "000.png").rename(root / "bad.png")),
    "an empty class": ("bad", lambda root: (root / "bad").mkdir()),
    "a class of one picture": ("bad", lambda root: write_classes(root, bad=1)),
    "a class of one picture twice": ("bad", copy_into_one_class),
    "a class that is no text": ("bad", lambda root: (root / "a").rename(root / os.fsdecode(b"bad\xe9"))),
    "a class that train lacks": ("bad", lambda root: (move(root, "train"), write_classes(root, **{"val/bad": 1}))),
    "a folder beside train": ("bad", lambda root: (move(root, "train"), write_classes(root, bad=1))),
    "no train": ("no train", lambda root: move(root, "test")),
    "a single class": ("at least two folders", lambda root: shutil.rmtree(root / "b")),
    "no pictures": ("no pictures", lambda root: (shutil.rmtree(root / "a"), shutil.rmtree(root / "b"))),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_cannot_be_used_is_a_data_error_that_names_it(tmp_path: Path, harm: str) -> None:
    words, do = HARMS[harm]
    do(write_classes(tmp_path / "data", a=2, b=2))
    error = refused(tmp_path / "data")
    assert isinstance(error, DataError)
    assert (error.exit_code, words in str(error).replace(str(tmp_path), "")) == (65, True)


def test_all_bad_files_are_named_at_once_up_to_twenty(tmp_path: Path) -> None:
    write_classes(tmp_path, a=2, b=2)
    for number in range(25):
        (tmp_path / "b" / f"bad{number:02}.jpg").touch()
    text = str(refused(tmp_path))
    assert (text.count(".jpg"), "and 5 more" in text, text.startswith("25 files")) == (20, True, True)


def test_bad_files_are_skipped_on_demand_told_once_and_listed(tmp_path: Path, notes: Notes) -> None:
    good = scan(write_classes(tmp_path, a=4, b=4))
    for number in range(3):
        (tmp_path / "b" / f"bad{number}.png").write_bytes(b"?")
    (tmp_path / "b" / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "stray.png").touch()
    found = scan(tmp_path, notes, bad="skip")
    assert (found.splits, found.fingerprint) == (good.splits, good.fingerprint)
    assert found.for_training() == good.for_training()
    assert good.skipped == ()
    assert sorted(line.removeprefix(f"{tmp_path}/").split(":")[0] for line in found.skipped) == [
        *(f"b/bad{number}.png" for number in range(3)),
        "b/gone.png",
        "stray.png",
    ]
    assert [line.startswith("Skipped 5 files that cannot be used; the first is ") for line in notes.said] == [True]


def test_skipping_leaves_no_class_without_pictures(tmp_path: Path) -> None:
    write_classes(tmp_path, a=2, b=2, c=1)
    (tmp_path / "c" / "000.png").write_bytes(b"?")
    with pytest.raises(DataError, match=r"class c in .* has no picture that can be used:\n.*c/000\.png: not a pic"):
        scan(tmp_path, bad="skip")


def test_skipping_everything_leaves_no_pictures(tmp_path: Path) -> None:
    write_classes(tmp_path, a=1)
    (tmp_path / "a" / "000.png").write_bytes(b"?")
    with pytest.raises(DataError, match="no pictures in"):
        scan(tmp_path, bad="skip")


def test_a_misplaced_folder_is_refused_even_if_bad_files_are_skipped(tmp_path: Path) -> None:
    write_classes(tmp_path, **{"train/a": 2, "train/b": 2, "roses": 2})
    with pytest.raises(DataError, match="roses: outside any class folder"):
        scan(tmp_path, bad="skip")


@pytest.mark.parametrize("name", ["none", "a/000.png"])
def test_a_folder_that_is_not_there_is_a_missing_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingInputError, match=name) as caught:
        scan(write_classes(tmp_path, a=1) / name)
    assert caught.value.exit_code == 66


def test_scanning_and_splitting_write_nothing_into_the_folder(tmp_path: Path) -> None:
    before = listing(write_classes(tmp_path, a=3, b=3))
    scan(tmp_path).for_training()
    assert listing(tmp_path) == before


def test_the_fingerprint_stays_the_same_from_release_to_release(tmp_path: Path) -> None:
    flat = write_classes(tmp_path / "flat", a=3, b=2)
    split = write_classes(tmp_path / "split", **{"train/a": 3, "train/b": 2, "val/a": 1, "val/b": 1})
    assert scan(flat).fingerprint == "bb9835915f91aaad91de0df4167f49e47644b2090a0e07ae81b16e283dbd64ce"
    assert scan(split).fingerprint == "a598e5114241401a36aa66eba557b8e5a67947568c8f0992647a30b1219e2b34"


def test_the_fingerprint_for_training_tells_what_is_held_out_as_well(tmp_path: Path) -> None:
    """Or a renamed picture that was trained on could count as held out."""
    before = scan(write_classes(tmp_path, a=9, b=9))
    trained_on = next(s.path for s in before.for_training()["train"])
    names = (trained_on.with_name(f"{number}.png") for number in range(10**6))
    trained_on.rename(next(p for p in names if hash_name(p.relative_to(tmp_path).as_posix()) < 2**64 // 10))
    after = scan(tmp_path)
    assert after.fingerprint == before.fingerprint
    assert after.training_fingerprint != before.training_fingerprint


def test_the_fingerprint_for_training_is_the_same_where_nothing_is_held_out(tmp_path: Path) -> None:
    found = scan(write_classes(tmp_path / "split", **{"train/a": 1, "train/b": 1, "val/a": 1}))
    unfit = scan(write_classes(tmp_path / "unfit", a=1, b=1))
    assert [f.training_fingerprint for f in (found, unfit)] == [f.fingerprint for f in (found, unfit)]


def test_the_fingerprint_tells_contents_classes_and_splits_but_not_file_names(tmp_path: Path) -> None:
    first = scan(write_classes(tmp_path / "1", a=2, b=2)).fingerprint
    (tmp_path / "1" / "a" / "000.png").rename(tmp_path / "1" / "a" / "x.png")
    assert scan(tmp_path / "1").fingerprint == first
    shutil.copytree(tmp_path / "1", tmp_path / "2" / "train")
    shutil.copytree(tmp_path / "1", tmp_path / "3")
    (tmp_path / "3" / "a").rename(tmp_path / "3" / "c")
    (tmp_path / "1" / "b" / "000.png").unlink()
    assert len({first, *(scan(tmp_path / name).fingerprint for name in "123")}) == 4


def test_a_picture_in_two_classes_is_told(tmp_path: Path, notes: Notes) -> None:
    write_classes(tmp_path, a=2, b=2)
    scan(tmp_path, notes)
    assert notes.said == []
    shutil.copy(tmp_path / "a/000.png", tmp_path / "b/copy.png")
    scan(tmp_path, notes)
    assert notes.said == [
        f"{tmp_path}/b/copy.png is in b and in a, perhaps others too; inception data check names all such pictures"
    ]

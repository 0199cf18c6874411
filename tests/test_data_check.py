"""`inception data check`: each fault that was made is told, where it is, and nothing besides."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_fixtures import encode, listing, noise, write_classes
from PIL import Image
from shard_fixtures import files_of, write_keyed_tar, write_parquet, write_tar
from typer.testing import CliRunner

from torchinception.cli_data import data_app
from torchinception.data import check
from torchinception.data.check import examine
from torchinception.data.checked import claim
from torchinception.data.contact import MARKS, TILES
from torchinception.errors import DataError, MissingInputError, SaveError, UsageError
from torchinception.progress import Listener

SPLITS = {f"{split}/{name}": count for split, count in (("train", 12), ("val", 3)) for name in ("cat", "dog", "emu")}
WHOLE = dict(cat=12, dog=12, emu=12)


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "animals", 40, **SPLITS)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "animals", 40, **WHOLE)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "check"


def told(data: Path, out: Path) -> dict[str, tuple[str, list[tuple[list[str], str]]]]:
    """Kind of each finding -> error or remark, and its items, places relative to `data`."""
    found = {}
    for finding in examine(data, out).findings:
        items = [([place.removeprefix(f"{data}/") for place in item.places], item.why) for item in finding.items]
        found[finding.kind] = ("error" if finding.error else "remark", items)
    return found


def test_of_a_sound_folder_nothing_is_told(splits: Path, out: Path) -> None:
    checked = examine(splits, out)
    assert checked.findings == ()
    assert checked.record()["pictures"] == 45
    assert checked.record()["classes"]["cat"] == {"pictures": {"train": 12, "val": 3}, "sheet": "class-cat.png"}
    assert checked.record()["formats"] == {"PNG": 45}
    assert checked.record()["median_px"] == [40, 40]
    assert sorted(path.name for path in out.iterdir()) == [
        "check.json",
        "class-cat.png",
        "class-dog.png",
        "class-emu.png",
    ]


def copy(source: str, target: str) -> Callable[[Path], None]:
    return lambda data: Path(shutil.copy(data / source, data / target)).touch()


def write(target: str, content: bytes) -> Callable[[Path], None]:
    return lambda data: bool((data / target).write_bytes(content)) and None


def save(source: str, target: str, size: tuple[int, int] | None = None) -> Callable[[Path], None]:
    def work(data: Path) -> None:
        with Image.open(data / source) as image:
            (image.resize(size, Image.Resampling.BILINEAR) if size else image).save(data / target)

    return work


def remove(folder: str, keep: int = 0) -> Callable[[Path], None]:
    return lambda data: [path.unlink() for path in sorted((data / folder).iterdir())[keep:]] and None


FAULTS: dict[str, tuple[Callable[[Path], None], str, list[tuple[list[str], str]]]] = {
    "unreadable": (
        write("train/cat/x.png", encode(noise(0))[:100]),
        "error",
        [(["train/cat/x.png"], "broken; image file is truncated; remove it or copy it again")],
    ),
    "empty class": (lambda data: (data / "train/gnu").mkdir(), "error", [(["gnu"], "")]),
    "unknown class": (remove("train/dog"), "error", [(["dog"], "")]),
    "missing class": (remove("val/dog"), "error", [(["dog"], "")]),
    "two classes": (
        copy("train/cat/001.png", "train/dog/x.png"),
        "error",
        [(["train/cat/001.png", "train/dog/x.png"], "the same file")],
    ),
    "two splits": (
        copy("train/cat/001.png", "val/cat/x.png"),
        "error",
        [(["train/cat/001.png", "val/cat/x.png"], "the same file")],
    ),
    "twice": (
        save("train/cat/001.png", "train/cat/x.bmp"),
        "remark",
        [(["train/cat/001.png", "train/cat/x.bmp"], "the same pixels, saved anew")],
    ),
    "tiny class": (remove("train/dog", 9), "remark", [(["dog"], "9 pictures")]),
    "wrong suffix": (write("train/cat/x.jpg", encode(noise(0, 40, 40))), "remark", [(["train/cat/x.jpg"], "PNG")]),
    "small picture": (
        write("train/cat/x.png", encode(noise(0, 31, 50))),
        "remark",
        [(["train/cat/x.png"], "50 x 31 px")],
    ),
    "flat picture": (
        write("train/cat/x.png", encode(np.full((40, 60, 3), 255, np.uint8))),
        "remark",
        [(["train/cat/x.png"], "60 x 40 px")],
    ),
    "long picture": (
        write("train/cat/x.png", encode(noise(0, 40, 161))),
        "remark",
        [(["train/cat/x.png"], "161 x 40 px")],
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_told_and_no_other(kind: str, splits: Path, out: Path) -> None:
    make, level, items = FAULTS[kind]
    make(splits)
    assert told(splits, out) == {kind: (level, items)}


def test_a_file_in_the_way_is_an_error(splits: Path, out: Path) -> None:
    (splits / "train/x.png").write_bytes(encode(noise(0)))
    ((kind, (level, items)),) = told(splits, out).items()
    assert (kind, level) == ("unusable", "error")
    assert str(items).count("train/x.png") == 1


def test_a_near_duplicate_in_another_split_is_a_remark(splits: Path, out: Path) -> None:
    fields = Image.fromarray(noise(0, 5, 6)).resize((200, 150), Image.Resampling.BICUBIC)
    fields.save(splits / "train/cat/x.png")
    fields.resize((180, 135)).save(splits / "val/dog/y.jpg", quality=60)
    fields.crop((0, 0, 197, 149)).save(splits / "train/dog/z.png")  # in the same split, where it does no harm
    ((kind, (level, items)),) = told(splits, out).items()
    assert (kind, level) == ("near-duplicate", "remark")
    assert [places for places, _ in items] == [["val/dog/y.jpg", "train/cat/x.png"]]


def test_a_picture_turned_by_its_orientation_is_the_same_as_one_stored_upright(splits: Path, out: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture = noise(0, 40, 50)
    write("train/cat/x.png", encode(picture, exif=turned))(splits)
    write("val/cat/y.png", encode(np.rot90(picture, -1)))(splits)
    why = "the same pixels, saved anew"
    assert told(splits, out) == {"two splits": ("error", [(["train/cat/x.png", "val/cat/y.png"], why)])}


def test_one_pixel_makes_another_picture(splits: Path, out: Path) -> None:
    picture = noise(0, 40, 40)
    write("train/cat/x.png", encode(picture))(splits)
    picture[20, 20, 1] ^= 1
    write("train/dog/y.png", encode(picture))(splits)
    assert told(splits, out) == {}


def test_where_a_split_will_be_drawn_all_near_duplicates_are_told(whole: Path, out: Path) -> None:
    fields = Image.fromarray(noise(0, 5, 6)).resize((200, 150), Image.Resampling.BICUBIC)
    fields.save(whole / "cat/x.png")
    fields.resize((180, 135)).save(whole / "cat/y.png")
    assert [places for places, _ in told(whole, out)["near-duplicate"][1]] == [["cat/y.png", "cat/x.png"]]


def test_a_class_that_cannot_be_split_is_an_error(whole: Path, out: Path) -> None:
    remove("dog", 1)(whole)
    found = told(whole, out)
    assert found["single picture"] == ("error", [(["dog"], "")])
    assert found["unequal classes"] == ("remark", [(["cat", "dog"], "12 and 1 pictures, 12 times as many")])


def test_one_class_is_none(tmp_path: Path, out: Path) -> None:
    assert told(write_classes(tmp_path / "animals", 40, cat=12), out) == {"one class": ("error", [(["cat"], "")])}


def test_a_class_missing_in_test_is_a_remark(splits: Path, out: Path) -> None:
    write_classes(splits, 40, **{"test/cat": 3, "test/dog": 3})
    assert told(splits, out) == {"missing class": ("remark", [(["emu"], "")])}


def test_a_folder_to_evaluate_on_needs_no_train(tmp_path: Path, out: Path) -> None:
    assert told(write_classes(tmp_path / "animals", 40, **{"val/cat": 3}), out) == {}


def test_of_pictures_that_are_all_small_none_stands_out(sample: Path, out: Path) -> None:
    assert "small picture" not in told(sample, out)


def test_a_folder_of_nothing_but_broken_files_is_told(tmp_path: Path, out: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "animals" / name).mkdir(parents=True)
        write(f"animals/{name}/x.png", b"\x89PNG")(tmp_path)
    found = told(tmp_path / "animals", out)
    assert len(found["unreadable"][1]) == 2
    assert found["empty class"] == ("error", [(["cat"], ""), (["dog"], "")])
    assert [path.name for path in out.iterdir()] == ["check.json"]
    assert told(tmp_path / "animals", out) == found  # the folder is known again, though it has no sheet


@pytest.mark.parametrize("pack", [write_tar, write_keyed_tar, write_parquet])
def test_shards_are_checked_as_folders_are(pack: Callable[..., Path], whole: Path, tmp_path: Path, out: Path) -> None:
    copy("cat/001.png", "dog/x.png")(whole)
    write("cat/x.png", b"none")(whole)
    shard = pack(
        tmp_path / "shards" / "all.any".replace("any", "parquet" if pack is write_parquet else "tar"), files_of(whole)
    )
    for data in (shard, shard.parent):
        found = told(data, out)
        assert set(found) == {"unreadable", "two classes"}
        (places, why), *more = found["two classes"][1]
        assert (len(places), why, more) == (2, "the same file", [])
        assert all(str(shard.name) in place for place in places)


def test_users_data_are_not_touched(splits: Path, out: Path) -> None:
    before = listing(splits)
    examine(splits, out)
    assert listing(splits) == before


@pytest.mark.parametrize("place", ["", "train", "train/cat", "new/check"])
def test_nothing_is_written_into_the_data(place: str, splits: Path) -> None:
    before = listing(splits)
    with pytest.raises(UsageError, match="inside the data"):
        examine(splits, splits / place)
    assert listing(splits) == before


def test_nor_beside_the_pictures_that_a_table_names(splits: Path, out: Path) -> None:
    with pytest.raises(UsageError, match="inside the data"):
        claim(splits / "train" / "cat" / "check", {splits / "train" / "cat", splits / "train" / "dog"})
    assert claim(out, {splits / "train" / "cat"}) == set()


def test_a_link_into_the_data_is_seen_through(splits: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(splits)
    with pytest.raises(UsageError, match="inside the data"):
        examine(splits, tmp_path / "link" / "check")


@pytest.mark.parametrize("name", ["class-cat.png", "check.json", "notes.txt"])
def test_files_of_others_are_not_overwritten(name: str, splits: Path, out: Path) -> None:
    out.mkdir()
    (out / name).write_text('{"kind": "another"}')
    before = listing(out)
    with pytest.raises(UsageError, match=f"holds {name}"):
        examine(splits, out)
    assert listing(out) == before


def test_an_earlier_check_is_replaced_with_the_sheets_of_classes_that_are_gone(splits: Path, out: Path) -> None:
    examine(splits, out)
    for part in ("train", "val"):
        (splits / part / "dog").rename(splits / part / "cow")
    examine(splits, out)
    assert sorted(path.name for path in out.glob("class-*")) == ["class-cat.png", "class-cow.png", "class-emu.png"]
    (out / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"holds notes\.txt"):
        examine(splits, out)


class Stop(Listener):
    def progress(self, task: str, done: int, total: int, **_: float) -> None:
        if task == "Drawing sheets" and done == 2:
            raise KeyboardInterrupt


def test_a_check_that_was_stopped_can_be_repeated(splits: Path, out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        examine(splits, out, listener=Stop())
    assert (out / "class-cat.png").exists()
    assert not (out / "class-emu.png").exists()
    assert examine(splits, out).findings == ()


def test_a_place_that_is_no_folder_is_refused(splits: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        examine(splits, tmp_path / "file")
    with pytest.raises(SaveError, match="cannot write"):
        examine(splits, tmp_path / "file" / "check")


def test_what_is_not_there_makes_no_folder(tmp_path: Path, out: Path) -> None:
    with pytest.raises(MissingInputError):
        examine(tmp_path / "none", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        examine(tmp_path / "empty", out)
    assert not out.exists()


def test_the_number_of_workers_changes_nothing(splits: Path, tmp_path: Path) -> None:
    for make, *_ in FAULTS.values():
        make(splits)
    records = [examine(splits, tmp_path / f"{n}", workers=n).record() for n in (1, 5)]
    assert records[0] == records[1]
    assert len({(tmp_path / f"{n}" / "class-cat.png").read_bytes() for n in (1, 5)}) == 1


def test_only_a_few_pictures_are_under_way_at_a_time() -> None:
    begun: list[int] = []
    for number, result in enumerate(check.each_in_turn(lambda n: begun.append(n) or n, range(1000), workers=2)):
        assert result == number
        assert len(begun) <= number + 40


@pytest.mark.parametrize("position", [0, 37, TILES + 11])
def test_a_suspicious_picture_of_a_large_class_is_on_its_sheet(position: int, tmp_path: Path, out: Path) -> None:
    data = write_classes(tmp_path / "animals", 40, cat=TILES + 12, dog=12)
    copy(f"cat/{position:03}.png", "dog/x.png")(data)
    examine(data, out)
    red = [int(MARKS["duplicate"][i : i + 2], 16) for i in (1, 3, 5)]
    for name in ("cat", "dog"):
        with Image.open(out / f"class-{name}.png") as sheet:
            assert (np.asarray(sheet.convert("RGB")) == red).all(2).sum() > 4 * 4 * 128


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(data_app, ["check", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout


def test_the_command_writes_beside_and_ends_well(splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = run(splits)
    assert code == 0
    assert "45 pictures (PNG 45), 40 x 40 px usually" in text
    assert "0 errors, 0 remarks; all of it in animals-check/check.json" in text
    assert (tmp_path / "animals-check" / "class-cat.png").exists()


def test_the_command_shows_twenty_of_each_and_counts_the_rest(splits: Path, out: Path) -> None:
    for number in range(25):
        write(f"train/cat/x{number}.png", b"none")(splits)
    code, text = run(splits, "--out", out)
    assert code == 65
    assert "Error: Pictures that cannot be read: 25. Remove them, or copy them again." in text
    assert text.count("not a picture") == 20
    assert "… and 5 more" in text


def test_of_many_copies_of_a_picture_four_are_shown(splits: Path, out: Path) -> None:
    for number in range(5):
        copy("train/cat/001.png", f"train/cat/x{number}.png")(splits)
    _, text = run(splits, "--out", out)
    assert text.count("train/cat/x") == 3
    assert "x2.png and 2 more: the same file" in text


def test_a_remark_is_no_failure(splits: Path, out: Path) -> None:
    FAULTS["long picture"][0](splits)
    code, text = run(splits, "--out", out)
    assert (code, "0 errors, 1 remark;" in text) == (0, True)


def test_json_is_what_the_file_holds(splits: Path, out: Path) -> None:
    copy("train/cat/001.png", "val/cat/x.png")(splits)
    code, text = run(splits, "--out", out, "--json", "--workers", "1")
    assert code == 65
    assert json.loads(text) == json.loads((out / "check.json").read_bytes())
    assert json.loads(text)["findings"] == [
        {
            "kind": "two splits",
            "level": "error",
            "what": "The same picture in several splits",
            "advice": "It would be known by heart: keep it in one split",
            "count": 1,
            "items": [{"places": [f"{splits}/train/cat/001.png", f"{splits}/val/cat/x.png"], "why": "the same file"}],
        }
    ]


def test_what_is_no_set_of_classes_is_told_as_training_tells_it(tmp_path: Path) -> None:
    write_classes(tmp_path, **{"flat": 2, "deep/flowers/a": 2, "deep/flowers/b": 2})
    with pytest.raises(DataError, match="flat holds files but no folders; expected one folder per class"):
        examine(tmp_path / "flat", tmp_path / "out")
    with pytest.raises(DataError, match=r"deep/flowers holds folders .*; if those are the classes or splits, give"):
        examine(tmp_path / "deep", tmp_path / "out")


def test_the_folder_one_is_in_is_checked_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_classes(tmp_path / "clothes", a=2, b=2)
    monkeypatch.chdir(root)
    assert examine(".").out.resolve() == tmp_path / "clothes-check"

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from data_fixtures import listing, write_classes
from pyarrow import parquet
from shard_fixtures import files_of, write_parquet
from store_fixtures import Notes

from torchinception.data.folder import name_of, scan
from torchinception.errors import DataError

Rows = Sequence[Sequence[Any]]
HEADER, WITH_SPLIT = ("path", "label"), ("path", "label", "split")
FLAT = [(f"pictures/{name}/{number:03}.png", name) for name in "ab" for number in range(4)]


def write_csv(folder: Path, header: Sequence[str], rows: Rows) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in (header, *rows)) + "\n", "utf-8", "surrogatepass")
    return path


def write_table(folder: Path, header: Sequence[str], rows: Rows) -> Path:
    path = folder / "table.parquet"
    columns = [*zip(*rows, strict=True)] or [()] * len(header)
    parquet.write_table(pa.table(dict(zip(header, columns, strict=True))), path, row_group_size=3)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """4 pictures in pictures/a and pictures/b each."""
    write_classes(tmp_path / "data", **{"pictures/a": 4, "pictures/b": 4})
    return tmp_path / "data"


def refused(path: Path) -> str:
    before = listing(path.parent)
    with pytest.raises(DataError) as caught:
        scan(path)
    assert listing(path.parent) == before
    return str(caught.value)


WRITERS: dict[str, Callable[[Path, Sequence[str], Rows], Path]] = dict(csv=write_csv, parquet=write_table)
each_kind = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@each_kind
def test_a_table_names_pictures_classes_and_splits(place: Path, write: Callable[..., Path]) -> None:
    words = ("Train", "training", "val", "VALID", "validation", "train", "test", "testing")
    rows = [(*row, word) for row, word in zip(FLAT, words, strict=True)]
    found = scan(write(place, WITH_SPLIT, rows))
    assert found.classes == ("a", "b")
    assert {
        split: [(s.path.relative_to(place).as_posix(), found.classes[s.label]) for s in samples]
        for split, samples in found.splits.items()
    } == dict(train=[FLAT[i] for i in (0, 1, 5)], val=[FLAT[i] for i in (2, 3, 4)], test=[FLAT[i] for i in (6, 7)])
    assert found.for_training() == found.splits


@each_kind
def test_without_a_column_split_a_tenth_is_held_out_as_of_a_folder(place: Path, write: Callable[..., Path]) -> None:
    found, folder = scan(write(place, HEADER, FLAT)), scan(place / "pictures")
    assert found.fingerprint == folder.fingerprint
    assert {*found.splits} == {"all"}
    by_name = {s.digest for s in found.for_training()["val"]}
    moved = [(path, label) for path, label in reversed(FLAT)]
    assert {s.digest for s in scan(write(place, HEADER, moved)).for_training()["val"]} == by_name


def test_what_a_table_holds_out_hangs_on_the_paths_in_it(place: Path) -> None:
    """From its folder on, whether they are written so or not."""
    short = scan(write_csv(place, HEADER, FLAT)).for_training()
    long = scan(write_csv(place, HEADER, [(f"./x/../{path}", label) for path, label in FLAT])).for_training()
    absolute = scan(write_csv(place, HEADER, [(place / path, label) for path, label in FLAT])).for_training()
    assert short == long == absolute


def test_pictures_may_lie_elsewhere_and_labels_be_other_than_their_folders(place: Path) -> None:
    (place / "tables").mkdir()
    rows = [(f"../{FLAT[0][0]}", "rose, red"), (place / FLAT[1][0], "猫")]
    found = scan(write_csv(place / "tables", HEADER, [(path, f'"{label}"') for path, label in rows]))
    assert found.classes == ("rose, red", "猫")
    assert [s.path for s in found.splits["all"]] == [place / FLAT[0][0], place / FLAT[1][0]]


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"], ids=["UTF-8", "UTF-8 with BOM"])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_tables_of_spreadsheets_are_read(place: Path, before: bytes, ending: bytes) -> None:
    lines = [b"id,label,path", *(f'{n},"{b}","{a}"'.encode() for n, (a, b) in enumerate(FLAT)), b""]
    (place / "table.csv").write_bytes(before + ending.join(lines))
    assert len(scan(place / "table.csv").splits["all"]) == 8


@pytest.mark.parametrize("label", [1, "1"])
def test_labels_may_be_numbers(place: Path, label: int | str) -> None:
    found = scan(write_table(place, HEADER, [(FLAT[0][0], label), (FLAT[1][0], type(label)(10))]))
    assert found.classes == ("1", "10")


def test_a_parquet_file_is_a_table_or_a_shard_by_its_columns(place: Path) -> None:
    table = scan(write_table(place, HEADER, FLAT))
    shard = scan(write_parquet(place / "shard.parquet", files_of(place / "pictures")))
    assert table.fingerprint == shard.fingerprint
    assert (table.splits["all"][0].member, shard.splits["all"][0].member is None) == (None, False)


WRONG: dict[str, tuple[Sequence[str], Rows, str]] = {
    "no label": (HEADER, [*FLAT[:2], (FLAT[2][0], "")], "3: no label for pictures/a/002.png"),
    "a label of spaces": (HEADER, [(FLAT[0][0], " ")], "1: no label for pictures/a/000.png"),
    "a label with a space": (HEADER, [(FLAT[0][0], "a ")], "1: the label 'a ' begins or ends with space; remove it"),
    "no path": (HEADER, [("", "a")], "1: no path"),
    "a split that is none": (WITH_SPLIT, [(*FLAT[0], "dev")], "1: split 'dev'; expected train, training, val, valid"),
    "an empty split": (WITH_SPLIT, [(*FLAT[0], "val"), (*FLAT[1], "")], "2: split ''; expected"),
    "a picture twice": (HEADER, [*FLAT[:2], FLAT[0]], "3: pictures/a/000.png is listed twice; see {kind} 1"),
    "a picture twice by other names": (
        HEADER,
        [FLAT[0], (f"./{FLAT[0][0]}", "a")],
        "2: ./pictures/a/000.png is listed",
    ),
    "a picture of two classes": (
        HEADER,
        [FLAT[0], (FLAT[0][0], "b")],
        "2: pictures/a/000.png is a and b; see {kind} 1",
    ),
    "a picture in two splits": (
        WITH_SPLIT,
        [(*FLAT[0], "train"), (*FLAT[0], "val")],
        "2: pictures/a/000.png is listed",
    ),
    "no such picture": (HEADER, [FLAT[0], ("gone.png", "a")], "2: gone.png: no such file; paths begin at the table's"),
    "a folder": (HEADER, [("pictures", "a")], "1: pictures: no file; give a picture file"),
    "a pipe": (HEADER, [("pipe", "a")], "1: pipe: no file; give a picture file"),
}


@each_kind
@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_by_its_line(place: Path, write: Callable[..., Path], case: str) -> None:
    os.mkfifo(place / "pipe")
    header, rows, words = WRONG[case]
    kind = "line" if write is write_csv else "row"
    number, _, rest = words.partition(":")
    see = re.sub("see {kind} 1", f"see {kind} {1 + (kind == 'line')}", rest)
    assert f"{kind} {int(number) + (kind == 'line')}:{see}" in refused(write(place, header, rows))


def test_all_wrong_lines_are_named_at_once_up_to_twenty(place: Path) -> None:
    text = refused(write_csv(place, HEADER, [(f"{n}.png", " a") for n in range(25)]))
    assert (text.count("begins or ends"), "and 5 more" in text, text.startswith("25 lines of ")) == (20, True, True)


COLUMNS: dict[str, tuple[Sequence[str], str]] = {
    "no label": (("path", "class"), "no column label; expected path,label or path,label,split"),
    "neither": (("file", "class"), "no column path and label"),
    "spaces": (("path", " label"), "found 'path', ' label'"),
    "twice": (("path", "label", "label"), "column label twice"),
    "semicolons": (("path;label",), "found 'path;label'"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_other_columns_are_named(place: Path, case: str) -> None:
    header, words = COLUMNS[case]
    assert words in refused(write_csv(place, header, [["x"] * len(header)]))


def test_a_parquet_table_without_labels_is_told_what_it_lacks(place: Path) -> None:
    assert "no column label" in refused(write_table(place, ("path", "class"), FLAT))


CONTENTS: dict[str, tuple[bytes, str]] = {
    "empty": (
        b"",
        "no column path and label; expected path,label or path,label,split in the first line, found nothing",
    ),
    "a header alone": (b"path,label\n", "no pictures in"),
    "not UTF-8": (b"path,label\nb\xe9.png,a\n", "table.csv: not UTF-8 (invalid"),
    "a field too many": (
        b"path,label\na.png,a,b\n",
        "line 2: 3 fields, but the first line has 2; put what has a comma",
    ),
    "a field too few": (b"path,label\na.png\n", "line 2: 1 fields"),
    "an open quote": (b'path,label\n"a.png,a\n', "line 2: unexpected end of data"),
    "a zero": (b"path,label\na\0.png,a\n", "line 2: "),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_a_file_that_is_no_table_is_refused(place: Path, case: str) -> None:
    content, words = CONTENTS[case]
    (place / "table.csv").write_bytes(content)
    assert words in refused(place / "table.csv")


def test_a_parquet_file_of_other_kinds_of_values_is_refused(place: Path) -> None:
    assert "table.parquet, row 1: b'a'; expected texts" in refused(write_table(place, HEADER, [(FLAT[0][0], b"a")]))
    (place / "table.parquet").write_bytes(b"PAR1 and no more")
    assert "not a parquet file that can be read" in refused(place / "table.parquet")


def test_lines_of_missing_pictures_can_be_skipped_but_contradictions_cannot(place: Path, notes: Notes) -> None:
    found = scan(write_csv(place, HEADER, [*FLAT, ("gone.png", "a")]), notes, bad="skip")
    assert (len(found.splits["all"]), len(found.skipped)) == (8, 1)
    assert found.skipped[0].startswith("table.csv, line 10: gone.png: no such file")
    with pytest.raises(DataError, match="listed twice"):
        scan(write_csv(place, HEADER, [*FLAT, FLAT[0]]), bad="skip")


def test_an_empty_line_is_no_line(place: Path) -> None:
    (place / "table.csv").write_text("path,label\n\npictures/a/000.png,a\n\n")
    assert len(scan(place / "table.csv").splits["all"]) == 1


def test_a_run_on_a_table_is_called_after_it() -> None:
    assert name_of("data/flowers.csv") == "flowers"


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_separator_is_named(place: Path, mark: str, name: str) -> None:
    (place / "table.csv").write_text(f"path{mark}label\n{FLAT[0][0]}{mark}a\n")
    with pytest.raises(
        DataError, match=f"no column path and label; .* it has {name} between fields, save it with commas"
    ):
        scan(place / "table.csv")


def test_backslashes_in_paths_are_named(place: Path) -> None:
    path = write_csv(place, HEADER, [(str(FLAT[0][0]).replace("/", "\\"), "a"), FLAT[1]])
    with pytest.raises(DataError, match="no such file; paths begin at the table's folder, and are written with /"):
        scan(path)

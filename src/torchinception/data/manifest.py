"""Pictures listed in a table, CSV or parquet: columns path, label and, if wanted, split."""

import csv
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from torchinception.data.walk import show
from torchinception.errors import DataError, UsageError

SPLITS = {  # names of folders, words in the names of shards, and in tables; in any case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
COLUMNS = ("path", "label")
SHOWN = 20  # of the lines that are wrong


class Row(NamedTuple):
    """A picture: its path from the table's folder on, or an absolute one."""

    path: str
    label: str
    split: str


class Manifest(NamedTuple):
    """Pictures that are there, in the table's order, and a line for each that is not."""

    rows: list[Row]
    bad: list[str]


def is_manifest(path: Path) -> bool:
    """Whether a file is such a table: by its name, and a parquet file by its columns too, for it may be a shard.

    Raises:
        UsageError: the package that reads parquet files is not installed.
    """
    suffix = path.suffix.lower()
    return suffix == ".csv" or (suffix == ".parquet" and "path" in _columns(path))


def read(path: Path) -> Manifest:
    """Read a table and look whether its pictures are there, without opening any.

    Raises:
        DataError: it is no such table, or lines of it contradict themselves or each other; all are named, up to 20.
        UsageError: the package that reads parquet files is not installed.
    """
    lines = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    found, wrong = Manifest([], []), list[str]()
    first: dict[str, tuple[str, str]] = {}  # of each file its line and label
    folder = os.path.normpath(path.absolute().parent)
    for where, (name, label, word) in lines:
        problem = _problem(name, label, word)
        place = os.path.normpath(os.path.join(folder, name))  # noqa: PTH118, an absolute one stands for itself
        if not problem and place in first:
            line, other = first[place]
            problem = f"{show(name)} is {'listed twice' if other == label else f'{other} and {label}'}; see {line}"
        if problem:
            wrong.append(f"{where}: {problem}")
            continue
        first[place] = where, label
        if missing := _missing(place):
            found.bad.append(f"{path.name}, {where}: {show(name)}: {missing}")
        else:
            is_inside = place.startswith(folder.rstrip(os.sep) + os.sep)
            inside = os.path.relpath(place, folder) if is_inside or not os.path.isabs(name) else place  # noqa: PTH117, a million of them
            found.rows.append(Row(inside, label, SPLITS[word.lower()] if word else "all"))
    if wrong:
        shown = "\n  ".join(wrong[:SHOWN]) + (f"\n  … and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else "")
        raise DataError(f"{len(wrong)} lines of {show(path)} are wrong:\n  {shown}")
    return found


def _problem(name: str, label: str, word: str | None) -> str:
    if not name:
        return "no path"
    if "\0" in name:
        return "a path with a zero in it"
    if not label.strip():
        return f"no label for {show(name)}"
    if label != label.strip():
        return f"the label {label!r} begins or ends with space; remove it"
    if word is not None and word.lower() not in SPLITS:
        return f"split {word!r}; expected {', '.join(SPLITS)}"
    return ""


def _missing(place: str) -> str:
    try:
        mode = os.stat(place).st_mode  # noqa: PTH116, a million of them
    except FileNotFoundError:
        return "no such file; paths begin at the table's folder" + (", and are written with /" if "\\" in place else "")
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if stat.S_ISREG(mode) else "no file; give a picture file"


Lines = Iterator[tuple[str, tuple[str, str, str | None]]]


def _read_csv(path: Path) -> Lines:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            _check_columns(path, header)
            at = [header.index(name) for name in (*COLUMNS, *(["split"] if "split" in header else []))]
            for fields in reader:
                if not fields:  # an empty line
                    continue
                if len(fields) != len(header):
                    raise DataError(
                        f"{show(path)}, line {reader.line_num}: {len(fields)} fields, but the first line has "
                        f"{len(header)}; put what has a comma in it between quotes"
                    )
                name, label, *word = (fields[i] for i in at)
                yield f"line {reader.line_num}", (name, label, word[0] if word else None)
    except UnicodeDecodeError as error:
        raise DataError(f"{show(path)}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{show(path)}, line {reader.line_num}: {error}; save it as CSV again") from error
    except OSError as error:
        raise DataError(f"{show(path)} cannot be read ({error.strerror}); check its permissions") from error


def _read_parquet(path: Path) -> Lines:
    parquet = _pyarrow()
    names = _columns(path)
    _check_columns(path, names)
    wanted = [*COLUMNS, *(["split"] if "split" in names else [])]
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                columns = file.read_row_group(group, columns=wanted, use_threads=False)
                for values in zip(*(columns.column(name).to_pylist() for name in wanted), strict=True):
                    number += 1
                    name, label, *word = (_text(path, number, value) for value in values)
                    yield f"row {number}", (name, label, word[0] if word else None)
    except (OSError, ValueError) as error:  # pyarrow's own are of these kinds
        raise DataError(f"{show(path)}: not a parquet file that can be read ({error}); copy it again") from error


def _text(path: Path, row: int, value: object) -> str:
    if isinstance(value, str | int) or value is None:
        return "" if value is None else str(value)
    raise DataError(f"{show(path)}, row {row}: {value!r:.60}; expected texts in columns path, label and split")


def _columns(path: Path) -> list[str]:
    parquet = _pyarrow()
    try:
        return list(parquet.read_schema(path).names)
    except (OSError, ValueError) as error:
        raise DataError(f"{show(path)}: not a parquet file that can be read ({error}); copy it again") from error


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise UsageError("reading parquet files needs pyarrow: pip install 'torchinception[shards]'") from None
    return pyarrow.parquet


def _check_columns(path: Path, found: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in found]
    double = sorted({name for name in found if found.count(name) > 1})
    if missing or double:
        marks = [name for mark, name in ((";", "semicolons"), ("\t", "tabs")) if len(found) == 1 and mark in found[0]]
        advice = f"; it has {marks[0]} between fields, save it with commas" if marks else ""
        problem = f"no column {' and '.join(missing)}" if missing else f"column {double[0]} twice"
        raise DataError(
            f"{show(path)}: {problem}; expected path,label or path,label,split in the first line, found "
            f"{', '.join(map(repr, found)) or 'nothing'}{advice}"
        )

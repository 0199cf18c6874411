"""Tables of predictions: CSV and parquet, one line for each class of a picture, or for one that could not be read."""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from torchinception.errors import UsageError
from torchinception.files import write_atomically
from torchinception.prediction.rows import Row

HEADER = ("path", "rank", "class", "name", "probability", "error")
INDEX = ("path", "error")  # of features
LINES = 10_000  # of a row group

Line = tuple[str | int | float | None, ...]


def write_csv(path: str | Path, rows: Iterable[Row]) -> None:
    """One line a class (path, rank, class, name, probability), or a picture that could not be read (path, error).

    Raises:
        SaveError: the file could not be written.
    """

    def write(file: BinaryIO) -> None:
        file.write(to_csv([HEADER]))
        file.writelines(to_csv(lines_of(row)) for row in rows)

    write_atomically(path, write)


def lines_of(row: Row) -> Iterator[Line]:
    """As `HEADER` names them."""
    for rank, (unique, name, probability) in enumerate(row.best, 1):
        yield row.place, rank, unique, name, probability, None
    if row.error:
        yield row.place, None, None, None, None, row.error


def index_of(row: Row) -> Iterator[Line]:
    """As `INDEX` names it."""
    yield row.place, row.error or None


def to_csv(lines: Iterable[Line]) -> bytes:
    """With nothing for None; a file's name that is no text keeps its bytes."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode(errors="surrogateescape")


def to_json(lines: Iterable[Line]) -> bytes:
    """One array a line."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def join_csv(parts: Sequence[Path], header: Line, file: BinaryIO) -> None:
    """Parts without a header, one after another."""
    file.write(to_csv([header]))
    for part in parts:
        with part.open("rb") as source:
            shutil.copyfileobj(source, file, 1 << 20)


def join_parquet(parts: Sequence[Path], file: BinaryIO) -> None:
    """Parts of `to_json`, one after another, in row groups."""
    arrow, parquet = import_pyarrow()
    text = arrow.string()
    kinds = (text, arrow.int32(), text, text, arrow.float32(), text)
    schema = arrow.schema(list(zip(HEADER, kinds, strict=True)))
    with parquet.ParquetWriter(file, schema) as writer:
        for part in parts:
            with part.open("rb") as source:
                while lines := [[as_text(value) for value in json.loads(line)] for line in islice(source, LINES)]:
                    columns = [
                        arrow.array(column, kind) for column, kind in zip(zip(*lines, strict=True), kinds, strict=True)
                    ]
                    writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def as_text(value: Any) -> Any:
    """Parquet's texts are UTF-8: a byte of a file's name that is none becomes a backslash and its number."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def import_pyarrow() -> tuple[ModuleType, ModuleType]:
    """What writes parquet files: pyarrow, and its part for them.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("writing parquet files needs pyarrow: pip install 'torchinception[shards]'") from None
    return pyarrow, pyarrow.parquet

"""Parquet shards in Hugging Face's layout: one row group is read at a time, and each process keeps the last two."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from torchinception.data.file_systems import UnreachableError
from torchinception.data.remote import Place, RemoteFile
from torchinception.errors import DataError, MissingInputError, UsageError

IMAGES = ("image", "img")  # the second, and fine_label, are the names in the Hub's CIFAR-10 and CIFAR-100
LABELS = ("label", "fine_label")
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a parquet file: its number in the file, its row group, its number in that."""

    number: int
    block: int
    place: int

    together: ClassVar[int] = 2  # row groups whose pictures are mixed: as many as are kept, or each would be read again

    def __str__(self) -> str:
        return f"row {self.number}"

    def read(self, path: Place, *, ahead: bool = False) -> bytes:  # noqa: ARG002, a row group is read as a whole
        """The bytes of its picture; none if the file holds only a path."""
        version = (0, 0)  # of a remote file: to ask for it would be another request for each picture
        if isinstance(path, Path):
            found = path.stat()
            version = found.st_mtime_ns, found.st_size
        with _LOCK:  # or threads that wait for the same row group would each read it
            pictures = row_group(path, version, self.block)
        return pictures[self.place].as_py() or b""


class Listing(NamedTuple):
    """Pictures with their labels, a line for each thing that cannot be used, and names for labels that are numbers."""

    pictures: list[tuple[str | int | None, Row]]
    bad: list[str]
    names: list[str]


def list_pictures(path: Place, *, labelled: bool = True) -> Listing:
    """What a parquet file holds; not `labelled`: whether it has labels or not.

    Raises:
        DataError: it is none, or lacks the columns image and label; or the network failed.
        MissingInputError: it is not there.
        UsageError: pyarrow is not installed.
    """
    arrow, _ = _pyarrow()
    try:
        with _open(path) as file:
            schema = file.schema_arrow
            image, label = _column(schema, IMAGES), _column(schema, LABELS)
            if not labelled and image and _holds_bytes(arrow.types, image.type):
                return Listing(list(_without_labels(file)), [], [])
            if not (image and label and _holds_bytes(arrow.types, image.type) and _is_label(arrow.types, label.type)):
                raise DataError(
                    f"{path}: columns {', '.join(f'{field.name} ({field.type})' for field in schema)}; expected image, "
                    "a struct of bytes and path or binary, and label, a number or text"
                )
            found = Listing([], [], _names_inside(schema.metadata or {}, label.name))
            for group in range(file.num_row_groups):
                values = file.read_row_group(group, columns=[label.name], use_threads=False).column(0).to_pylist()
                first = len(found.pictures)
                found.pictures.extend((value, Row(first + i, group, i)) for i, value in enumerate(values))
            return found
    except FileNotFoundError:
        raise MissingInputError(f"{path} is not there") from None
    except UnreachableError as error:
        raise DataError(f"{path}: {error}; try again when it can be reached") from None
    except (OSError, ValueError) as error:  # pyarrow's own are of these kinds
        raise DataError(f"{path}: not a parquet file that can be read ({error}); copy it again") from error


def _without_labels(file: Any) -> Iterator[tuple[None, Row]]:
    number = 0
    for group in range(file.num_row_groups):
        for place in range(file.metadata.row_group(group).num_rows):
            yield None, Row(number, group, place)
            number += 1


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("reading parquet files needs pyarrow: pip install 'torchinception[shards]'") from None
    return pyarrow, pyarrow.parquet


def _open(path: Place) -> Any:
    _, parquet = _pyarrow()
    return parquet.ParquetFile(path if isinstance(path, Path) else RemoteFile(path, ahead=False))


def _column(schema: Any, names: tuple[str, ...]) -> Any:
    """The field of the first name that is there, or None."""
    return next((schema.field(name) for name in names if name in schema.names), None)


def _holds_bytes(types: Any, kind: Any) -> bool:
    if types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(types, field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_label(types: Any, kind: Any) -> bool:
    if types.is_dictionary(kind):
        return _is_label(types, kind.value_type)
    return bool(types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind))


def _names_inside(metadata: dict[bytes, bytes], label: str) -> list[str]:
    """The names that Hugging Face's `datasets` writes into the schema for a ClassLabel."""
    try:
        return list(json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"])
    except (KeyError, TypeError, ValueError):
        return []


@lru_cache(maxsize=2)
def row_group(path: Place, _version: tuple[int, int], group: int) -> Any:
    """The pictures' bytes, as a column; time and size tell a changed file on this machine from the one before."""
    with _open(path) as file:
        image = _column(file.schema_arrow, IMAGES)
        column = f"{image.name}.bytes" if image.type.num_fields else image.name
        return file.read_row_group(group, columns=[column], use_threads=False).flatten().column(0)

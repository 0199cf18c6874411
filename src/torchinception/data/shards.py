"""Pictures inside tar and parquet files, read by position and never unpacked.

A tar is indexed once, from beginning to end; afterwards each picture is one read at its offset. Of a parquet
file one row group is read at a time, and each process keeps the last two.
"""

import json
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from torchinception.data.images import MAX_BYTES, Picture, load_image
from torchinception.errors import DataError, ImageError, UsageError

SUFFIXES = (".tar", ".parquet")
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4")
PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "gif")
NAMES = "classes.txt"
MAX_LABEL_BYTES = 1000
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file in a tar: where its bytes begin, and how many there are."""

    name: str
    offset: int
    size: int

    together: ClassVar[int] = 16  # shards whose pictures are mixed: any offset is a read as cheap as another
    block: ClassVar[int] = 0

    def __str__(self) -> str:
        return self.name

    def read(self, path: Path) -> bytes:
        """Its bytes. The tar is opened anew each time, as a picture's own file would be: nothing is shared by forks."""
        with path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a parquet file: its number in the file, its row group, its number in that."""

    number: int
    block: int
    place: int

    together: ClassVar[int] = 2  # row groups whose pictures are mixed: as many as are kept, or each would be read again

    def __str__(self) -> str:
        return f"row {self.number}"

    def read(self, path: Path) -> bytes:
        """The bytes of its picture; none if the file holds only a path."""
        found = path.stat()
        with _LOCK:  # or threads that wait for the same row group would each read it
            pictures = _row_group(path, found.st_mtime_ns, found.st_size, self.block)
        return pictures[self.place].as_py() or b""


Member = TarMember | Row


class Found(NamedTuple):
    """What a shard holds: pictures with the name of their class, and a line for each thing that cannot be used."""

    members: list[tuple[str, Member]]
    bad: list[str]


def read_member(path: Path, member: Member) -> bytes:
    """The bytes of a picture in a shard.

    Raises:
        ImageError: the shard is gone or damaged.
    """
    try:
        return member.read(path)
    except FileNotFoundError:
        raise ImageError(f"{path}: {member}", "missing", "the shard is gone; check the path") from None
    except (OSError, ValueError, LookupError) as error:
        raise ImageError(f"{path}: {member}", "unreadable", f"{error}; copy the shard again") from error


def decode_member(path: Path, member: Member, content: bytes) -> Picture:
    """`load_image`, with shard and member in its error."""
    try:
        return load_image(content)
    except ImageError as error:
        raise ImageError(f"{path}: {member}", error.reason, error.advice) from None


def index(path: Path) -> Found:
    """List the pictures of a shard and their classes, without decoding any.

    Raises:
        DataError: the file is no such shard, is cut off, or lacks what labels its pictures.
        UsageError: the package that reads parquet files is not installed.
    """
    return (_index_tar if path.suffix.lower() == ".tar" else _index_parquet)(path, _class_names(path.parent))


def _class_names(folder: Path) -> list[str]:
    """Of the file beside the shards, or in the folder above (that of train/ and val/); none if there is no such."""
    place = next((p for p in (folder / NAMES, folder.parent / NAMES) if p.is_file()), None)
    if place is None:
        return []
    try:
        names = [line.strip() for line in place.read_text("utf-8").rstrip().split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{place}: {error}; expected the names of the classes as UTF-8, one a line") from error
    if "" in names or len(set(names)) < len(names):
        raise DataError(f"{place}: a name is empty or there twice; expected the names of the classes, one a line")
    return names


def _name(label: str | int | None, names: list[str]) -> str:
    """The class that a label stands for; ValueError if it is none."""
    if label is None or label == "":
        raise ValueError("no label; write a class or its number")
    if isinstance(label, str):
        return label
    if label < 0:
        raise ValueError(f"label {label} means none; leave such pictures out")
    if names and label >= len(names):
        raise ValueError(f"label {label}, but there are {len(names)} names of classes, counted from 0")
    return names[label] if names else str(label)


def _index_tar(path: Path, names: list[str]) -> Found:
    labels: dict[str, str | int] = {}  # by key
    files: list[TarMember] = []
    bad: list[str] = []
    try:
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                tar.members = []  # type: ignore[attr-defined]  # it would keep every header
                name = PurePosixPath(info.name)
                if info.isdir() or any(part.startswith(".") for part in name.parts):  # as in folders
                    continue
                if not info.isreg() or info.issparse() or info.size > MAX_BYTES:
                    advice = f"a link, a device, sparse, or above {MAX_BYTES:,} bytes; pack plain files"
                    bad.append(f"{path}: {name}: {advice}")
                elif name.suffix.lower() == ".cls" and info.size <= MAX_LABEL_BYTES:
                    content = tar.extractfile(info)
                    assert content
                    text = content.read().decode("utf-8", "replace").strip()
                    labels[_key(name)[0]] = int(text) if re.fullmatch(r"-?[0-9]+", text) else text
                else:
                    files.append(TarMember(str(name), info.offset_data, info.size))
            with path.open("rb") as file:
                file.seek(tar.offset)
                ended = file.read(512) == bytes(512)  # tarfile takes a damaged header for the end
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{path}: not a plain tar ({error}); unpack a compressed one first (gunzip): "
            "its pictures could not be read in any order. Copy a broken one again"
        ) from error
    if not ended:
        raise DataError(f"{path}: a tar without its end, cut off or damaged; copy or pack it again")
    found = Found([], bad)
    pictures = _with_keys(path, files, labels, bad) if labels else _in_folders(path, files, bad)
    for label, member in pictures:
        try:
            found.members.append((_name(label, names), member))
        except ValueError as error:
            found.bad.append(f"{path}: {member}: {error}")
    return found


def _key(name: PurePosixPath) -> tuple[str, str]:
    """WebDataset's: the name up to the first dot is the key, the rest says what it is."""
    stem, _, kind = name.name.partition(".")
    return str(name.parent / stem), kind.lower()


def _with_keys(
    path: Path, files: list[TarMember], labels: dict[str, str | int], bad: list[str]
) -> Iterator[tuple[str | int, TarMember]]:
    """Pictures with the label in the .cls beside them; other members of a key are left alone."""
    left = dict(labels)
    for member in files:
        key, kind = _key(PurePosixPath(member.name))
        if kind not in PICTURES:
            continue
        if key in left:
            yield left.pop(key), member
        else:
            bad.append(f"{path}: {member}: {'a second picture for' if key in labels else 'no'} {key}.cls")
    bad += [f"{path}: {key}.cls: no picture; beside it one of {', '.join(PICTURES)} is expected" for key in left]


def _in_folders(path: Path, files: list[TarMember], bad: list[str]) -> Iterator[tuple[str | int, TarMember]]:
    for member in files:
        name = PurePosixPath(member.name)
        if name.suffix.lower() in (".json", ".txt"):
            continue
        if len(name.parts) == 2:
            yield name.parts[0], member
        else:
            bad.append(f"{path}: {member}: expected CLASS/PICTURE, or KEY.png with KEY.cls")


def _index_parquet(path: Path, names: list[str]) -> Found:
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            kinds = {field.name: field.type for field in schema}
            image, label = (kinds.get(name, arrow.null()) for name in ("image", "label"))
            if not (_holds_bytes(arrow.types, image) and _is_label(arrow.types, label)):
                raise DataError(
                    f"{path}: columns {', '.join(f'{k} ({v})' for k, v in kinds.items())}; expected image, "
                    "a struct of bytes and path or binary, and label, a number or text"
                )
            names = _names_inside(schema.metadata or {}) or names
            found, number = Found([], []), 0
            for group in range(file.num_row_groups):
                values = file.read_row_group(group, columns=["label"], use_threads=False).column(0).to_pylist()
                for place, value in enumerate(values):
                    row = Row(number, group, place)
                    number += 1
                    try:
                        found.members.append((_name(value, names), row))
                    except ValueError as error:
                        found.bad.append(f"{path}: {row}: {error}")
            return found
    except (OSError, ValueError) as error:  # pyarrow's own are of these kinds
        raise DataError(f"{path}: not a parquet file that can be read ({error}); copy it again") from error


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("reading parquet files needs pyarrow: pip install 'torchinception[shards]'") from None
    return pyarrow, pyarrow.parquet


def _holds_bytes(types: Any, kind: Any) -> bool:
    if types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(types, field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_label(types: Any, kind: Any) -> bool:
    if types.is_dictionary(kind):
        return _is_label(types, kind.value_type)
    return bool(types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind))


def _names_inside(metadata: dict[bytes, bytes]) -> list[str]:
    """The names that Hugging Face's `datasets` writes into the schema for a ClassLabel."""
    try:
        return list(json.loads(metadata[b"huggingface"])["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, ValueError):
        return []


@lru_cache(maxsize=2)
def _row_group(path: Path, _mtime_ns: int, _size: int, group: int) -> Any:
    """The pictures' bytes, as a column; the time and the size tell a changed file from the one before."""
    _, parquet = _pyarrow()
    with parquet.ParquetFile(path) as file:
        column = "image.bytes" if file.schema_arrow.field("image").type.num_fields else "image"
        return file.read_row_group(group, columns=[column], use_threads=False).flatten().column(0)

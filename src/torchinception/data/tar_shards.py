"""Tar shards: indexed once from beginning to end; afterwards each picture is one read at its offset."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar, NamedTuple, cast

from torchinception.data.file_systems import UnreachableError
from torchinception.data.images import MAX_BYTES, readable_suffixes
from torchinception.data.remote import Place, RemoteFile, RemotePath
from torchinception.errors import DataError, MissingInputError, SaveError
from torchinception.files import cache_folder, write_atomically

MAX_LABEL_BYTES = 1000
INDEX_VERSION = 1


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

    def read(self, path: Place, *, ahead: bool = False) -> bytes:
        """Its bytes. The tar is opened anew each time, as a picture's own file would be: nothing is shared by forks."""
        if isinstance(path, RemotePath):
            return (path.read_ahead if ahead else path.read)(self.offset, self.size)
        with path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            return file.read(self.size)


class Contents(NamedTuple):
    """The files of a tar that may be pictures, the labels in it by key, and a line for each thing that is neither."""

    files: list[TarMember]
    labels: dict[str, str | int]
    bad: list[str]


class Listing(NamedTuple):
    """Pictures with their labels, a line for each thing that cannot be used, and names for labels that are numbers."""

    pictures: list[tuple[str | int, TarMember]]
    bad: list[str]
    names: list[str]


def list_pictures(path: Place, *, labelled: bool = True) -> Listing:
    """What a tar holds: WebDataset's layout if there is any .cls in it, else CLASS/PICTURE; or pictures by suffix.

    Raises:
        DataError: the file is no plain tar, or is cut off; or the network failed.
        MissingInputError: it is not there.
    """
    files, labels, bad = _remote_contents(path) if isinstance(path, RemotePath) else _local_contents(path)
    if not labelled:
        suffixes = readable_suffixes()
        found = [member for member in files if PurePosixPath(member.name).suffix.lower() in suffixes]
        return Listing([("", member) for member in found], bad, [])
    pictures = list(_with_keys(path, files, labels, bad) if labels else _in_folders(path, files, bad))
    return Listing(pictures, bad, [])


def _local_contents(path: Path) -> Contents:
    try:
        with path.open("rb") as file:
            return _read_contents(path, file)
    except FileNotFoundError:
        raise MissingInputError(f"{path} is not there") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; copy it again") from error


def _remote_contents(path: RemotePath) -> Contents:
    """Remembered in the cache folder for as long as size and version of the file are the same."""
    try:
        identity = path.identify()
        key = f"{INDEX_VERSION} {identity}"
        place = cache_folder() / "indexes" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
        if identity and (known := _recall(place)):
            return known
        path.read(1, 1)  # a server that cannot serve parts says so here, not in the middle of training
        contents = _read_contents(path, cast("BinaryIO", io.BufferedReader(RemoteFile(path, ahead=True), 1 << 16)))
    except FileNotFoundError:
        raise MissingInputError(f"{path} is not there") from None
    except OSError as error:
        later = "; try again when it can be reached" if isinstance(error, UnreachableError) else ""
        raise DataError(f"{path}: {error}{later}") from None
    if identity:
        _remember(place, contents)
    return contents


def _recall(place: Path) -> Contents | None:
    try:
        found = json.loads(place.read_bytes())
        return Contents([TarMember(*values) for values in found["files"]], found["labels"], found["bad"])
    except (OSError, ValueError, TypeError, KeyError):
        return None  # it can be made again


def _remember(place: Path, contents: Contents) -> None:
    found = dict(files=[astuple(member) for member in contents.files], labels=contents.labels, bad=contents.bad)
    try:
        write_atomically(place, json.dumps(found))
    except SaveError:
        return  # the next start reads the tar once more


def _read_contents(path: Place, file: BinaryIO) -> Contents:
    found = Contents([], {}, [])
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                tar.members = []  # type: ignore[attr-defined]  # it would keep every header
                _sort_in(path, tar, info, found)
        file.seek(tar.offset)
        ended = file.read(512) == bytes(512)  # tarfile takes a damaged header for the end
    except (tarfile.TarError, EOFError) as error:
        raise DataError(
            f"{path}: not a plain tar ({error}); unpack a compressed one first (gunzip): "
            "its pictures could not be read in any order. Copy a broken one again"
        ) from error
    if not ended:
        raise DataError(f"{path}: a tar without its end, cut off or damaged; copy or pack it again")
    return found


def _sort_in(path: Place, tar: tarfile.TarFile, info: tarfile.TarInfo, found: Contents) -> None:
    name = PurePosixPath(info.name)
    if info.isdir() or any(part.startswith(".") for part in name.parts):  # as in folders
        return
    if not info.isreg() or info.issparse() or info.size > MAX_BYTES:
        advice = f"a link, a device, sparse, or above {MAX_BYTES:,} bytes; pack plain files"
        found.bad.append(f"{path}: {name}: {advice}")
    elif name.suffix.lower() == ".cls" and info.size <= MAX_LABEL_BYTES:
        content = tar.extractfile(info)
        assert content
        text = content.read().decode("utf-8", "replace").strip()
        found.labels[_key(name)[0]] = int(text) if re.fullmatch(r"-?[0-9]+", text) else text
    else:
        found.files.append(TarMember(str(name), info.offset_data, info.size))


def _key(name: PurePosixPath) -> tuple[str, str]:
    """WebDataset's: the name up to the first dot is the key, the rest says what it is."""
    stem, _, kind = name.name.partition(".")
    return str(name.parent / stem), kind.lower()


def _with_keys(
    path: Place, files: list[TarMember], labels: dict[str, str | int], bad: list[str]
) -> Iterator[tuple[str | int, TarMember]]:
    """Pictures with the label in the .cls beside them; other members of a key are left alone."""
    left = dict(labels)
    for member in files:
        key, kind = _key(PurePosixPath(member.name))
        if f".{kind}" not in readable_suffixes():
            continue
        if key in left:
            yield left.pop(key), member
        else:
            bad.append(f"{path}: {member}: {'a second picture for' if key in labels else 'no'} {key}.cls")
    bad += [
        f"{path}: {key}.cls: no picture; beside it one of {', '.join(readable_suffixes())} is expected" for key in left
    ]


def _in_folders(path: Place, files: list[TarMember], bad: list[str]) -> Iterator[tuple[str | int, TarMember]]:
    for member in files:
        name = PurePosixPath(member.name)
        if name.suffix.lower() in (".json", ".txt"):
            continue
        if len(name.parts) == 2:
            yield name.parts[0], member
        else:
            bad.append(f"{path}: {member}: expected CLASS/PICTURE, or KEY.png with KEY.cls")

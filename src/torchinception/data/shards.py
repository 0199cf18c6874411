"""Pictures inside tar and parquet files, here or behind a URL, read by position and never unpacked."""

from pathlib import Path
from typing import NamedTuple

from PIL import Image

from torchinception.data import parquet_shards, tar_shards
from torchinception.data.file_systems import UnreachableError
from torchinception.data.images import open_image
from torchinception.data.parquet_shards import Row
from torchinception.data.remote import Place, RemotePath
from torchinception.data.tar_shards import TarMember
from torchinception.errors import DataError, ImageError

SUFFIXES = (".tar", ".parquet")
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4")
NAMES = "classes.txt"

Member = TarMember | Row


class Found(NamedTuple):
    """What a shard holds: pictures with the name of their class, and a line for each thing that cannot be used."""

    members: list[tuple[str, Member]]
    bad: list[str]


def read_member(path: Place, member: Member, *, ahead: bool = False) -> bytes:
    """The bytes of a picture in a shard. `ahead`: of a remote tar, read what is next too, for reading in order.

    Raises:
        ImageError: the shard is gone or damaged, or the network failed.
    """
    try:
        return member.read(path, ahead=ahead)
    except FileNotFoundError:
        raise ImageError(f"{path}: {member}", "missing", "the shard is gone; check the path") from None
    except UnreachableError as error:
        raise ImageError(f"{path}: {member}", "unreachable", f"{error}; go on when the network is back") from None
    except (OSError, ValueError, LookupError) as error:
        raise ImageError(f"{path}: {member}", "unreadable", f"{error}; copy the shard again") from error


def decode_member(path: Place, member: Member, content: bytes, least: int | None = None) -> Image.Image:
    """`open_image`, with shard and member in its error."""
    try:
        return open_image(content, least=least)
    except ImageError as error:
        raise ImageError(f"{path}: {member}", error.reason, error.advice) from None


def index(path: Place, *, labelled: bool = True) -> Found:
    """List the pictures of a shard and their classes, without decoding any; or without classes, which are "" then.

    Raises:
        DataError: the file is no such shard, is cut off, or lacks what labels its pictures; or the network failed.
        MissingInputError: it is not there.
        UsageError: the package that reads parquet files is not installed.
    """
    if isinstance(path, RemotePath):
        path.forget()
    parquet_shards.row_group.cache_clear()
    kind = tar_shards if path.suffix.lower() == ".tar" else parquet_shards
    listing = kind.list_pictures(path, labelled=labelled)
    if not labelled:
        return Found([("", member) for _, member in listing.pictures], list(listing.bad))
    names = listing.names
    if not names and any(isinstance(label, int) for label, _ in listing.pictures):
        names = _class_names(path.parent)
    found = Found([], list(listing.bad))
    for label, member in listing.pictures:
        try:
            found.members.append((_name(label, names), member))
        except ValueError as error:
            found.bad.append(f"{path}: {member}: {error}")
    return found


def _class_names(folder: Place) -> list[str]:
    """Of the file beside the shards, or in the folder above (that of train/ and val/); none if there is no such."""
    for place in (folder / NAMES, folder.parent / NAMES):
        try:
            names = [line.strip() for line in _text(place).rstrip().split("\n")]
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{place}: {error}; expected the names of the classes as UTF-8, one a line") from error
        if "" in names or len(set(names)) < len(names):
            raise DataError(f"{place}: a name is empty or there twice; expected the names of the classes, one a line")
        return names
    return []


def _text(place: Place) -> str:
    return place.read_text("utf-8") if isinstance(place, Path) else place.read_text()


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

"""Shards named by a pattern or a URL: `train-{0000..0007}.tar`, `shards/*.parquet`, `s3://bucket/flowers/`."""

import math
import re
from collections.abc import Container, Sequence
from glob import glob
from pathlib import Path

from torchinception.data.file_systems import hide_secrets
from torchinception.data.remote import Place, RemotePath, as_path, is_remote, with_slashes
from torchinception.data.shards import COMPRESSED, SUFFIXES
from torchinception.errors import DataError, MissingInputError, UsageError

MOST = 1_000_000  # names of one pattern
_BRACES = re.compile(r"\{([^{}]*)\}")
_WILD = re.compile(r"[*\[]")
_RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")


def names_shards(data: str | Path | RemotePath) -> bool:
    """Whether `data` is a URL, or a pattern of shards on this machine; else it is a path."""
    if isinstance(data, RemotePath) or is_remote(data):
        return True
    return Path(data).suffix.lower() in SUFFIXES and bool(re.search(r"[*{\[]", str(data))) and not Path(data).exists()


def name_shards(data: str | Path | RemotePath) -> str:
    """What to call them: their own name without its suffix, or that of their folder if there are several.

    >>> name_shards("s3://bucket/flowers/train-{0000..0007}.tar"), name_shards("https://host/flowers.tar?signature")
    ('flowers', 'flowers')
    """
    text = with_slashes(data)
    path = RemotePath(text) if is_remote(data) else Path(text).absolute()
    while re.search(r"[*{\[]", path.name) and path != path.parent:
        path = path.parent
    name = path.stem if path.suffix.lower() in SUFFIXES else path.name
    if isinstance(path, RemotePath):  # a host may have a password in front and a port behind
        name = re.sub(r"[^\w.-]+", "-", name.rpartition("@")[2])
    return name or "shards"


def find_shards(data: str | Path | RemotePath, splits: Container[str]) -> list[Place]:
    """The shards that a URL or pattern stands for, in a stable order; files of other kinds are left alone.

    Of a URL that is a folder: those directly in it, or else in its folders that are called as one of `splits`.

    Raises:
        MissingInputError: there are none.
        DataError: a shard is compressed.
        UsageError: the file system cannot list what it has, or a package for it is not installed.
    """
    named = as_path(data)
    found: list[Place] = []
    if isinstance(named, RemotePath):
        for text in expand(named.url):
            found += _remote(RemotePath(text), splits)
    else:
        for text in expand(str(named)):
            found += map(Path, sorted(glob(text)) if _WILD.search(text) else [text])  # noqa: PTH207, absolute ones too
    if not found:
        raise MissingInputError(f"no shards at {named}; expected {' or '.join('*' + s for s in SUFFIXES)} there")
    return list(dict.fromkeys(found))


def common_folder(paths: Sequence[Place]) -> Place:
    """The innermost folder that all of them are in, at whatever depth."""
    around = [_folders_around(path) for path in paths]
    return next((folder for folder in around[0] if all(folder in others for others in around)), paths[0].parent)


def _folders_around(path: Place) -> list[Place]:
    """The innermost first."""
    found = [path.parent]
    while found[-1] != found[-1].parent:
        found.append(found[-1].parent)
    return found


def expand(text: str) -> list[str]:
    """WebDataset's braces, ranges and lists.

    >>> expand("{train,val}-{08..10}.tar")[:4]
    ['train-08.tar', 'train-09.tar', 'train-10.tar', 'val-08.tar']

    Raises:
        UsageError: a brace without its other, or more than a million names.
    """
    if math.prod(len(_options(inside)) for inside in _BRACES.findall(text)) > MOST:
        raise UsageError(f"{hide_secrets(text)} stands for more than {MOST:,} names")
    found = _BRACES.search(text)
    if found:
        ends = text[: found.start()], text[found.end() :]
        names = [name for option in _options(found[1]) for name in expand(ends[0] + option + ends[1])]
        return list(dict.fromkeys(names))  # what lies around inner braces comes once for each of these
    if "{" in text or "}" in text:
        raise UsageError(f"{hide_secrets(text)} has a brace without its other; expected {{0000..0007}} or {{a,b}}")
    return [text]


def _options(inside: str) -> Sequence[str]:
    found = _RANGE.fullmatch(inside)
    if not found:
        return inside.split(",")
    first, last = int(found[1]), int(found[2])
    if last < first or last - first >= MOST:
        raise UsageError(f"{{{inside}}} counts from {first} to {last}; expected up, and at most {MOST:,} numbers")
    return [f"{number:0{len(found[1])}}" for number in range(first, last + 1)]


def _remote(path: RemotePath, splits: Container[str]) -> list[RemotePath]:
    wild = _WILD.search(path.url)
    if not wild and path.suffix.lower() in SUFFIXES:
        return [path]
    if path.name.lower().endswith(COMPRESSED):
        raise DataError(f"{path}: compressed, so that its pictures cannot be read in any order; unpack it first")
    if re.search(r"(^|::)https?://", path.url):
        raise UsageError(f"{path}: a web server lists no files; name the shards, as in …/train-{{0000..0007}}.tar")
    if wild is None:
        return _shards_in(path) or [s for n in path.list_names() if n.lower() in splits for s in _shards_in(path / n)]
    folder = RemotePath(path.url[: path.url.rindex("/", 0, wild.start()) + 1])
    pattern = path.url.removeprefix(folder.url)
    if "**" in pattern or "::" in pattern:
        raise UsageError(f"{path}: * stands for a part of one name, in the last of chained URLs")
    return _only_shards(folder, folder.list_names(pattern))


def _shards_in(folder: RemotePath) -> list[RemotePath]:
    return _only_shards(folder, folder.list_names())


def _only_shards(folder: RemotePath, names: list[str]) -> list[RemotePath]:
    return [folder / name for name in names if name.lower().endswith(SUFFIXES)]

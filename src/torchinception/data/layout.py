"""What lies where under the folder that a user names: class folders, shards, splits, and what is in the way."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from torchinception.data import shards
from torchinception.data.patterns import find_shards, names_shards
from torchinception.data.remote import Place, RemotePath
from torchinception.errors import DataError, MissingInputError
from torchinception.progress import Listener

SPLITS = {  # folder names, or words in the names of shards, in any case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
IGNORED = {"thumbs.db", "desktop.ini"}  # besides everything that begins with a dot


class Candidate(NamedTuple):
    """A picture, not yet looked at, and the name of its class."""

    split: str
    path: Place
    name: str
    member: shards.Member | None = None  # of the shard at `path`


@dataclass
class Layout:
    """Pictures, in a stable order; the classes' names; and a line for each thing that cannot be used."""

    splits: list[str]
    candidates: list[Candidate] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    bad: list[str] = field(default_factory=list)


def lay_out(root: Place, listener: Listener) -> Layout:
    """Find every picture under `root`, which is a folder, a shard, or a pattern or URL of shards, without decoding any.

    Raises:
        MissingInputError: `root` is not there.
        DataError: shards that cannot be read, or that are mixed with pictures or folders of them.
        UsageError: the package that reads parquet files is not installed.
    """
    files, folders = _named(root) if isinstance(root, RemotePath) or names_shards(root) else _parts(root)
    found = Layout([*files, *folders])
    _add_shards(found, [(split, path) for split, some in files.items() for path in some], listener)
    for split, part in folders.items():
        for folder in _folders(part):
            found.classes.add(folder.name)
            found.candidates += [Candidate(split, path, folder.name) for path in _files(folder, recursive=True)]
    if isinstance(root, RemotePath):
        return found
    stray = [p for place in {root, *folders.values()} for p in _files(place, recursive=False)] if folders else []
    stray = [path for path in stray if path not in folders.values()]  # links to folders of splits
    if root.is_dir() and "all" not in found.splits and not _shards_in(root):
        stray += [d for d in _folders(root) if d.name.lower() not in SPLITS]
    beside = f" ({', '.join(d.name for d in folders.values())} was read as a split, not as a class)"
    advice = "outside any class folder; move or remove it" + (beside if folders and "all" not in folders else "")
    found.bad += [f"{path}: {advice}" for path in sorted(stray) if not (files and path.name == shards.NAMES)]
    return found


def _add_shards(found: Layout, files: list[tuple[str, Place]], listener: Listener) -> None:
    for done, (split, path) in enumerate(files, 1):
        members, bad = shards.index(path)
        found.candidates += [Candidate(split, path, name, member) for name, member in members]
        found.classes |= {name for name, _ in members}
        found.bad += bad
        listener.progress("Reading shards", done, len(files))


def _named(root: Place) -> tuple[dict[str, list[Place]], dict[str, Path]]:
    """The shards that a pattern or URL stands for."""
    found = find_shards(root, SPLITS)
    return _by_split(found, with_folders=True) if len(found) > 1 else {"all": found}, {}


def _parts(root: Path) -> tuple[dict[str, list[Place]], dict[str, Path]]:
    """The shards of each split, and of splits without such the folder of class folders."""
    if root.is_file() and (single := _shards_of([root])):
        return {"all": single}, {}
    if not root.is_dir():
        raise MissingInputError(
            f"no folder at {root}; expected a folder with one folder of pictures per class, or shards (tar, parquet)"
        )
    if flat := _shards_in(root):
        return _by_split(flat), {}
    parts = {SPLITS[d.name.lower()]: d for d in _folders(root) if d.name.lower() in SPLITS} or {"all": root}
    files = {split: found for split, part in parts.items() if (found := _shards_in(part))}
    return files, {split: part for split, part in parts.items() if split not in files}


def _shards_in(place: Path) -> list[Place]:
    """The shards that lie directly in a folder; files of other kinds beside them are left alone, but not pictures."""
    files = _files(place, recursive=False)
    found = _shards_of(files)
    mixed = [p.name for p in files if p.suffix.lower()[1:] in shards.PICTURES] + [d.name for d in _folders(place)]
    if found and mixed:
        raise DataError(f"{place} holds shards ({found[0].name}) and besides {mixed[0]}; keep one kind, move the other")
    return found


def _shards_of(files: list[Path]) -> list[Place]:
    for path in files:
        if path.name.lower().endswith(shards.COMPRESSED):
            raise DataError(
                f"{path}: compressed, so that its pictures cannot be read in any order; unpack it, as with gunzip"
            )
    return [path for path in files if path.suffix.lower() in shards.SUFFIXES]


def _by_split(files: list[Place], *, with_folders: bool = False) -> dict[str, list[Place]]:
    """By the word in each name that is a split's, as in `train-00000-of-00002.parquet`; without any, all are `all`.

    `with_folders`: a name without such a word is as if it had that of its folder.
    """
    splits: dict[str, list[Place]] = {}
    for path in files:
        words = {SPLITS[word] for word in re.split(r"[-_.]", path.stem.lower()) if word in SPLITS}
        if with_folders and not words and path.parent.name.lower() in SPLITS:
            words = {SPLITS[path.parent.name.lower()]}
        splits.setdefault(" and ".join(sorted(words)) or "all", []).append(path)
    unclear = next((split for split in splits if " " in split or (split == "all" and len(splits) > 1)), None)
    if unclear:
        raise DataError(
            f"{splits[unclear][0]}: its name must say one split, as the others' do; expected train-….tar, val-….tar"
        )
    return splits


def _folders(place: Path) -> list[Path]:
    return sorted(d for d in place.iterdir() if d.is_dir() and not d.name.startswith("."))


def _files(place: Path, *, recursive: bool) -> list[Path]:
    """All but hidden and the system's own; a linked folder counts as a file, or it would be left out in silence."""
    return [
        path
        for path in sorted(place.rglob("*") if recursive else place.iterdir())
        if (path.is_symlink() or not path.is_dir())
        and path.name.lower() not in IGNORED
        and not any(part.startswith(".") for part in path.relative_to(place).parts)
    ]

"""What lies where under the folder that a user names: class folders, shards, splits, and what is in the way."""

import re
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from torchinception.data import manifest, shards
from torchinception.data.images import readable_suffixes
from torchinception.data.manifest import SPLITS
from torchinception.data.patterns import common_folder, find_shards, names_shards
from torchinception.data.remote import Place, RemotePath
from torchinception.data.samples import Places
from torchinception.data.walk import Identity, Listing, identify, look, show, show_place, walk
from torchinception.errors import DataError, MissingInputError
from torchinception.progress import Listener

EXPECTED = "expected a folder with one folder of pictures per class, shards (tar, parquet), or a table (csv, parquet)"
JOINERS = dict.fromkeys((0x200C, 0x200D))  # invisible, but parts of words and of emoji


class Candidate(NamedTuple):
    """A picture, not yet looked at, and the name of its class."""

    split: str
    path: Place
    name: str
    member: shards.Member | None = None  # of the shard at `path`

    @property
    def place(self) -> str:
        """The path, and the name in the shard, in one line."""
        return show_place(self.path, self.member)


@dataclass
class Part:
    """The pictures of a split, in a stable order, and of each the number of its class in `Layout.classes`."""

    places: Places
    class_of: "array[int]" = field(default_factory=lambda: array("i"))


@dataclass
class Layout:
    """Splits; classes in the order they were found; and a line for each thing that cannot be used.

    `root` is what names of pictures begin at. `bad` are single files and the like; `misplaced` is what may
    hold many pictures, or shows that others are meant than were found.
    """

    root: Place
    parts: dict[str, Part] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)

    def part(self, split: str) -> Part:
        """That of a split, new if there is none."""
        return self.parts.setdefault(split, Part(Places(self.root)))

    def number(self, name: str) -> int:
        """That of a class, new if there is none."""
        return self.classes.setdefault(name, len(self.classes))

    @property
    def candidates(self) -> Iterator[Candidate]:
        """Every picture, split by split."""
        names = list(self.classes)
        for split, part in self.parts.items():
            for index, number in enumerate(part.class_of):
                path, member = part.places[index]
                yield Candidate(split, path, names[number], member)


def lay_out(root: Place, listener: Listener) -> Layout:
    """Find every picture under `root`, a folder, a shard, a pattern or URL of shards, or a table, without decoding any.

    Raises:
        MissingInputError: `root` is not there.
        DataError: shards or a table that cannot be read, shards mixed with pictures, two folders for one split, or
            two classes whose names look alike.
        UsageError: the package that reads parquet files is not installed.
    """
    if isinstance(root, RemotePath) or names_shards(root):
        found = _from_names(root, listener)
        _check_names(root, list(found.classes))
        return found
    try:
        root.stat()
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        why = getattr(error, "strerror", None) or error
        raise MissingInputError(f"no folder at {show(root)} ({why}); {EXPECTED}") from None
    if root.is_file() and manifest.is_manifest(root):
        found = _from_manifest(root)
    else:
        files, folders = _parts(root)
        found = Layout(root)
        for split in (*files, *folders):
            found.part(split)
        _add_shards(found, [(split, path) for split, some in files.items() for path in some], listener)
        _add_folders(found, root, folders)
        if root.is_dir():
            _add_strays(found, root, files, folders)
    _check_names(root, list(found.classes))
    return found


def natural(name: str) -> tuple[list[tuple[int, str] | str], str]:
    """A key to sort by such that class2 comes before class10.

    >>> sorted(["class10", "class2", "Class3", "class02"], key=natural)
    ['Class3', 'class02', 'class2', 'class10']
    """
    pieces = re.split("([0-9]+)", name)  # text, digits, text, …
    return [(len(p.lstrip("0")), p.lstrip("0")) if place % 2 else p for place, p in enumerate(pieces)], name


def _from_names(root: Place, listener: Listener) -> Layout:
    """The shards that a pattern or URL stands for."""
    named = find_shards(root, SPLITS)
    files = _by_split(named, with_folders=True) if len(named) > 1 else {"all": named}
    found = Layout(common_folder(named))
    for split in files:
        found.part(split)
    _add_shards(found, [(split, path) for split, some in files.items() for path in some], listener)
    return found


def _from_manifest(path: Path) -> Layout:
    rows, bad = manifest.read(path)
    found = Layout(path.parent, bad=bad)
    for row in rows:
        part = found.part(row.split)
        part.places.add_file(row.path)
        part.class_of.append(found.number(row.label))
    return found


def _add_shards(found: Layout, files: list[tuple[str, Place]], listener: Listener) -> None:
    for done, (split, path) in enumerate(files, 1):
        members, bad = shards.index(path)
        part = found.part(split)
        for name, member in members:
            part.places.add_member(path, member)
            part.class_of.append(found.number(name))
        found.bad += bad
        listener.progress("Reading shards", done, len(files))


def _add_folders(found: Layout, root: Path, folders: dict[str, Path]) -> None:
    met: dict[Identity, Path] = {}
    for split, place in folders.items():
        part = found.part(split)
        for name in look(place).folders:
            folder = place / name
            first = met.setdefault(identify(folder), folder)
            if first != folder:
                raise DataError(f"{show(folder)} and {show(first)} are one folder under two names; remove the link")
            number, inside = found.number(name), walk(folder)
            start = folder.relative_to(root)
            for file in inside.files:
                part.places.add_file(str(start / file))
                part.class_of.append(number)
            found.bad += [f"{show(folder / name)}: {what}" for name, what in inside.bad.items()]
            found.misplaced += inside.closed


def _add_strays(found: Layout, root: Path, files: dict[str, list[Place]], folders: dict[str, Path]) -> None:
    """What lies beside class folders, or beside folders of splits."""
    beside = f" ({', '.join(show(d.name) for d in folders.values())} was read as a split, not as a class)"
    advice = "outside any class folder; move or remove it" + (beside if folders and "all" not in folders else "")
    for place in dict.fromkeys((root, *folders.values()) if folders else ()):
        listing = look(place)
        found.bad += [f"{show(place / name)}: {advice}" for name in listing.files if not files or name != shards.NAMES]
        found.bad += [f"{show(place / name)}: {what}" for name, what in listing.bad.items()]
        found.misplaced += listing.closed
    if "all" not in found.parts and not _shards_in(root):
        others = (name for name in look(root).folders if name.lower() not in SPLITS)
        found.misplaced += [f"{show(root / name)}: {advice}" for name in others]


def _parts(root: Path) -> tuple[dict[str, list[Place]], dict[str, Path]]:
    """The shards of each split, and of splits without such the folder of class folders."""
    if root.is_file() and (single := _shards_of([root])):
        return {"all": single}, {}
    if not root.is_dir():
        raise MissingInputError(f"no folder at {show(root)}; {EXPECTED}")
    listing = look(root)
    if listing.closed:
        raise DataError(listing.closed[0])
    if flat := _shards_in(root, listing):
        return _by_split(flat), {}
    parts: dict[str, Path] = {}
    for name in listing.folders:
        if (split := SPLITS.get(name.lower())) is None:
            continue
        if split in parts:
            raise DataError(f"{show(root)} has both {parts[split].name} and {name}, for one split; keep one of them")
        parts[split] = root / name
    if len({identify(place) for place in parts.values()}) < len(parts):
        names = " and ".join(place.name for place in parts.values())
        raise DataError(f"of {names} in {show(root)} two are one folder; remove the link")
    parts = parts or {"all": root}
    files = {split: found for split, part in parts.items() if (found := _shards_in(part))}
    return files, {split: part for split, part in parts.items() if split not in files}


def _shards_in(place: Path, listing: Listing | None = None) -> list[Place]:
    """The shards that lie directly in a folder; files of other kinds beside them are left alone, but not pictures."""
    listing = listing or look(place)
    found = _shards_of([place / name for name in listing.files])
    suffixes = readable_suffixes()
    mixed = [name for name in listing.files if Path(name).suffix.lower() in suffixes] + listing.folders
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


def _check_names(root: Place, names: list[str]) -> None:
    """Refuse names that are no text, and two that people, or another computer, take for one."""
    alike: dict[str, str] = {}
    for name in sorted(names):
        if not name.translate(JOINERS).isprintable():
            raise DataError(f"class {name!a} in {show(root)} has a name that is no text; rename its folder")
        first = alike.setdefault(_fold(name), name)
        if first != name:
            how = (
                f"{first!a} and {name!a}"
                if unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", name)
                else f"{first!r} and {name!r}"
            )
            raise DataError(f"classes {how} in {show(root)} have names that look alike; merge them, or rename one")


def _fold(name: str) -> str:
    """The same for names that differ by case, by form of Unicode, or by what cannot be seen."""
    plain = unicodedata.normalize("NFD", name.translate(JOINERS)).casefold()
    return " ".join(unicodedata.normalize("NFD", plain).split())

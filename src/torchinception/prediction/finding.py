"""What a user names: files, folders, globs and shards, in a stable order."""

import glob
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from torchinception.data.images import readable_suffixes
from torchinception.data.manifest import SPLITS
from torchinception.data.patterns import find_shards
from torchinception.data.remote import Place, RemotePath, is_remote
from torchinception.data.shards import SUFFIXES
from torchinception.data.walk import in_order, is_ignored, show, walk
from torchinception.errors import DataError, MissingInputError
from torchinception.progress import Listener

EXPECTED = "expected a picture, a folder of pictures, a glob, or shards (tar, parquet)"


Name = str | RemotePath  # a million take 100 MB, and four times that as Paths


def find_pictures(patterns: Iterable[str], listener: Listener | None = None) -> list[Place]:
    """Files as named, folders searched for pictures and shards by suffix, and globs (`**` for any depth), in order.

    Searching follows links, ends loops, and passes over hidden files and those of systems, as training does. What has
    no suffix of a picture is passed over too, and told. A name that is not there stands for itself if others are.
    Shards may be named by a URL and by ranges in braces as well, as for training.

    Raises:
        MissingInputError: a pattern matches nothing, or none of the names is there.
        DataError: no pictures in folders, or one that cannot be listed.
        UsageError: a URL that cannot be listed, or a package for it is not installed.
    """
    return [Path(name) if isinstance(name, str) else name for name in find_names(patterns, listener)]


def find_names(patterns: Iterable[str], listener: Listener | None = None, without: Path | None = None) -> list[Name]:
    """`find_pictures` as text, and except for one file: the table that a run before wrote into one of the folders."""
    own = without and str(without.absolute())
    found: list[Name] = []
    missing, passed = [], list[Path]()
    for pattern in patterns:
        named = not is_remote(pattern) and os.path.exists(pattern)  # noqa: PTH110, false for names that are too long
        if not named and (is_remote(pattern) or _has_braces(pattern)):
            found += (str(path) if isinstance(path, Path) else path for path in find_shards(pattern, SPLITS))
            continue
        places = [Path(pattern)] if named else _match(pattern)
        if not places and not glob.has_magic(pattern):
            missing.append(pattern)
            found.append(str(Path(pattern)))
            continue
        if not places:
            raise MissingInputError(f"nothing at {show(pattern)}; {EXPECTED}")
        inside = [name for place in places for name in (_pictures(place, passed) if place.is_dir() else [str(place)])]
        if own and own.endswith(SUFFIXES):
            inside = [name for name in inside if not name.endswith(SUFFIXES) or os.path.abspath(name) != own]  # noqa: PTH100
        if not inside:
            raise DataError(f"no pictures in {pattern}; looked for {', '.join((*readable_suffixes(), *SUFFIXES))}")
        found += inside
    if len(missing) == len(found):
        raise MissingInputError(f"nothing at {show(missing[0])}; {EXPECTED}" if missing else "no pictures were named")
    if passed and listener:
        some = ", ".join(show(path) for path in passed[:3]) + (", …" if len(passed) > 3 else "")
        listener.say(f"Passed over {len(passed)} without a picture's suffix ({some}); name a file itself to read it")
    return list(dict.fromkeys(found))


def _has_braces(pattern: str) -> bool:
    return "{" in pattern and Path(pattern).suffix.lower() in SUFFIXES


def _pictures(folder: Path, passed: list[Path]) -> list[str]:
    suffixes, start, found = {*readable_suffixes(), *SUFFIXES}, str(folder / "x")[:-1], []
    for name in _search(folder):
        if os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122, there may be a million
            found.append(start + name)
        else:
            passed.append(folder / name)
    return found


def _search(folder: Path) -> list[str]:
    """What is no file is among them, to get a row that says so."""
    listing = walk(folder)
    if listing.closed:
        raise DataError(listing.closed[0])
    return in_order([*listing.files, *listing.bad])


def _match(pattern: str) -> list[Path]:
    """The files and folders that a glob stands for; ignored are those that it does not name itself."""
    parts = Path(pattern).parts
    if "**" not in parts:
        matches = [path for path in map(Path, glob.glob(pattern)) if path.exists()]  # noqa: PTH207, it may be absolute
        pairs = [(path, zip(path.parts, parts, strict=False)) for path in sorted(matches)]
        return [p for p, names in pairs if not any(is_ignored(n) and n != w and w[0] != "." for n, w in names)]
    start = parts.index("**")  # from here on not with glob, which follows loops
    bases = [path for path in _match(str(Path(*parts[:start]))) if path.is_dir()] if start else [Path()]
    return [path for base in bases for path in _match_below(base, parts[start:])]


def _match_below(base: Path, pattern: tuple[str, ...]) -> Iterator[Path]:
    for name in _search(base):
        path = Path(name)
        inside_match = any(_fits(folder.parts, pattern) for folder in path.parents)
        if _fits(path.parts, pattern) or (inside_match and path.suffix.lower() in (*readable_suffixes(), *SUFFIXES)):
            yield base / path


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or bool(parts and _fits(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])

"""Many files: decode, batch, classify; one row per file, in order, a bad picture included."""

import csv
import glob
import io
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path

from torch import Tensor

from torchinception.classifier import Classifier, Prediction
from torchinception.data.images import open_image, readable_suffixes
from torchinception.data.transforms import stack
from torchinception.data.walk import in_order, is_ignored, show, walk
from torchinception.errors import DataError, ImageError, MissingInputError, UsageError
from torchinception.files import write_atomically
from torchinception.progress import Listener

EXPECTED = "expected a picture, a folder of pictures or a glob; URLs are not fetched"


@dataclass(frozen=True)
class Row:
    """One file and what it shows, or why it could not be read."""

    path: Path
    prediction: Prediction | None
    error: str = ""

    @property
    def best(self) -> list[tuple[str, str, float]]:
        """Classes, their names and probabilities, best first; empty for a bad picture."""
        found = self.prediction
        return list(zip(found.classes, found.names, found.probabilities, strict=True)) if found else []


def find_pictures(patterns: Iterable[str], listener: Listener | None = None) -> list[Path]:
    """Files as named, folders searched for pictures by suffix, and globs (`**` for any depth), in order.

    Searching follows links, ends loops, and passes over hidden files and those of systems, as training does. What has
    no suffix of a picture is passed over too, and told. A name that is not there stands for itself if others are.

    Raises:
        MissingInputError: a pattern matches nothing, or none of the names is there.
        DataError: no pictures in folders, or one that cannot be listed.
    """
    found: list[Path] = []
    missing, passed = [], list[Path]()
    for pattern in patterns:
        named = os.path.exists(pattern)  # noqa: PTH110, false for names that are too long
        places = [Path(pattern)] if named else _match(pattern)
        if not places and not glob.has_magic(pattern):
            missing.append(pattern)
            found.append(Path(pattern))
            continue
        if not places:
            raise MissingInputError(f"nothing at {show(pattern)}; {EXPECTED}")
        inside = [path for place in places for path in (_pictures(place, passed) if place.is_dir() else [place])]
        if not inside:
            raise DataError(f"no pictures in {pattern}; looked for {', '.join(readable_suffixes())}")
        found += inside
    if len(missing) == len(found):
        raise MissingInputError(f"nothing at {show(missing[0])}; {EXPECTED}" if missing else "no pictures were named")
    if passed and listener:
        some = ", ".join(show(path) for path in passed[:3]) + (", …" if len(passed) > 3 else "")
        listener.say(f"Passed over {len(passed)} without a picture's suffix ({some}); name a file itself to read it")
    return list(dict.fromkeys(found))


def _pictures(folder: Path, passed: list[Path]) -> list[Path]:
    suffixes, names = readable_suffixes(), _search(folder)
    passed += [folder / name for name in names if Path(name).suffix.lower() not in suffixes]
    return [folder / name for name in names if Path(name).suffix.lower() in suffixes]


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
        if _fits(path.parts, pattern) or (inside_match and path.suffix.lower() in readable_suffixes()):
            yield base / path


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or bool(parts and _fits(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def predict_files(
    model: Classifier, paths: Iterable[Path], *, top: int = 5, batch: int = 32, fast: bool = False
) -> Iterator[Row]:
    """Rows in the order of `paths`; memory does not grow with their number.

    With `fast` large JPEG files are decoded at a reduced scale, see `Preprocess.least`.
    """
    remaining, cut = iter(paths), partial(_cut, model, model.preprocess.least if fast else None)
    with ThreadPoolExecutor(2) as pool:
        ahead = pool.map(cut, islice(remaining, batch))
        cuts = list(ahead)
        while cuts:
            ahead = pool.map(cut, islice(remaining, batch))  # while the network works
            good = [found for _, found in cuts if isinstance(found, Tensor)]
            named = iter(model.name(stack(good), top) if good else ())
            for path, found in cuts:
                yield Row(path, next(named)) if isinstance(found, Tensor) else Row(path, None, found)
            cuts = list(ahead)


def _cut(model: Classifier, least: int | None, path: Path) -> tuple[Path, Tensor | str]:
    try:
        return path, model.preprocess.cut(open_image(path, least=least))
    except ImageError as error:
        return path, f"{error.reason}; {error.advice}"


def check_csv(path: str | Path) -> None:
    """Refuse to write a table over a file that is none.

    Raises:
        UsageError: the file exists and is not named .csv.
    """
    if Path(path).exists() and Path(path).suffix.lower() != ".csv":
        raise UsageError(f"{path} exists and is no .csv file; choose another name for the table")


def write_csv(path: str | Path, rows: Iterable[Row]) -> None:
    """One line a class (path, rank, class, name, probability), or a picture that could not be read (path, error).

    Raises:
        SaveError: the file could not be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "rank", "class", "name", "probability", "error"))
    for row in rows:
        writer.writerows((row.path, i, *best, "") for i, best in enumerate(row.best, 1))
        if row.error:
            writer.writerow((row.path, "", "", "", "", row.error))
    write_atomically(path, text.getvalue().encode(errors="surrogateescape"))

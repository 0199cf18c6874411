"""Many files: decode, batch, classify; one row per file, in order, a bad picture included."""

import csv
import glob
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from torchinception.classifier import Classifier, Prediction
from torchinception.data.images import load_image
from torchinception.errors import DataError, ImageError, MissingInputError, UsageError
from torchinception.files import write_atomically

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}


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


def find_pictures(patterns: Iterable[str]) -> list[Path]:
    """Files as named, folders searched for pictures by suffix, and globs (`**` for any depth), in order.

    Raises:
        MissingInputError: a name or pattern matches nothing.
        DataError: a folder without pictures.
    """
    found: list[Path] = []
    for pattern in patterns:
        matches = [Path(pattern)] if Path(pattern).exists() else map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207, an absolute pattern is allowed
        places = sorted(place for place in matches if place.exists())
        if not places:
            raise MissingInputError(f"nothing at {pattern}; expected a picture, a folder of pictures or a glob")
        for place in places:
            inside = _pictures(place) if place.is_dir() else [place]
            if not inside:
                raise DataError(f"no pictures in {place}; looked for {', '.join(sorted(SUFFIXES))}")
            found += inside
    return list(dict.fromkeys(found))


def _pictures(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def predict_files(model: Classifier, paths: Iterable[Path], *, top: int = 5, batch: int = 32) -> Iterator[Row]:
    """Rows in the order of `paths`; memory does not grow with their number."""
    remaining = iter(paths)
    with ThreadPoolExecutor(2) as pool:
        ahead = pool.map(lambda path: _cut(model, path), islice(remaining, batch))
        cuts = list(ahead)
        while cuts:
            ahead = pool.map(lambda path: _cut(model, path), islice(remaining, batch))  # while the network works
            good = [cut for _, cut in cuts if isinstance(cut, Tensor)]
            named = iter(model.name(torch.stack(good), top) if good else ())
            for path, cut in cuts:
                yield Row(path, next(named)) if isinstance(cut, Tensor) else Row(path, None, cut)
            cuts = list(ahead)


def _cut(model: Classifier, path: Path) -> tuple[Path, Tensor | str]:
    try:
        return path, model.preprocess.cut(load_image(path))
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

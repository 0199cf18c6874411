"""Folders of class folders: what is there, checked picture by picture before anything is trained on it."""

import hashlib
import os
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from torchinception.data.images import load_image
from torchinception.errors import DataError, ImageError, MissingInputError
from torchinception.progress import Listener

SPLITS = {  # folder names, in any case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
VAL_FRACTION = 0.1
IGNORED = {"thumbs.db", "desktop.ini"}  # besides everything that begins with a dot


@dataclass(frozen=True)
class Sample:
    """One picture: its file, the position of its class, and the SHA-256 of the file."""

    path: Path
    label: int
    digest: str


@dataclass(frozen=True)
class Folder:
    """A scanned folder. `splits` are as found, or only `all`; `side_px` is the median longer side."""

    root: Path
    classes: tuple[str, ...]
    splits: dict[str, tuple[Sample, ...]]
    side_px: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every picture's split, class and content: equal folders are equal data."""
        lines = sorted(f"{split} {s.label} {s.digest}" for split, samples in self.splits.items() for s in samples)
        return hashlib.sha256("\n".join([*self.classes, *lines]).encode()).hexdigest()

    def for_training(self) -> dict[str, tuple[Sample, ...]]:
        """The splits `train` and `val` (and `test` if there): as found, or a stable stratified tenth held out.

        Raises:
            DataError: nothing to train on, fewer than two classes, or a class with too few pictures.
        """
        pool = self.splits.get("train") or self.splits.get("all")
        if not pool:
            raise DataError(f"{self.root} has {', '.join(self.splits)} but no train; add it to train on this folder")
        if len(self.classes) < 2:
            raise DataError(
                f"one class ({self.classes[0]}) in {self.root}; training needs at least two folders of pictures"
            )
        filled = {sample.label for sample in pool}
        for name in (name for label, name in enumerate(self.classes) if label not in filled):
            raise DataError(f"class {name} in {self.root} has no pictures to train on; add some or remove its folder")
        if "val" in self.splits:
            return self.splits
        train, val = _hold_out(pool, self.classes)
        return {k: v for k, v in self.splits.items() if k == "test"} | {"train": train, "val": val}


def scan(root: str | Path, listener: Listener | None = None) -> Folder:
    """Find classes and splits under `root` and decode every picture once.

    Raises:
        MissingInputError: `root` is not there.
        DataError: no pictures, or files that cannot be used.
    """
    root = Path(root)
    if not root.is_dir():
        raise MissingInputError(f"no folder at {root}; expected a folder with one folder of pictures per class")
    parts = {SPLITS[d.name.lower()]: d for d in _folders(root) if d.name.lower() in SPLITS} or {"all": root}
    paths = [
        (split, path, folder.name)
        for split, part in parts.items()
        for folder in _folders(part)
        for path in _files(folder, recursive=True)
    ]
    stray = [p for place in {root, *parts.values()} for p in _files(place, recursive=False)]
    stray += [d for d in _folders(root) if "all" not in parts and d not in parts.values()]
    classes = tuple(sorted({folder.name for part in parts.values() for folder in _folders(part)}))
    if not paths and not stray:
        raise DataError(f"no pictures in {root}; expected one folder of pictures per class, as {root}/roses/a.jpg")
    checked = list(_check(paths, listener or Listener()))
    bad = [str(result) for result in checked if isinstance(result, ImageError)]
    beside = f" ({', '.join(d.name for d in parts.values())} was read as a split, not as a class)"
    advice = "outside any class folder; move or remove it" + (beside if "all" not in parts else "")
    bad += [f"{path}: {advice}" for path in sorted(stray)]
    if bad:
        shown = "\n  ".join(bad[:20]) + (f"\n  … and {len(bad) - 20} more" if len(bad) > 20 else "")
        raise DataError(f"{len(bad)} files in {root} cannot be used (nothing was changed):\n  {shown}")
    for name in classes:
        if not name.isprintable():
            raise DataError(f"class {name!r} in {root} has a name that is no text; rename its folder")
    splits: dict[str, list[Sample]] = {split: [] for split in parts}
    sides = []
    for (split, path, name), (digest, side) in zip(paths, checked, strict=True):  # type: ignore[misc]
        splits[split].append(Sample(path, classes.index(name), digest))
        sides.append(side)
    return Folder(root, classes, {k: tuple(v) for k, v in splits.items()}, int(statistics.median(sides)))


def _check(paths: list[tuple[str, Path, str]], listener: Listener) -> Iterator[tuple[str, int] | ImageError]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without Python's lock
        for done, result in enumerate(pool.map(_decode_once, (path for _, path, _ in paths)), 1):
            listener.progress("Checking pictures", done, len(paths))
            yield result


def _decode_once(path: Path) -> tuple[str, int] | ImageError:
    try:
        picture = load_image(path)
    except ImageError as error:
        return error
    return hashlib.sha256(path.read_bytes()).hexdigest(), max(picture.shape[:2])


def _hold_out(samples: tuple[Sample, ...], classes: tuple[str, ...]) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """By rank of a hash of the content, class by class: neither order nor names nor folders matter."""
    val = set()
    for label, name in enumerate(classes):
        ranked = sorted({s.digest for s in samples if s.label == label})
        if len(ranked) < 2:
            raise DataError(
                f"class {name} has one distinct picture; at least two are needed, one to train and one to check"
            )
        val |= {(label, digest) for digest in ranked[: max(1, round(VAL_FRACTION * len(ranked)))]}
    held = [(s.label, s.digest) in val for s in samples]
    return tuple(compress(samples, (not h for h in held))), tuple(compress(samples, held))


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

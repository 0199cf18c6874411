"""Class folders and shards: what is there, checked picture by picture before anything is trained on it."""

import hashlib
import os
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from torchinception.data import shards, stock
from torchinception.data.images import Picture, load_image
from torchinception.data.layout import Candidate, lay_out
from torchinception.data.patterns import name_shards, names_shards
from torchinception.data.remote import Place, as_path
from torchinception.errors import DataError, ImageError
from torchinception.progress import Listener

VAL_FRACTION = 0.1


@dataclass(frozen=True)
class Sample:
    """One picture: its file, or the shard that it is in, the position of its class, the SHA-256 of its bytes."""

    path: Place
    label: int
    digest: str
    member: shards.Member | None = None  # of the shard at `path`

    def picture(self) -> Picture:
        """The picture, RGB uint8 (H, W, 3).

        Raises:
            ImageError: it cannot be read, or its shard is another than when it was scanned.
        """
        if self.member is None:
            assert isinstance(self.path, Path)
            return load_image(self.path)
        content = shards.read_member(self.path, self.member)
        if hashlib.sha256(content).hexdigest() != self.digest:  # other bytes at its place may be another's picture
            raise ImageError(f"{self.path}: {self.member}", "changed", "leave shards alone while they are in use")
        return shards.decode_member(self.path, self.member, content)


@dataclass(frozen=True)
class Folder:
    """A scanned folder or set of shards. `splits` are as found, or only `all`; `side_px` is the median longer side."""

    root: Place
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

    Args:
        root: a folder of class folders, or of train/ and val/ with such; shards (tar, parquet) in their place,
            flat with the split in their names, or a single one; a pattern or URL of shards; or `torchvision:NAME`,
            see `stock.fetch`.
        listener: hears of progress.

    Raises:
        MissingInputError: `root` is not there.
        DataError: no pictures, or files that cannot be used.
        UsageError: a package that is needed is not installed, or torchvision has no such dataset.
    """
    listener = listener or Listener()
    place: Place = stock.fetch(root, listener) if stock.is_stock(root) else as_path(root)
    found = lay_out(place, listener)
    paths, bad = found.candidates, found.bad
    if not paths and not bad:
        raise DataError(f"no pictures in {place}; expected one folder of pictures per class, as {place}/roses/a.jpg")
    checked = list(_check(paths, listener))
    bad += [str(result) for result in checked if isinstance(result, ImageError)]
    if bad:
        shown = "\n  ".join(bad[:20]) + (f"\n  … and {len(bad) - 20} more" if len(bad) > 20 else "")
        raise DataError(f"{len(bad)} files in {place} cannot be used (nothing was changed):\n  {shown}")
    for name in sorted(found.classes):
        if not name.isprintable():
            raise DataError(f"class {name!r} in {place} has a name that is no text; rename its folder")
    position = {name: label for label, name in enumerate(sorted(found.classes))}
    splits: dict[str, list[Sample]] = {split: [] for split in found.splits}
    sides = []
    for (split, path, name, member), (digest, side) in zip(paths, checked, strict=True):  # type: ignore[misc]
        splits[split].append(Sample(path, position[name], digest, member))
        sides.append(side)
    for split in ("train", "all"):
        _tell_if_sorted(splits.get(split, []), listener)
    return Folder(place, tuple(position), {k: tuple(v) for k, v in splits.items()}, int(statistics.median(sides)))


def name_of(data: str | Path) -> str:
    """What to call a run on `data`: the dataset's name, the shard's without its suffix, or the folder's."""
    if stock.is_stock(data):
        return stock.split_name(data)[0]
    if names_shards(data):
        return name_shards(data)
    path = Path(data).resolve()
    return path.stem if path.suffix.lower() in shards.SUFFIXES else path.name


def _tell_if_sorted(samples: list[Sample], listener: Listener) -> None:
    """Shuffling cannot mix what lies in blocks that are not read together."""
    members = [(s, s.member) for s in samples if s.member]
    blocks: dict[tuple[Place, int], set[int]] = {}
    for sample, member in members:
        blocks.setdefault((sample.path, member.block), set()).add(sample.label)
    if not members or len(blocks) <= (together := members[0][1].together):
        return
    read = len(members) * together / len(blocks)
    seen = statistics.mean(map(len, blocks.values())) * together
    if seen < min(read, len({s.label for s in samples})) / 2:
        listener.say(
            f"The pictures in {members[0][0].path.parent} are sorted by class: {read:.0f} are mixed at a time, and "
            f"those are of {seen:.0f} classes at most. Training will suffer; pack the shards anew in random order"
        )


def _check(paths: list[Candidate], listener: Listener) -> Iterator[tuple[str, int] | ImageError]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without Python's lock
        for done, result in enumerate(pool.map(_decode_once, paths), 1):
            listener.progress("Checking pictures", done, len(paths))
            yield result


def _decode_once(found: Candidate) -> tuple[str, int] | ImageError:
    try:
        if found.member is None:
            assert isinstance(found.path, Path)
            picture = load_image(found.path)
            content = found.path.read_bytes()
        else:
            content = shards.read_member(found.path, found.member, ahead=True)
            picture = shards.decode_member(found.path, found.member, content)
    except ImageError as error:
        return error
    return hashlib.sha256(content).hexdigest(), max(picture.shape[:2])


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

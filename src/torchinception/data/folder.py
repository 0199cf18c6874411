"""Class folders, tables and shards: what is there, checked picture by picture before anything is trained on it."""

import hashlib
import statistics
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from torchinception.data import shards, stock
from torchinception.data.inspected import inspect_pictures
from torchinception.data.layout import Layout, lay_out, natural
from torchinception.data.patterns import name_shards, names_shards
from torchinception.data.remote import Place, RemotePath, as_path
from torchinception.data.samples import DIGEST_BYTES, Sample, Samples
from torchinception.data.split import hold_out
from torchinception.data.walk import look, show_place
from torchinception.errors import DataError
from torchinception.progress import Listener

SHOWN = 20  # of the files that cannot be used


@dataclass(frozen=True)
class Folder:
    """A scanned folder, table or set of shards.

    `splits` are as found, or only `all`; `side_px` is the median longer side; `skipped` has a line for each file
    that was left out.
    """

    root: Place
    classes: tuple[str, ...]
    splits: dict[str, Samples]
    side_px: int
    skipped: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every picture's split, class and content: equal folders are equal data."""
        lines = sorted(
            f"{split} {label} {samples.digest(index).hex()}"
            for split, samples in self.splits.items()
            for index, label in enumerate(samples.labels.tolist())
        )
        return hashlib.sha256("\n".join([*self.classes, *lines]).encode()).hexdigest()

    @cached_property
    def training_fingerprint(self) -> str:
        """The same, and where validation pictures are held out, which hangs on names, a second part: of which."""
        try:
            held = () if "val" in self.splits else self.for_training()["val"]
        except DataError:  # then nothing was trained on it
            held = ()
        if not held:
            return self.fingerprint
        digests = "\n".join(sorted(sample.digest for sample in held))
        return f"{self.fingerprint}-{hashlib.sha256(digests.encode()).hexdigest()[:16]}"

    def for_training(self) -> dict[str, Samples]:
        """The splits `train` and `val` (and `test` if there): as found, or a stable tenth held out, see `hold_out`.

        Raises:
            DataError: nothing to train on, fewer than two classes, or a class with too few pictures.
        """
        pool = self.splits.get("train") or self.splits.get("all")
        if not pool:
            raise DataError(f"{self.root} has {', '.join(self.splits)} but no train; add it to train on this folder")
        if len(self.classes) < 2:
            raise DataError(
                f"one class ({self.classes[0]}) in {self.root}; training needs at least two folders of pictures"
                + nested_hint(self.root, self.classes[0])
            )
        filled = set(pool.labels.tolist())
        for name in (name for label, name in enumerate(self.classes) if label not in filled):
            raise DataError(f"class {name} in {self.root} has no pictures to train on; add some or remove its folder")
        if "val" in self.splits:
            if not self.splits["val"]:
                raise DataError(f"no pictures in val of {self.root}; add some, or remove it to have a tenth held out")
            return self.splits
        train, val = hold_out(pool, self.classes)
        return {k: v for k, v in self.splits.items() if k == "test"} | {"train": train, "val": val}


def scan(root: str | Path, listener: Listener | None = None, bad: Literal["refuse", "skip"] = "refuse") -> Folder:
    """Find classes and splits under `root` and decode every picture once, except for files found good before.

    Args:
        root: a folder of class folders, or of train/ and val/ with such; shards (tar, parquet) in their place,
            flat with the split in their names, or a single one; a pattern or URL of shards; a table (CSV or parquet)
            with columns path, label and, if wanted, split; or `torchvision:NAME`, see `stock.fetch`.
        listener: hears of progress.
        bad: whether files that cannot be used are refused, all at once, or skipped and told. None is ever replaced
            by another picture.

    Raises:
        MissingInputError: `root` is not there.
        DataError: no pictures, files that cannot be used, or a class of which skipping leaves none.
        UsageError: a package that is needed is not installed, or torchvision has no such dataset.
    """
    listener = listener or Listener()
    place = stock.fetch(root, listener) if stock.is_stock(root) else as_path(root)
    found = lay_out(place, listener)
    if found.misplaced:
        _refuse(place, found.misplaced + found.bad)
    classes = sorted(found.classes, key=natural)
    example = f"expected one folder of pictures per class, as {place}/roses/a.jpg"
    if not classes and holds_only_files(place):
        raise DataError(f"{place} holds files but no folders; {example}. inception predict takes such a folder")
    splits, sides = _check(found, classes, listener)
    if found.bad and bad == "refuse":
        _refuse(place, found.bad, "; --bad-images skip leaves such files out")
    if not any(splits.values()):
        is_folder = isinstance(place, Path) and place.is_dir()
        raise DataError(f"no pictures in {place}" + (f"; {example}" if is_folder else ""))
    _check_classes(found, classes, splits)
    if found.bad:
        listener.say(f"Skipped {len(found.bad)} files that cannot be used; the first is {found.bad[0]}")
    _tell_what_val_lacks(classes, splits, listener)
    _tell_of_two_labels(classes, splits, listener)
    for split in ("train", "all"):
        _tell_if_sorted(splits.get(split, ()), listener)
    return Folder(place, tuple(classes), splits, int(np.median(sides)), tuple(found.bad))


def name_of(data: str | Path) -> str:
    """What to call a run on `data`: the dataset's name, the shard's or table's without its suffix, or the folder's."""
    if stock.is_stock(data):
        return stock.split_name(data)[0]
    if names_shards(data):
        return name_shards(data)
    path = Path(data).resolve()
    return path.stem if path.suffix.lower() in (*shards.SUFFIXES, ".csv") else path.name


def _check(found: Layout, classes: list[str], listener: Listener) -> tuple[dict[str, Samples], "array[int]"]:
    """The good pictures of each split, and their longer sides; bad ones are added to those of `found`."""
    position = {name: label for label, name in enumerate(classes)}
    label_of = np.array([position[name] for name in found.classes], np.int32)
    parts = found.parts.values()
    every = (part.places[index] for part in parts for index in range(len(part.places)))
    verdicts = inspect_pictures(every, sum(len(part.places) for part in parts), listener)
    splits, sides = {}, array("i")
    for split, part in found.parts.items():
        digests, good = bytearray(), array("i")
        for index in range(len(part.places)):
            verdict = next(verdicts)
            digests += verdict.digest.ljust(DIGEST_BYTES, b"\0")
            if not verdict.reason:
                good.append(index)
                sides.append(max(verdict.width, verdict.height))
                continue
            path, member = part.places[index]
            found.bad.append(f"{show_place(path, member)}: {verdict.reason}; {verdict.advice}")
        rows = np.frombuffer(bytes(digests), np.uint8).reshape(-1, DIGEST_BYTES)
        of = np.array(good, np.int32)
        splits[split] = Samples(part.places, rows, of, label_of[np.array(part.class_of, np.int32)[of]])
    return splits, sides


def _check_classes(found: Layout, classes: list[str], splits: dict[str, Samples]) -> None:
    """Refuse to go on without a class all of whose pictures are bad."""
    there = {number for part in found.parts.values() for number in part.class_of}
    left = {label for samples in splits.values() for label in samples.labels.tolist()}
    for label, name in enumerate(classes):
        if found.classes[name] in there and label not in left:
            raise DataError(f"class {name} in {found.root} has no picture that can be used{_list(found.bad)}")


def _tell_what_val_lacks(classes: list[str], splits: dict[str, Samples], listener: Listener) -> None:
    if splits.get("train") and splits.get("val"):
        lacking = sorted({*splits["train"].labels.tolist()} - {*splits["val"].labels.tolist()})
        if lacking:
            names = ", ".join(classes[label] for label in lacking)
            listener.say(f"val has no pictures of {names}; what is learnt of such a class will not be measured")


def _tell_of_two_labels(classes: list[str], splits: dict[str, Samples], listener: Listener) -> None:
    label_of: dict[bytes, int] = {}
    for samples in splits.values():
        for index, label in enumerate(samples.labels.tolist()):
            first = label_of.setdefault(samples.digest(index)[:8], label)
            if first != label:
                listener.say(
                    f"{samples[index].place} is in {classes[label]} and in {classes[first]}, perhaps others too; "
                    "inception data check names all such pictures"
                )
                return


def _refuse(root: Place, bad: list[str], advice: str = "") -> NoReturn:
    files = f"{len(bad)} {'files' if len(bad) > 1 else 'file'}"
    raise DataError(f"{files} in {root} cannot be used (nothing was changed){advice}{_list(bad)}")


def _list(bad: list[str]) -> str:
    more = f"\n  … and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return ":\n  " + "\n  ".join(bad[:SHOWN]) + more


def holds_only_files(root: Place) -> bool:
    """Whether it is a folder of pictures, say, and not of class folders."""
    names = look(root).files if isinstance(root, Path) and root.is_dir() else []
    return bool(names) and not any(Path(name).suffix.lower() in shards.SUFFIXES for name in names)


def nested_hint(root: Place, name: str) -> str:
    """Where the class folders may be, if the only one holds nothing but folders; to end a sentence with."""
    if isinstance(root, RemotePath):
        return ""
    for place in (root / name, *(folder / name for folder in (root / part for part in look(root).folders))):
        inside = look(place)
        if inside.folders and not inside.files:
            held = ", ".join(inside.folders[:3]) + (", …" if len(inside.folders) > 3 else "")
            advice = f"give {place}" if place.parent == root else f"move them into {place.parent}"
            return f". {place} holds folders ({held}); if those are the classes or splits, {advice}"
    return ""


def _tell_if_sorted(samples: Sequence[Sample], listener: Listener) -> None:
    """Shuffling cannot mix what lies in blocks that are not read together."""
    if not samples or samples[0].member is None:
        return
    blocks: dict[tuple[Place, int], set[int]] = {}
    for sample in samples:
        assert sample.member
        blocks.setdefault((sample.path, sample.member.block), set()).add(sample.label)
    if len(blocks) <= (together := samples[0].member.together):
        return
    read = len(samples) * together / len(blocks)
    seen = statistics.mean(map(len, blocks.values())) * together
    if seen < min(read, len({s.label for s in samples})) / 2:
        listener.say(
            f"The pictures in {samples[0].path.parent} are sorted by class: {read:.0f} are mixed at a time, and "
            f"those are of {seen:.0f} classes at most. Training will suffer; pack the shards anew in random order"
        )

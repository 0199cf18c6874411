"""What can be wrong with the pictures of a data set, and what to do about it."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

from torchinception.data import duplicates
from torchinception.data.images import SUFFIXES
from torchinception.data.layout import Candidate
from torchinception.progress import Listener

POOL = ("train", "all")  # what is trained on
TINY_CLASS = 10  # pictures
TINY_PX = 32  # of the shorter side: the last grid of a network has 1/32 of the side
FAR_BELOW = 4  # times smaller than the median shorter side
LONG = 4  # times as long as wide: a square at the centre shows less than a quarter
UNEQUAL = 10  # times as many pictures as the smallest class
KNOWN_SUFFIXES = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes} | {".heic", ".heif", ".avif"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of a picture that was decoded; both digests are SHA-256."""

    found: Candidate
    format: str
    width: int
    height: int
    file: bytes
    pixels: bytes
    print: duplicates.Fingerprint


class Item(NamedTuple):
    """Pictures or classes that are concerned together, and why."""

    places: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class Finding:
    """Something wrong, or, if it is no `error`, worth a look; `marks` are positions of pictures to frame."""

    kind: str
    what: str
    advice: str
    items: tuple[Item, ...]
    error: bool = False
    mark: str = ""
    marks: tuple[int, ...] = ()


def find(seen: Sequence[Seen], classes: Sequence[str], splits: Sequence[str], listener: Listener) -> list[Finding]:
    """All findings about pictures that can be read, errors first; `seen` is in the order of `splits`."""
    found = (*_classes(seen, classes, splits), *_copies(seen), _near(seen, listener), *_pictures(seen))
    return sorted((finding for finding in found if finding.items), key=lambda finding: not finding.error)


def _classes(seen: Sequence[Seen], classes: Sequence[str], splits: Sequence[str]) -> Iterator[Finding]:
    counts = Counter((s.found.split, s.found.name) for s in seen)
    pool = next((split for split in splits if split in POOL), None)
    filled = {name for _, name in counts}
    empty = tuple(Item((name,)) for name in classes if name not in filled)
    yield Finding(
        "empty class", "Classes without a picture", "Add pictures, or remove their folders", empty, error=True
    )
    if pool is None:
        return
    taught = {name: counts[pool, name] for name in classes if counts[pool, name]}
    for split in (split for split in splits if split != pool):
        present = [name for name in classes if counts[split, name]]
        unknown = tuple(Item((name,)) for name in present if name not in taught)
        missing = tuple(Item((name,)) for name in taught if name not in present)
        advice = "They cannot be learned: add pictures to train, or remove the classes"
        yield Finding("unknown class", f"Classes of {split} that are not in {pool}", advice, unknown, error=True)
        advice = f"Nothing tells whether they are learned: move some of their pictures from {pool} to {split}"
        yield Finding("missing class", f"Classes that are not in {split}", advice, missing, error=split == "val")
    if pool == "all":
        distinct = Counter(name for name, _ in {(s.found.name, s.pixels) for s in seen})
        alone = tuple(Item((name,)) for name in taught if distinct[name] == 1)
        advice = "One cannot be in both train and val: add pictures, or remove the classes"
        yield Finding("single picture", "Classes of one picture", advice, alone, error=True)
    if len(taught) == 1:
        item = Item((*taught,))
        yield Finding("one class", "Only one class", "Training needs two at least: add another", (item,), error=True)
    few = tuple(
        Item((name,), f"{n} pictures" if n > 1 else "1 picture") for name, n in taught.items() if n < TINY_CLASS
    )
    yield Finding("tiny class", f"Classes of less than {TINY_CLASS} pictures", "Add pictures, if there are more", few)
    if not taught:
        return
    largest, smallest = (choose(taught, key=taught.__getitem__) for choose in (max, min))
    times = taught[largest] / taught[smallest]
    why = f"{taught[largest]:,} and {taught[smallest]:,} pictures, {times:.0f} times as many"
    unequal = (Item((largest, smallest), why),) if times >= UNEQUAL else ()
    advice = "The rare ones will be named less often than they are there; look at the accuracy of each class"
    yield Finding("unequal classes", "The largest and the smallest class", advice, unequal)


def _copies(seen: Sequence[Seen]) -> Iterator[Finding]:
    groups = duplicates.equal([s.pixels for s in seen])
    labels, leaks, twice = [], [], []
    for group in groups:
        classes = len({seen[i].found.name for i in group})
        splits = len({seen[i].found.split for i in group})
        labels += [group] if classes > 1 else []
        leaks += [group] if splits > 1 else []
        twice += [group] if classes == splits == 1 else []
    for kind, what, advice, some in (
        ("two classes", "The same picture in several classes", "Keep it where it belongs", labels),
        ("two splits", "The same picture in several splits", "It would be known by heart: keep it in one split", leaks),
        ("twice", "The same picture several times in a class", "It counts as often: keep it once", twice),
    ):
        items = tuple(Item(tuple(seen[i].found.place for i in g), _how_equal(seen, g)) for g in some)
        marks = tuple(i for g in some for i in g)
        yield Finding(kind, what, advice, items, kind != "twice", "duplicate", marks)


def _how_equal(seen: Sequence[Seen], group: Sequence[int]) -> str:
    return "the same file" if len({seen[i].file for i in group}) == 1 else "the same pixels, saved anew"


def _near(seen: Sequence[Seen], listener: Listener) -> Finding:
    """Across splits; where a split will be drawn, any two pictures may come to lie on both sides."""
    first: dict[str, int] = {}
    for position, one in enumerate(seen):
        first.setdefault(one.found.split, position)
    earlier = [i if s.found.split == "all" else first[s.found.split] for i, s in enumerate(seen)]
    digests = [s.pixels for s in seen]
    pairs = duplicates.near([s.print for s in seen], earlier, digests, listener)
    pairs.sort(key=lambda pair: -pair.likeness)
    items = tuple(
        Item(
            (seen[p.picture].found.place, seen[p.other].found.place),
            f"{p.bits} of 64 bits differ, {p.likeness:.1%} alike",
        )
        for p in pairs
    )
    marks = tuple(i for pair in pairs for i in (pair.picture, pair.other))
    advice = "Look at them; pictures of the same thing belong into the same split"
    where = "in the set" if "all" in first else "in different splits"
    return Finding("near-duplicate", f"Almost the same pictures {where}", advice, items, False, "near-duplicate", marks)


def _pictures(seen: Sequence[Seen]) -> Iterator[Finding]:
    sides = [min(s.width, s.height) for s in seen]
    usual = statistics.median(sides) if sides else 0
    limit = max(usual / FAR_BELOW, TINY_PX if usual >= TINY_PX else 0)  # of pictures that are all small none stands out
    suffixes = [PurePath(str(s.found.member or s.found.path)).suffix.lower() for s in seen]

    def finding(
        kind: str, what: str, advice: str, chosen: list[int], why: Callable[[Seen], str], mark: bool = True
    ) -> Finding:
        items = tuple(Item((seen[i].found.place,), why(seen[i])) for i in chosen)
        marks = tuple(chosen) if mark else ()
        return Finding(kind, what, advice, items, False, "small, flat or very long" if mark else "", marks)

    def size(one: Seen) -> str:
        return f"{one.width} x {one.height} px"

    yield finding(
        "wrong suffix",
        "Names that do not fit what is in the file",
        "They are read by what is in them; rename them for the sake of other programs",
        [i for i, s in enumerate(seen) if suffixes[i] in KNOWN_SUFFIXES - set(SUFFIXES.get(s.format, KNOWN_SUFFIXES))],
        lambda s: s.format,
        False,
    )
    yield finding(
        "small picture",
        f"Pictures with a shorter side below {limit:.0f} px, where {usual:.0f} px are usual",
        "Replace them by larger ones, or remove them",
        [i for i, side in enumerate(sides) if side < limit],
        size,
    )
    yield finding(
        "flat picture",
        "Pictures of one colour",
        "Remove them, unless nothing is what they should show",
        [i for i, s in enumerate(seen) if s.print.flat],
        size,
    )
    yield finding(
        "long picture",
        f"Pictures more than {LONG} times as long as wide, or as wide as long",
        "Cut them to what matters: a square at the centre shows less than a quarter",
        [i for i, s in enumerate(seen) if max(s.width, s.height) > LONG * min(s.width, s.height)],
        size,
    )

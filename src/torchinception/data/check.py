"""A data set looked at before it is trained on: every picture decoded, findings, and a contact sheet a class."""

import hashlib
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from os import cpu_count
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np

from torchinception.data import contact, stock
from torchinception.data.checked import Checked, claim, write
from torchinception.data.duplicates import fingerprint
from torchinception.data.file_systems import hide_secrets
from torchinception.data.findings import Finding, Item, Seen, find
from torchinception.data.folder import holds_only_files, name_of, nested_hint
from torchinception.data.headers import recognise
from torchinception.data.images import Picture, load_image
from torchinception.data.inspected import read_content
from torchinception.data.layout import Candidate, lay_out, natural
from torchinception.data.remote import as_path
from torchinception.errors import DataError, ImageError
from torchinception.progress import Listener

ORDER = ("train", "all", "val", "test")
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass
class _Examined:
    """Pictures as they come in: what is kept of each, thumbnails of some, and those that cannot be read."""

    seen: list[Seen] = field(default_factory=list)
    thumbnails: dict[int, bytes] = field(default_factory=dict)  # by position in `seen`
    bad: list[Item] = field(default_factory=list)


def examine(
    data: str | Path, out: str | Path | None = None, *, workers: int | None = None, listener: Listener | None = None
) -> Checked:
    """Decode every picture of `data` once, and write `check.json` and a contact sheet per class into `out`.

    Args:
        data: as `scan` takes it: class folders, a table, shards here or behind a URL, `torchvision:NAME`.
        out: a folder that is new or holds an earlier check; `NAME-check` in the current folder if not given.
        workers: threads that decode; as many as there are cores if not given.
        listener: hears of progress.

    Raises:
        MissingInputError: `data` is not there.
        DataError: there is nothing that could be examined, or shards cannot be read.
        UsageError: `out` lies in the data or holds other files, or a package that is needed is not installed.
        SaveError: `out` cannot be written.
    """
    listener, workers = listener or Listener(), workers or cpu_count() or 1
    root = stock.fetch(data, listener) if stock.is_stock(data) else as_path(data)
    if out is None:
        own = root.resolve() if isinstance(root, Path) and root.is_dir() else None
        around = own.parent if own and own in (Path.cwd(), *Path.cwd().parents) else Path()  # not inside the data
        out = around / f"{name_of(data)}-check"
    out = Path(out)
    layout = lay_out(root, listener)
    candidates = sorted(layout.candidates, key=lambda found: ORDER.index(found.split))
    in_the_way = [*layout.bad, *layout.misplaced]
    if not candidates and holds_only_files(root):
        raise DataError(f"{root} holds files but no folders; expected one folder per class, as {root}/roses/a.jpg")
    if not candidates and not in_the_way:
        raise DataError(f"no pictures in {root}")
    if len(layout.classes) == 1 and (hint := nested_hint(root, *layout.classes)):
        raise DataError(f"only one class in {root}{hint}")
    folders = {root} if isinstance(root, Path) and root.is_dir() else set()
    folders |= {found.path.parent for found in candidates if isinstance(found.path, Path)}
    old = claim(out, folders)
    classes = tuple(sorted(layout.classes, key=natural))
    splits = tuple(split for split in ORDER if split in layout.parts)
    examined = _examine(candidates, workers, listener)
    seen = examined.seen
    unreadable = Finding(
        "unreadable", "Pictures that cannot be read", "Remove them, or copy them again", tuple(examined.bad), True
    )
    misplaced = Finding(
        "unusable",
        "Files that cannot be used",
        "What to do stands beside each",
        tuple(Item((line,)) for line in in_the_way),
        True,
    )
    sides = [[s.width for s in seen], [s.height for s in seen]]
    checked = Checked(
        hide_secrets(str(data)),
        out,
        classes,
        splits,
        Counter((s.found.split, s.found.name) for s in seen),
        Counter(s.format for s in seen),
        tuple(int(statistics.median(side or [0])) for side in sides),  # type: ignore[arg-type]
        contact.sheet_names(sorted({s.found.name for s in seen}, key=natural)),
        tuple(f for f in (unreadable, misplaced) if f.items) + tuple(find(seen, classes, splits, listener)),
    )
    write(checked, old, _sheets(checked, examined, workers, listener))
    return checked


def _examine(candidates: Sequence[Candidate], workers: int, listener: Listener) -> _Examined:
    spread: set[int] = set()
    for group in _by_class(candidates).values():
        spread.update(_evenly(group, contact.TILES))
    jobs = ((found, number in spread) for number, found in enumerate(candidates))
    examined = _Examined()
    for done, result in enumerate(each_in_turn(_look, jobs, workers), 1):
        listener.progress("Checking pictures", done, len(candidates))
        if isinstance(result, ImageError):
            examined.bad.append(Item((result.path,), f"{result.reason}; {result.advice}"))
            continue
        one, thumbnail = result
        if thumbnail:
            examined.thumbnails[len(examined.seen)] = thumbnail
        examined.seen.append(one)
    return examined


def _look(job: tuple[Candidate, bool]) -> tuple[Seen, bytes | None] | ImageError:
    found, wanted = job
    try:
        content, picture = _read(found)
    except ImageError as error:
        return ImageError(found.place, error.reason, error.advice)
    pixels = hashlib.sha256(str(picture.shape).encode())
    pixels.update(np.ascontiguousarray(picture).data)
    height, width, _ = picture.shape
    file = hashlib.sha256(content).digest()
    seen = Seen(found, recognise(content), width, height, file, pixels.digest(), fingerprint(picture))
    return seen, contact.thumbnail(picture) if wanted else None


def _read(found: Candidate) -> tuple[bytes, Picture]:
    content = read_content(found.path, found.member)
    try:
        return content, load_image(content)
    except ImageError as error:
        raise ImageError(found.place, error.reason, error.advice) from error


def _sheets(checked: Checked, examined: _Examined, workers: int, listener: Listener) -> Iterator[tuple[str, bytes]]:
    marks: dict[int, str] = {}
    for finding in checked.findings:
        for position in finding.marks:
            marks.setdefault(position, finding.mark)
    marked: dict[str, list[int]] = {}
    for position in marks:  # pictures of the same finding side by side
        marked.setdefault(examined.seen[position].found.name, []).append(position)
    groups = _by_class([s.found for s in examined.seen])
    draw = partial(_draw, checked, examined, marks)
    jobs = ((name, groups[name], marked.get(name, [])) for name in checked.sheets)
    for done, (name, sheet) in enumerate(zip(checked.sheets, each_in_turn(draw, jobs, workers), strict=True), 1):
        listener.progress("Drawing sheets", done, len(checked.sheets))
        yield checked.sheets[name], sheet


def _draw(checked: Checked, examined: _Examined, marks: dict[int, str], job: tuple[str, list[int], list[int]]) -> bytes:
    """Marked pictures come first, then those that were chosen beforehand, evenly over the class."""
    name, group, marked = job
    shown = marked[: contact.TILES // 2]
    first = set(shown)
    rest = [i for i in group if i in examined.thumbnails and i not in first]
    shown += _evenly(rest, contact.TILES - len(shown))
    tiles = []
    for position in shown:
        found = examined.seen[position].found
        content = examined.thumbnails.get(position) or contact.thumbnail(_read(found)[1])
        caption = PurePath(str(found.member or found.path)).name
        split = "" if found.split == "all" else f"{found.split}/"
        tiles.append(contact.Tile(content, split + caption, marks.get(position, "")))
    counts = " · ".join(f"{split} {checked.counts[split, name]:,}" for split in checked.splits if split != "all")
    total = f"{len(group):,} pictures" if len(group) > 1 else "1 picture"
    parts = (total, counts, f"{len(shown)} shown" if len(shown) < len(group) else "")
    return contact.draw_sheet(name, "   ".join(filter(None, parts)), tiles)


def _by_class(candidates: Sequence[Candidate]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for position, found in enumerate(candidates):
        groups.setdefault(found.name, []).append(position)
    return groups


def _evenly(group: Sequence[int], count: int) -> list[int]:
    return [group[i * len(group) // count] for i in range(count)] if len(group) > count else list(group)


def each_in_turn(work: Callable[[In], Out], jobs: Iterable[In], workers: int) -> Iterator[Out]:
    """Results in the jobs' order; only a few are under way, or a million pictures would wait in memory."""
    with ThreadPoolExecutor(workers) as pool:  # Pillow, numpy and hashlib work without Python's lock
        waiting: deque[Future[Out]] = deque()
        for job in jobs:
            waiting.append(pool.submit(work, job))
            if len(waiting) > 8 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

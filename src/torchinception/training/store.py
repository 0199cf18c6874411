"""Where a run keeps its checkpoints: the last two and the best, each whole."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torchinception.errors import DataError, SaveError
from torchinception.files import write_atomically
from torchinception.progress import Listener

MANIFEST = "manifest.json"
_DIGEST_BYTES = 32  # the SHA-256 that ends a checkpoint
_NAME = re.compile(r"step-([0-9]{9}|[1-9][0-9]{9,})\.ckpt")
_LEFTOVER = re.compile(rf"\.({_NAME.pattern}|{re.escape(MANIFEST)})\.[0-9a-f]+\.tmp")  # of `write_atomically`


def verified(path: Path) -> bytes:
    """What a checkpoint holds, without the SHA-256 at its end.

    Raises:
        DataError: the file is missing, damaged or too short.
    """
    try:
        return _whole(path)[:-_DIGEST_BYTES]
    except ValueError as reason:
        raise DataError(f"checkpoint {path} cannot be used ({reason}); use --overwrite to begin again") from reason


def _whole(path: Path) -> bytes:
    """All of a checkpoint; a ValueError says what is wrong with it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError("it is missing") from error
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or error}") from error
    if len(raw) <= _DIGEST_BYTES:
        raise ValueError("it is too short")
    if hashlib.sha256(memoryview(raw)[:-_DIGEST_BYTES]).digest() != raw[-_DIGEST_BYTES:]:
        raise ValueError("its SHA-256 differs")
    return raw


@dataclass(frozen=True, order=True)  # by step, of which a manifest has each once
class Entry:
    """A row of the manifest. Without `sha256` the file is about to be rewritten, and its own digest decides."""

    step: int
    sha256: str | None
    score: float | None

    @property
    def name(self) -> str:
        """The file; a path is made of the step alone, whatever a manifest says."""
        return f"step-{self.step:09d}.ckpt"


def _render(entries: Iterable[Entry]) -> bytes:
    rows = [dict(name=e.name, step=e.step, sha256=e.sha256, score=e.score) for e in sorted(entries)]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return (json.dumps(dict(files=rows, sha256=digest), indent=2) + "\n").encode()


def _merit(entry: Entry) -> tuple[float, int]:
    assert entry.score is not None
    return entry.score, -entry.step  # of equals the earlier


class Store:
    """The checkpoints of one run; files that are not in the manifest are never deleted."""

    def __init__(self, folder: Path, listener: Listener) -> None:
        self.folder, self.listener, self.manifest = folder, listener, folder / MANIFEST

    def place(self, step: int) -> Path:
        """The path that the next save writes; a file that stands there already stays valid until it is replaced."""
        entries, _ = self._read()
        if step in entries and entries[step].sha256:
            entries[step] = Entry(step, None, entries[step].score)
            write_atomically(self.manifest, _render(entries.values()))
        return self.folder / Entry(step, None, None).name

    def keep(self, step: int, score: float | None = None) -> None:
        """List the file just written, then delete all but the last two up to `step` and the best.

        Files of later steps go too: who saves `step` after them has gone back, because they are damaged.

        Args:
            step: of the file, which `place(step)` named.
            score: the validation accuracy that belongs to it; may follow in a second call for the same step.

        Raises:
            SaveError: the file is not whole, and nothing was deleted; or the manifest could not be written.
        """
        path = self.folder / Entry(step, None, None).name
        try:
            sha256 = _whole(path)[-_DIGEST_BYTES:].hex()
        except ValueError as reason:
            raise SaveError(
                f"checkpoint {path} was not saved ({reason}); older ones are kept, check the disk"
            ) from reason
        entries, fault = self._read()
        if fault and fault != "is missing":
            self.listener.say(f"{self.manifest} {fault}; files that it listed stay")
        if score is None and step in entries and entries[step].sha256 == sha256:
            score = entries[step].score
        entries = {number: entry for number, entry in entries.items() if self._there(entry)}
        entries[step] = Entry(step, sha256, score)
        write_atomically(self.manifest, _render(entries.values()))
        wanted = set(sorted(number for number in entries if number <= step)[-2:])
        scored = [entry for entry in entries.values() if entry.score is not None and entry.step <= step]
        wanted |= {max(scored, key=_merit).step} if scored else set()
        if wanted == set(entries):
            return
        for entry in entries.values():
            if entry.step not in wanted:
                with contextlib.suppress(OSError):  # it stays listed, and the next time tries again
                    (self.folder / entry.name).unlink()
        write_atomically(self.manifest, _render(e for e in entries.values() if e.step in wanted or self._there(e)))

    def newest(self) -> Path | None:
        """The checkpoint of the latest step that is whole and the one that was saved; says which were skipped.

        Raises:
            DataError: there are checkpoints, but none can be used.
        """
        entries, fault = self._read()
        found = (_NAME.fullmatch(path.name) for path in self.folder.glob("step-*.ckpt"))
        orphans = {step: Entry(step, None, None) for step in (int(match[1]) for match in found if match)}
        candidates = orphans | entries
        if candidates and fault:
            self.listener.say(f"{self.manifest} {fault}; each checkpoint is judged by its own SHA-256")
        chosen = self._first(sorted(candidates.values(), reverse=True))
        if candidates and not chosen:
            raise DataError(f"no checkpoint in {self.folder} can be used; use --overwrite to begin again")
        return chosen

    def best(self) -> Path | None:
        """The checkpoint of the highest score, of equals the earlier; says which were skipped."""
        entries, fault = self._read()
        if fault and fault != "is missing":
            self.listener.say(f"{self.manifest} {fault}; which checkpoint is best is not known")
        scored = [entry for entry in entries.values() if entry.score is not None]
        return self._first(sorted(scored, key=_merit, reverse=True))

    def clear(self) -> None:
        """Remove every checkpoint and the manifest, for a run that begins anew; other files stay.

        Raises:
            SaveError: one cannot be removed, and a later resume would take it up.
        """
        own = [path for path in self.folder.glob("step-*.ckpt") if _NAME.fullmatch(path.name)]
        try:
            for path in (*own, self.manifest):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise SaveError(f"cannot remove {path}: {error.strerror}; remove it, or choose another --out") from error

    def sweep(self) -> None:
        """Remove what writes that were killed have left in the folder."""
        for path in self.folder.glob(".*.tmp"):
            if _LEFTOVER.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _read(self) -> tuple[dict[int, Entry], str]:
        """The manifest by step, and what is wrong with it; then it counts as empty."""
        try:
            raw = self.manifest.read_bytes()
            rows = json.loads(raw)["files"]
            entries = {row["step"]: Entry(row["step"], row["sha256"], row["score"]) for row in rows}
            whole = _render(entries.values()) == raw
        except FileNotFoundError:
            return {}, "is missing"
        except OSError as error:
            return {}, f"cannot be read ({error.strerror or error})"
        except (ValueError, TypeError, KeyError):
            whole = False
        return (entries, "") if whole else ({}, "is damaged")

    def _there(self, entry: Entry) -> bool:
        """A file that only cannot be looked at, for an error of the disk, stays listed."""
        try:
            (self.folder / entry.name).stat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def _first(self, entries: Iterable[Entry]) -> Path | None:
        for entry in entries:
            path = self.folder / entry.name
            try:
                sha256 = _whole(path)[-_DIGEST_BYTES:].hex()
                if entry.sha256 in (None, sha256):
                    return path
                reason = "it is not the file that was saved"
            except ValueError as error:
                reason = str(error)
            self.listener.say(f"Skipped checkpoint {path}: {reason}")
        return None

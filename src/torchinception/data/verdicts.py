"""What came of each picture, remembered in the cache. Whatever befalls that file costs time only."""

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torchinception.progress import Listener

WAIT_S = 5.0  # for another process that writes
_CREATE = """CREATE TABLE IF NOT EXISTS verdicts (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, gate TEXT,
    digest BLOB, width INTEGER, height INTEGER, reason TEXT, advice TEXT, seal BLOB) WITHOUT ROWID"""
_NOT_DAMAGE = {  # but the disk, its permissions, or another process
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM),
}
_ERRORS = (sqlite3.Error, OSError, UnicodeDecodeError)  # the last of what a damaged file makes SQLite say


class Verdict(NamedTuple):
    """SHA-256 of a picture's bytes, empty if they could not be read, and its size; or why it cannot be used."""

    digest: bytes
    width: int
    height: int
    reason: str = ""
    advice: str = ""


class Stamp(NamedTuple):
    """What a verdict holds for: a file as it was, and the gate as it is."""

    path: bytes
    size: int
    mtime_ns: int
    gate: str


class Memory:
    """Verdicts in an SQLite file; made anew if it is damaged, done without if it cannot be used."""

    def __init__(self, path: Path, listener: Listener) -> None:
        self.path, self.listener, self.renewed = path, listener, False
        self._file: sqlite3.Connection | None = None
        try:
            self._open()
        except _ERRORS as error:
            self._recover(error)

    def recall(self, stamp: Stamp) -> Verdict | None:
        """What was learnt of a file, if it has not changed since."""
        if self._file is None:
            return None
        try:
            row = self._file.execute("SELECT * FROM verdicts WHERE path = ?", [stamp.path]).fetchone()
        except _ERRORS as error:
            self._recover(error)
            return None
        if not row or row[-1] != _seal(row[:-1]) or row[: len(stamp)] != stamp:
            return None
        return Verdict(*row[len(stamp) : -1])

    def learn(self, verdicts: Sequence[tuple[Stamp, Verdict]]) -> None:
        """Remember these for later runs."""
        if self._file is None or not verdicts:
            return
        rows = [(*stamp, *verdict, _seal((*stamp, *verdict))) for stamp, verdict in verdicts]
        try:
            with self._file:
                self._file.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        except _ERRORS as error:
            self._recover(error)
            self.learn(verdicts)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(self.path, timeout=WAIT_S)
        for command in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", _CREATE):
            self._file.execute(command)

    def _recover(self, error: Exception) -> None:
        self.close()
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells kinds of it apart
        if isinstance(error, OSError) or code in _NOT_DAMAGE or self.renewed:
            self.listener.say(f"Pictures are checked without a memory of earlier checks: {self.path}: {error}")
            return
        self.listener.say(f"The memory of earlier checks is damaged and begins anew: {self.path}: {error}")
        self.renewed = True
        try:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._open()
        except _ERRORS as again:
            self._recover(again)


def _seal(values: tuple[bytes | int | str, ...]) -> bytes:
    """SQLite does not notice a flipped bit."""
    return hashlib.blake2b(repr(values).encode(), digest_size=8).digest()

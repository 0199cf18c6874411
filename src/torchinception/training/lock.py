"""The lock of a run folder, which keeps a second writer out."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from torchinception.errors import SaveError, UsageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_held: set[int] = set()  # descriptors of the locks of this process


def _let_go() -> None:
    """In a fork, a loader's worker say: it must not hold the lock of a parent that was killed."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """While this lasts no other process may train in `folder`; the system frees the lock of a process that died.

    Raises:
        UsageError: another process holds the lock.
        SaveError: the folder cannot be written to, or its file system has no locks.
    """
    path = folder / ".lock"
    try:
        descriptor = _acquire(path)
    except OSError as error:
        raise SaveError(f"cannot write {path}: {error.strerror or error}; choose another --out") from error
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:  # not in a fork
            _held.remove(descriptor)
            if sys.platform == "win32":  # where only a closed file can be removed
                os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
            if sys.platform != "win32":  # after the removal, or it might be that of the next holder's file
                os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _try_lock(descriptor):
                holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
                raise UsageError(
                    f"another process (pid {holder}) is training in {path.parent}; wait for it, or choose another --out"
                )
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(descriptor)):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed the file between our opening and locking it; once more


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # beyond the pid, which others may read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

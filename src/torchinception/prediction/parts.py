"""What a process has found so far, beside the file that is to be: it survives every kind of end, and goes on.

`named.csv.part/0-of-1/` holds the rows, features if there are any, and `state.json`, which says how many bytes of
them count. What lies behind those was written after the last state, and is cut off and computed again.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from torchinception.errors import SaveError, UsageError
from torchinception.files import cannot_write, write_atomically
from torchinception.prediction.inputs import Picture, line_of

STATE_SECONDS = 1.0  # the most, about, that a killed run computes again
STATE_SHARE = 0.05  # of the time, at most, is for writing states
VERSION = 1


class State(NamedTuple):
    """How far a process came: pictures done and bad ones among them, a digest of their places, bytes that count.

    `of` is what has to be the same to go on: the model and all that decides an answer.
    """

    of: dict[str, Any]
    done: int = 0
    bad: int = 0
    inputs: str = hashlib.sha256().hexdigest()
    sizes: Mapping[str, int] = {}
    finished: bool = False
    version: int = VERSION


class Part:
    """The part of one process, held by it alone until it is closed.

    Args:
        target: the file that is to be.
        rank: which process this is.
        world: of how many.
        of: see `State`.
        names: of the files to append to.
        resume: whether to go on with what is there.

    Raises:
        UsageError: there is a part, and it is not to be gone on with, is another's, or another process holds it.
        SaveError: it cannot be written.
    """

    def __init__(
        self, target: Path, rank: int, world: int, of: dict[str, Any], names: tuple[str, ...], *, resume: bool
    ) -> None:
        self.target, self.world = target, world
        self.root = part_of(target)
        self.folder = self.root / f"{rank}-of-{world}"
        self.state = State(of, sizes=dict.fromkeys(names, 0))
        self._digest = hashlib.sha256()
        with saving(target), contextlib.ExitStack() as opened:
            self._check_others()
            self.folder.mkdir(parents=True, exist_ok=True)
            opened.enter_context(_held(self.folder))
            self._begin(of, resume)
            self._files = {name: opened.enter_context(self._open(name)) for name in names}
            self._write_state()
            self._opened = opened.pop_all()

    def _check_others(self) -> None:
        others = [path.name for path in self.root.glob("*-of-*") if not path.name.endswith(f"-of-{self.world}")]
        if others:
            count = others[0].rpartition("-")[2]
            raise UsageError(f"{self.root} was begun by {count} processes, not {self.world}; start as many, {ANEW}")

    def _begin(self, of: dict[str, Any], resume: bool) -> None:
        """Read the state, if there is one."""
        found = read_state(self.folder)
        if found is None or not found.done:
            return
        if not resume:
            raise UsageError(
                f"{self.root} holds {found.done:,} pictures of a run that did not end; go on with --resume, {ANEW}"
            )
        different = [name for name in {**of, **found.of} if of.get(name) != found.of.get(name)]
        if different or found.sizes.keys() != self.state.sizes.keys():
            raise UsageError(f"{self.root} is of another {' and '.join(different) or 'kind'}; go on as it was, {ANEW}")
        self.state = found

    def _open(self, name: str) -> BinaryIO:
        size, path = self.state.sizes[name], self.folder / name
        file = path.open("ab")
        if path.stat().st_size < size:
            file.close()
            raise UsageError(f"{path} is shorter than it was, so damaged; {ANEW.removeprefix('or ')}")
        file.truncate(size)
        return file

    def skip(self, pictures: Iterable[Picture | None]) -> Iterator[Picture | None]:
        """Those that are not yet done; None is passed over before them, and stays between them, see `Inputs`.

        Raises:
            UsageError: the first ones are not those that were done.
        """
        rest = iter(pictures)
        for picture in islice((one for one in rest if one is not None), self.state.done):
            self._digest.update(line_of(picture))
        if self._digest.hexdigest() != self.state.inputs:
            raise UsageError(f"{self.root} is of other pictures, or in another order; name the same ones, {ANEW}")
        return rest

    def append(self, pictures: Iterable[Picture], bad: int, contents: Mapping[str, bytes]) -> None:
        """Pictures that are done; what is found of them is there for others to read when this returns.

        Raises:
            SaveError: it could not be written.
        """
        done = self.state.done
        for picture in pictures:
            self._digest.update(line_of(picture))
            done += 1
        sizes = dict(self.state.sizes)
        with saving(self.target):
            for name, content in contents.items():
                self._files[name].write(content)
                self._files[name].flush()
                sizes[name] += len(content)
            self.state = self.state._replace(
                done=done, bad=self.state.bad + bad, inputs=self._digest.hexdigest(), sizes=sizes
            )
            if time.monotonic() >= self._due:
                self._write_state()

    def finish(self) -> None:
        """Nothing more comes.

        Raises:
            SaveError: it could not be written.
        """
        self.state = self.state._replace(finished=True)
        with saving(self.target):
            self._write_state()

    def _write_state(self) -> None:
        began = time.monotonic()
        for file in self._files.values():
            os.fsync(file.fileno())
        write_atomically(self.folder / "state.json", json.dumps(self.state._asdict()))
        ended = time.monotonic()
        self._due = ended + min(STATE_SECONDS, (ended - began) / STATE_SHARE)

    def close(self) -> None:
        """Let another process have it; nothing is kept of a run that found nothing."""
        with contextlib.suppress(OSError, ValueError):  # a full disk, which was said; files that Python closed before
            if not self.state.finished:
                self._write_state()
        with contextlib.suppress(OSError):
            self._opened.close()
        if not self.state.done and self.world == 1:
            remove(self.root)


ANEW = "or delete that folder to begin anew"


def part_of(target: Path) -> Path:
    """Where the parts of a file are."""
    return target.with_name(f"{target.name}.part")


def read_state(folder: Path) -> State | None:
    """That of a part; None if there is none, or none that this version can read."""
    try:
        found = State(**json.loads((folder / "state.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.version == VERSION else None


def remove(root: Path) -> None:
    """All parts, at once for whoever looks for them."""
    gone = root.with_name(f".{root.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        root.rename(gone)
        shutil.rmtree(gone)


@contextlib.contextmanager
def saving(target: Path) -> Iterator[None]:
    """Every error of the file system as one that names `target`."""
    try:
        yield
    except SaveError:
        raise
    except OSError as error:
        raise cannot_write(target, error) from error


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """While this lasts no other process may write there; the system frees it when this one dies. Not on Windows."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UsageError(f"another process is writing to {folder}; wait for it, or choose another file") from None
    finally:
        os.close(descriptor)

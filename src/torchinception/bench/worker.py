"""One side of a benchmark in a process of its own, which waits for its turns without computing."""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from torchinception.bench.process import forget_peak, growth_bytes, pin

Run = Callable[[], Any]  # one call: the answers, as a NumPy array
Load = Callable[[], tuple[str, Run]]  # from a file to a version and what computes
Prepare = Callable[[], Load]  # imports what is needed; it is sent to the worker, so it has to be picklable

PATIENCE = 5  # seconds for a worker to end when it is told to


class WorkerError(Exception):
    """A side that failed, or whose process died: why, in one line."""


@dataclass(frozen=True)
class Loaded:
    """The side is ready, and has given its first answers."""

    version: str
    seconds: float
    answers: Any


@dataclass(frozen=True)
class Turn:
    """Call once without timing, then so many times; `cpu` is for the process's own time instead of the wall's."""

    calls: int
    cpu: bool


@dataclass(frozen=True)
class Took:
    """Seconds of one call, on average; and since the turn before, how long it waited and computed meanwhile."""

    seconds: float
    waited: float
    computed: float


class Worker:
    """The parent's handle on a side; use it in a `with`, which ends the process whatever happens.

    Args:
        prepare: what it is to run.
        threads: how many; the process is pinned to as many processors, where the system can.
        environment: of the process, on top of the parent's; None takes a variable away.
        log: the file for what it and its libraries print.
    """

    def __init__(self, prepare: Prepare, *, threads: int, environment: Mapping[str, str | None], log: Path) -> None:
        self._log = log
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, threads, log), daemon=True)
        with _environment(environment):
            self._process.start()
        theirs.close()  # or the end of the process would not be noticed
        self._prepare = prepare

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, which has nothing to save."""
        self._connection.close()
        for end in (self._process.terminate, self._process.kill):
            if self._process.is_alive():
                end()
                self._process.join(PATIENCE)

    def load(self) -> Loaded:
        """Build the side, and have its first answers.

        Raises:
            WorkerError: it failed.
        """
        found = self._ask(self._prepare)
        assert isinstance(found, Loaded)
        return found

    def turn(self, calls: int, *, cpu: bool) -> Took:
        """Time it.

        Raises:
            WorkerError: it failed.
        """
        found = self._ask(Turn(calls, cpu))
        assert isinstance(found, Took)
        return found

    def memory_bytes(self) -> int | None:
        """By how much the process has grown at its peak since the imports; None where no system says.

        Raises:
            WorkerError: it died.
        """
        found = self._ask("memory")
        assert found is None or isinstance(found, int)
        return found

    def _ask(self, request: object) -> object:
        try:
            self._connection.send(request)
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise WorkerError(self._death()) from None
        if isinstance(answer, WorkerError):
            raise answer
        return answer

    def _death(self) -> str:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        with suppress(OSError):
            lines = self._log.read_text(errors="replace").split("\n")
            return ": ".join([f"its process died ({how})", *[line for line in lines if line.strip()][-1:]])
        return f"its process died ({how})"


@contextmanager
def _environment(changed: Mapping[str, str | None]) -> Iterator[None]:
    """For a process that is started meanwhile: Python may import the parent's script there, and torch, ahead of all."""
    before = {name: os.environ.get(name) for name in changed}
    _change_environment(changed)
    try:
        yield
    finally:
        _change_environment(before)


def _change_environment(changed: Mapping[str, str | None]) -> None:
    for name, value in changed.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _serve(connection: Connection, threads: int, log: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent then ends its workers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that its libraries clean up
    with log.open("ab") as file:
        for stream in (1, 2):  # a library's chatter is neither in the table nor in the JSON
            os.dup2(file.fileno(), stream)
    pin(threads)
    with suppress(EOFError, ConnectionError):  # the parent is done, or dead
        try:
            _work(connection)
        except (EOFError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001, whatever a runtime raises is its row's
            traceback.print_exc()
            first = (str(error).strip().splitlines() or [""])[0]
            connection.send(WorkerError(f"{type(error).__name__}: {first}"))
            connection.recv()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which comes now, while they do so


def _work(connection: Connection) -> None:
    load: Load = connection.recv()()
    before = forget_peak()
    start = time.perf_counter()
    version, run = load()
    answers = run()
    connection.send(Loaded(version, time.perf_counter() - start, answers))
    ended, computed = time.perf_counter(), time.process_time()
    while True:
        request = connection.recv()
        if not isinstance(request, Turn):
            connection.send(growth_bytes(before))
            continue
        waited, meanwhile = time.perf_counter() - ended, time.process_time() - computed
        run()  # caches and threads are another side's until now
        clock = time.process_time if request.cpu else time.perf_counter
        start = clock()
        for _ in range(request.calls):
            run()
        seconds = (clock() - start) / request.calls
        connection.send(Took(seconds, waited, meanwhile))
        ended, computed = time.perf_counter(), time.process_time()

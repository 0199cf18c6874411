import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from conftest import FORKS

from torchinception.errors import SaveError, UsageError
from torchinception.training import lock
from torchinception.training.lock import locked


def hold(folder: Path, told: Connection, fork: bool = False) -> None:
    with locked(folder):
        worker = os.fork() if fork else os.getpid()
        if worker:
            told.send(worker)
        time.sleep(60)


@pytest.fixture
def held(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A folder, the process that holds its lock, and what it sent: the process id of its fork, or its own."""
    here, there = FORKS.Pipe()
    fork = getattr(request, "param", False)
    process = FORKS.Process(target=hold, args=(tmp_path / "run", there, fork))
    process.start()
    assert here.poll(60)
    worker = here.recv()
    yield tmp_path / "run", process, worker
    process.kill()
    process.join()
    if fork:
        os.kill(worker, signal.SIGKILL)


def test_a_second_writer_is_refused_by_name(held: Any) -> None:
    folder, process, _ = held
    with pytest.raises(UsageError) as caught, locked(folder):
        pytest.fail("two writers")
    assert str(caught.value) == (
        f"another process (pid {process.pid}) is training in {folder}; wait for it, or choose another --out"
    )


@pytest.mark.parametrize("held", [False, True], ids=["alone", "with a worker that lives on"], indirect=True)
def test_a_killed_holder_blocks_nobody(held: Any) -> None:
    folder, process, worker = held
    process.kill()
    process.join()
    if worker != process.pid:
        os.kill(worker, 0)  # alive
    with locked(folder):
        assert (folder / ".lock").read_text() == f"{os.getpid()}\n"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError("bad value"), KeyboardInterrupt()])
def test_an_error_frees_the_lock(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), locked(tmp_path):
        raise error
    with locked(tmp_path), pytest.raises(UsageError, match=f"pid {os.getpid()}"), locked(tmp_path):
        pytest.fail("two writers")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_removed_just_before_it_was_got_is_sought_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = lock._try_lock, []

    def late(descriptor: int) -> bool:
        if not tries:
            (tmp_path / ".lock").unlink()  # the holder ends
        tries.append(descriptor)
        return real(descriptor)

    monkeypatch.setattr(lock, "_try_lock", late)
    with locked(tmp_path):
        assert ((tmp_path / ".lock").read_text(), len(tries)) == (f"{os.getpid()}\n", 2)


def test_a_folder_that_cannot_be_made_is_a_save_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match=r"cannot write .*file.\.lock"), locked(tmp_path / "file"):
        pytest.fail("locked a file")


CONTEND = """
import os, sys, time
from pathlib import Path
from torchinception.errors import UsageError
from torchinception.training.lock import locked
folder, end = Path(sys.argv[1]), time.monotonic() + 2
while time.monotonic() < end:
    try:
        with locked(folder / "run"):
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))  # fails if another is inside
            os.unlink(folder / "inside")
    except UsageError:
        pass
"""


def test_of_three_that_contend_one_at_a_time_is_inside(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONTEND, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert (errors, [process.returncode for process in processes]) == ([""] * 3, [0] * 3)
    assert list((tmp_path / "run").iterdir()) == []

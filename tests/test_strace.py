"""Every system call of a save fails once, and is once the last; the newest checkpoint is the old or the new.

`strace` counts the calls that name the checkpoints' folder, or a file in it by its descriptor, while a forked
process saves as the recorder does; then it has each of them fail with an error or ends the process as it is made.
A call that kills was not carried out, so that each stands for the moment after the one before, too.
"""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from conftest import FORKS
from store_fixtures import Notes

from torchinception.errors import SaveError
from torchinception.training.checkpoint import VerifiedIO
from torchinception.training.store import Store, verified

# scores by step; the step then saved; system calls that are among those to be struck
SCENES: dict[str, tuple[dict[int, float | None], int, set[str]]] = {
    "the first": ({}, 10, {"mkdir", "openat", "write", "fsync", "rename", "close"}),
    "one that removes two": ({10: 0.9, 20: None, 30: 0.5}, 40, {"unlink", "rename"}),
    "the last one anew": ({10: 0.1, 20: None, 30: None}, 30, {"unlink", "rename"}),
}
FAULTS = ("SIGKILL", "ENOSPC", "EIO", "EROFS", "EDQUOT")
FOREIGN = ("last.ckpt", "step-3.ckpt", ".note.1.tmp")


def save(folder: Path, step: int, score: float | None, of: str) -> None:
    """As the recorder does, at an epoch's end."""
    store = Store(folder, Notes())
    VerifiedIO().save_checkpoint(dict(step=step, of=of, weights=torch.arange(9_999)), store.place(step))
    store.keep(step)
    store.keep(step, score)


class Save(NamedTuple):
    """What a save came to: -N after death by signal N, else an exit code; its error; its calls, as strace saw them."""

    code: int
    error: str
    calls: list[str]


def save_traced(folder: Path, step: int, log: Path, *options: str) -> Save | str:
    """A save in a fork, under strace from its first call on; or why it cannot be traced."""
    message = log.with_suffix(".error")
    message.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        code = 70
        try:
            save(folder, step, 1.0, "new")
            code = 0
        except Exception as error:  # noqa: BLE001, told by the parent
            code = error.exit_code if isinstance(error, SaveError) else 1
            message.write_text(f"{type(error).__name__}: {error}")
        finally:
            os._exit(code)
    os.waitpid(child, os.WUNTRACED)
    command = ["strace", "-y", "-s", "0", "-e", "trace=%file,%desc", "-o", str(log), *options, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr
        said = tracer.stderr.readline()
        os.kill(child, signal.SIGCONT if "attached" in said else signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        tracer.stderr.read()
    if "attached" not in said:
        return said
    return Save(code, message.read_text() if message.exists() else "", log.read_text().splitlines())


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Save]]:
    """`save_traced` in a process that has imported all and has a single thread."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")

    def run(*arguments: object) -> Save:
        found = pool.submit(save_traced, *arguments).result(60)  # type: ignore[arg-type]
        if isinstance(found, str):
            pytest.skip(f"strace may not trace: {found}")
        return found

    with ProcessPoolExecutor(1, FORKS) as pool:
        pool.submit(save, tmp_path_factory.mktemp("first"), 1, None, "first").result(60)  # which imports still more
        yield run


class Scene(NamedTuple):
    """A run before the save, which step is saved, what the newest one is before and after, and the save's calls."""

    before: Path
    foreign: tuple[str, ...]
    step: int
    old: bytes | None
    new: bytes
    calls: list[str]

    def points(self) -> list[tuple[str, int]]:
        """Of each call on the folder its name, and how many of that name there were by then."""
        seen: dict[str, int] = {}
        points = []
        for call in self.calls:
            name = call.partition("(")[0]
            seen[name] = seen.get(name, 0) + 1
            if str(self.before.parent / "run") in call:
                points.append((name, seen[name]))
        return points


@pytest.fixture(scope="module", params=SCENES)
def scene(
    request: pytest.FixtureRequest, traced: Callable[..., Save], tmp_path_factory: pytest.TempPathFactory
) -> Scene:
    earlier, step, expected = SCENES[request.param]
    root = tmp_path_factory.mktemp("scene")
    before, run = root / "before", root / "run"
    before.mkdir()
    folder = before / "checkpoints"
    for old, score in earlier.items():
        save(folder, old, score, "old")
    foreign = FOREIGN if earlier else ()
    for name in foreign:
        (folder / name).write_text("foreign")
    shutil.copytree(before, run)
    done = traced(run / "checkpoints", step, root / "log")
    assert done.code == 0, done.error
    old_newest, new_newest = (Store(path / "checkpoints", Notes()).newest() for path in (before, run))
    assert new_newest
    found = Scene(before, foreign, step, verified(old_newest) if old_newest else None, verified(new_newest), done.calls)
    assert expected <= {name for name, _ in found.points()}
    return found


def test_a_save_struck_at_any_system_call_leaves_the_old_or_the_new(
    scene: Scene, traced: Callable[..., Save], tmp_path: Path, full: bool, survived: Callable[[str], None]
) -> None:
    run, chance = scene.before.parent / "run", random.Random(0)
    folder = run / "checkpoints"
    turns = []  # whether the new one was there, by the time of the kill
    for name, number in scene.points():
        for fault in FAULTS if full else (chance.choice(FAULTS),):
            shutil.rmtree(run)
            shutil.copytree(scene.before, run)
            kind = "signal" if fault == "SIGKILL" else "error"
            inject = f"inject={name}:{kind}={fault}:when={number}"
            code, error, calls = traced(folder, scene.step, tmp_path / "log", "-e", inject)
            store = Store(folder, Notes())
            newest = store.newest()
            content = verified(newest) if newest else None
            came_to = f"{fault} at {name} {number}: {code}, {error}"
            assert content in (scene.old, scene.new), came_to
            if fault == "SIGKILL":
                turns.append(content == scene.new)
                assert code == -signal.SIGKILL, came_to
            else:
                (struck,) = (call for call in calls if "(INJECTED)" in call)
                assert str(folder) in struck, came_to
                saved = (code, error, content) == (0, "", scene.new)
                assert saved or (code == 74 and str(folder) in error), came_to
            go_on(store, newest)
            assert all((folder / foreign).read_text() == "foreign" for foreign in scene.foreign), came_to
            survived(f"{fault} at a system call of a save")
    assert turns == sorted(turns)
    assert set(turns) == {False, True}


def go_on(store: Store, newest: Path | None) -> None:
    """As a run does that is resumed."""
    store.sweep()
    assert not list(store.folder.glob(".*.ckpt.*"))
    if newest:
        store.keep(int(newest.stem.removeprefix("step-")))
    save(store.folder, 50, None, "later")
    assert store.newest() == store.folder / "step-000000050.ckpt"

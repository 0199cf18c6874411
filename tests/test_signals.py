"""Ctrl-C and SIGTERM save and exit; resuming then ends as a run that never stopped (times: see test_resume)."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest
from child import At
from conftest import FORKS, SHORT, Result, Running, outcome
from data_fixtures import listing

import torchinception as ti
from torchinception.errors import InterruptedRunError
from torchinception.progress import Listener

Inception = Callable[..., Result]
BOTH = pytest.mark.parametrize("signum", [SIGINT, SIGTERM])


@pytest.fixture
def resumes_exactly(inception: Inception, finished: Path, split: Path) -> Callable[[Path], bool]:
    def check(run: Path) -> bool:
        result = inception("train", split, *SHORT, "--out", run, "--resume")
        assert (result.code, "Resuming from" in result.err) == (0, True), result.err
        return outcome(run) == outcome(finished)

    return check


@pytest.mark.parametrize(
    ("path", "number", "signum", "step"),
    [
        ("*/train/*", 10, SIGINT, 2),
        ("*/train/*", 20, SIGTERM, 3),
        ("*/val/*", 3, SIGINT, 3),
        ("*/val/*", 3, SIGTERM, 3),
        ("*/train/*", 30, SIGTERM, 4),
        ("*/val/*", 16, SIGINT, 6),
    ],
)
def test_a_signal_saves_exits_and_resumes_exactly(
    inception: Inception,
    split: Path,
    tmp_path: Path,
    resumes_exactly: Callable[[Path], bool],
    path: str,
    number: int,
    signum: int,
    step: int,
) -> None:
    result = inception("train", split, *SHORT, "--out", tmp_path / "run", at=(At(path, number, signum),))
    assert result.code == 128 + signum
    assert f"stopped by {signum.name} after step {step}; go on with --resume" in result.err
    assert "Traceback" not in result.err
    assert resumes_exactly(tmp_path / "run")


@BOTH
def test_a_signal_to_the_workers_too_saves_exits_and_resumes_exactly(
    inception: Inception, split: Path, tmp_path: Path, resumes_exactly: Callable[[Path], bool], signum: int
) -> None:
    moment = At("*/train/*", 6, signum, group=True)  # a worker opens it, and the parent waits for its batch
    result = inception("train", split, *SHORT, "--workers", 2, "--out", tmp_path / "run", at=(moment,))
    assert result.code == 128 + signum, result.err
    assert resumes_exactly(tmp_path / "run")


@pytest.mark.parametrize(
    "second",
    [At("*/train/*", 21, SIGINT), At("*/step-*.ckpt", 3, SIGTERM, event="os.rename")],
    ids=["SIGINT in the same step", "SIGTERM as the checkpoint is put in place"],
)
def test_a_second_signal_exits_at_once_and_the_last_checkpoint_is_whole(
    inception: Inception, split: Path, tmp_path: Path, resumes_exactly: Callable[[Path], bool], second: At
) -> None:
    command = ("train", split, *SHORT, "--checkpoint-every", 1, "--out", tmp_path / "run")
    assert inception(*command, at=(At("*/train/*", 20, SIGINT), second)).code == -second.signum
    assert resumes_exactly(tmp_path / "run")


def test_a_signal_in_the_evaluation_after_training_loses_nothing(
    inception: Inception, split: Path, tmp_path: Path, resumes_exactly: Callable[[Path], bool]
) -> None:
    result = inception("train", split, *SHORT, "--out", tmp_path / "run", at=(At("*/val/*", 30, SIGTERM),))
    assert (result.code, "Traceback" in result.err) == (143, False)
    assert resumes_exactly(tmp_path / "run")


@BOTH
def test_a_signal_while_the_pictures_are_checked_leaves_nothing_behind(
    inception: Inception, split: Path, tmp_path: Path, signum: int
) -> None:
    fresh = Path(shutil.copytree(split, tmp_path / "clothes"))  # what other tests have checked is not opened again
    before, cwd = listing(fresh), tmp_path / "cwd"
    cwd.mkdir()
    result = inception("train", fresh, cwd=cwd, at=(At("*.png", 5, signum, begun=True),))
    assert (result.code, f"stopped by {signum.name}" in result.err) == (128 + signum, True)
    assert "Traceback" not in result.err
    assert (list(cwd.iterdir()), listing(fresh)) == ([], before)


@BOTH
def test_a_signal_ends_a_prediction_without_a_traceback(
    inception: Inception, finished: Path, split: Path, signum: int
) -> None:
    result = inception("predict", finished, split, at=(At("*.png", 5, signum, begun=True),))
    assert (result.code, result.out, "Traceback" in result.err) == (128 + signum, "", False)


def test_a_signal_from_another_process_saves_and_exits(
    start: Callable[..., Running], split: Path, tmp_path: Path
) -> None:
    running = start("train", split, *SHORT[:2], "--epochs", 999, "--batch", 8, "--out", tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    deadline = time.monotonic() + 60
    while not list(checkpoints.glob("step-*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send(SIGTERM)
    result = running.finish()
    assert (result.code, "go on with --resume" in result.err) == (143, True), result.err


def train_with_a_signal_after_the_first_step(split: Path, out: Path) -> None:
    class Sender(Listener):
        def progress(self, task: str, done: int, total: int, **figures: float) -> None:
            if (task, done) == ("Training", 1):  # the first step has been asked about signals already
                os.kill(os.getpid(), SIGTERM)

    settings = {"network": "tiny_inception", "epochs": 2, "batch": 8}
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM after step 2"):
        ti.train(split, settings=settings, out=out, workers=0, device="cpu", listener=Sender())


def test_a_signal_between_two_looks_is_followed_by_a_checkpoint(split: Path, tmp_path: Path) -> None:
    process = FORKS.Process(target=train_with_a_signal_after_the_first_step, args=(split, tmp_path / "run"))
    process.start()
    process.join(120)
    process.kill()  # if it has not ended
    process.join()
    assert process.exitcode == 0
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("*.ckpt")] == ["step-000000002.ckpt"]

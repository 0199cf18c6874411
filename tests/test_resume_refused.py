import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
from child import At
from conftest import SHORT, Result, outcome
from data_fixtures import listing

from torchinception.training.lock import locked

Inception = Callable[..., Result]


@pytest.fixture(scope="module")
def stopped(inception: Inception, split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed in its second epoch. Only read it."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    inception("train", split, *SHORT, "--out", out, at=(At("*/train/*", 36, SIGKILL),))
    return out


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--epochs", 3], r"epochs = 2.*epochs = 3"),
        (["--batch", 6], r"batch = 8.*batch = 6"),
        (["--seed", 1], r"seed = 0.*seed = 1"),
        (["--size", 32], r"size = 28.*size = 32"),
        (["--network", "small_inception"], r"tiny_inception.*small_inception"),
        (["--set", "optimizer.lr=0.02"], r"lr = 0.05.*lr = 0.02"),
    ],
)
def test_resuming_with_other_settings_is_refused_naming_old_and_new(
    inception: Inception, stopped: Path, split: Path, option: list[object], told: str
) -> None:
    before = listing(stopped)
    result = inception("train", split, *option, "--out", stopped, "--resume")
    assert (result.code, bool(re.search(told, result.err))) == (2, True), result.err
    assert listing(stopped) == before


def test_resuming_with_other_pictures_is_refused(
    inception: Inception, stopped: Path, split: Path, tmp_path: Path
) -> None:
    run, data = shutil.copytree(stopped, tmp_path / "run"), shutil.copytree(split, tmp_path / "clothes")
    shutil.copy(data / "train/bag/000.png", data / "train/trouser/000.png")
    result = inception("train", data, "--out", run, "--resume")
    assert (result.code, "pictures have changed" in result.err) == (65, True)


HARMS = pytest.mark.parametrize(
    "harm",
    [
        lambda whole: whole[:9999] + bytes([whole[9999] ^ 1]) + whole[10000:],
        lambda whole: whole[: len(whole) // 2],
        lambda _: b"",
    ],
    ids=["a flipped bit", "half of it", "nothing"],
)


@HARMS
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    inception: Inception, finished: Path, split: Path, tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    command = ("train", split, *SHORT, "--checkpoint-every", 1, "--out", tmp_path / "run")
    inception(*command, at=(At("*/train/*", 42, SIGKILL),))
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*.ckpt"))
    newest.write_bytes(harm(newest.read_bytes()))
    result = inception(*command, "--resume")
    assert (result.code, f"Skipped checkpoint {newest}" in " ".join(result.err.split())) == (0, True), result.err
    assert outcome(tmp_path / "run") == outcome(finished)


@HARMS
def test_if_no_checkpoint_is_whole_the_run_is_refused_and_they_are_kept(
    inception: Inception, stopped: Path, split: Path, tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    checkpoints = list((run / "checkpoints").glob("step-*.ckpt"))
    for path in checkpoints:
        path.write_bytes(harm(path.read_bytes()))
    before = [path.read_bytes() for path in checkpoints]
    result = inception("train", split, "--out", run, "--resume")
    assert (result.code, "use --overwrite to begin again" in " ".join(result.err.split())) == (65, True), result.err
    assert ([path.read_bytes() for path in checkpoints], (run / "model.safetensors").exists()) == (before, False)


def test_a_second_process_on_the_same_run_is_refused(
    inception: Inception, stopped: Path, split: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    with locked(run):
        result = inception("train", split, "--out", run, "--resume")
    assert (result.code, f"another process (pid {os.getpid()}) is training" in result.err) == (2, True), result.err
    assert inception("train", split, "--out", run, "--resume").code == 0


def test_beginning_anew_removes_our_checkpoints_and_no_others(
    inception: Inception, stopped: Path, split: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    (run / "checkpoints" / "mine.ckpt").write_text("a user's own")
    (run / "checkpoints" / "step-000000999.ckpt").write_bytes(b"of a save that was never listed")
    assert inception("train", split, *SHORT, "--out", run, "--overwrite").code == 0
    found = {path.name for path in (run / "checkpoints").iterdir()}
    assert found == {"manifest.json", "mine.ckpt", "step-000000003.ckpt", "step-000000006.ckpt"}


def test_a_finished_run_says_so_and_stays_as_it_is(inception: Inception, finished: Path, split: Path) -> None:
    before = listing(finished)
    result = inception("train", split, *SHORT, "--out", finished, "--resume")
    assert (result.code, "is finished already" in result.err) == (0, True)
    assert listing(finished) == before


def test_a_finished_run_is_not_taken_for_another(inception: Inception, finished: Path, split: Path) -> None:
    result = inception("train", split, "--epochs", 3, "--out", finished, "--resume")
    assert (result.code, "is finished, without epochs = 3; use --overwrite" in result.err) == (2, True), result.err


def test_weights_that_are_not_finite_are_never_saved(inception: Inception, split: Path, tmp_path: Path) -> None:
    # float32 ends at 3.4e38: the first loss is finite, the weights after it are not
    command = (
        "train",
        split,
        *SHORT,
        "--set",
        "schedule.warmup_epochs=0",
        "--set",
        "optimizer.lr=3e38",
        "--set",
        "optimizer.weight_decay=1e3",
    )
    result = inception(*command, "--checkpoint-every", 1, "--out", tmp_path / "run")
    assert (result.code, "is not finite at step 1, learning rate" in result.err) == (65, True), result.err
    assert list((tmp_path / "run" / "checkpoints").glob("step-*")) == []


def test_beginning_anew_without_an_average_leaves_no_raw_weights_of_the_old_run(
    inception: Inception, split: Path, tmp_path: Path
) -> None:
    command, raw = ("train", split, *SHORT, "--out", tmp_path / "run"), tmp_path / "run" / "raw.safetensors"
    assert inception(*command, "--set", "average.name=ema").code == 0
    assert raw.exists()
    assert inception(*command, "--overwrite").code == 0
    assert not raw.exists()

"""A run that was killed and resumed ends as one that never stopped.

Every kill is a SIGKILL that the process sends itself as it opens a certain picture, or is about to put a
certain file in its place. One run is 2 epochs of 3 steps of 8 pictures; 12 more pictures are held out.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
from child import At
from conftest import SHORT, Result, outcome

Inception = Callable[..., Result]


def picture(number: int) -> At:
    """As training opens its picture of this number, the first being 1."""
    return At("*/train/*", number, SIGKILL)


def held_out(number: int) -> At:
    return At("*/val/*", number, SIGKILL)


def placing(name: str, number: int = 1) -> At:
    return At(f"*/{name}", number, SIGKILL, event="os.rename")


def places(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


MOMENTS = {
    "between a checkpoint and the next": picture(36),
    "as an epoch's last checkpoint is put in place": placing("step-*.ckpt", 3),
    "at the start of validation": held_out(1),
    "as the record is put in place": placing("metrics.csv"),
    "at the start of the second epoch": picture(25),
    "in the last validation": held_out(20),
    "in the evaluation after training": held_out(30),
    "as the model is put in place": placing("model.safetensors"),
    "as the metrics are put in place": placing("metrics.json"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_resuming_equals_never_stopping(
    inception: Inception, finished: Path, split: Path, tmp_path: Path, moment: str
) -> None:
    command = ("train", split, *SHORT, "--checkpoint-every", 2, "--out", tmp_path / "run")
    assert inception(*command, at=(MOMENTS[moment],)).code == -SIGKILL
    result = inception(*command, "--resume")
    assert result.code == 0, result.err
    assert outcome(tmp_path / "run") == outcome(finished)


@pytest.mark.parametrize(
    "moments",
    [(held_out(1), picture(9)), (picture(17), picture(10), held_out(3))],
    ids=["in validation and a step later", "three times"],
)
def test_a_run_killed_again_and_again_gets_there(
    inception: Inception, finished: Path, split: Path, tmp_path: Path, moments: tuple[At, ...]
) -> None:
    command = ("train", split, *SHORT, "--checkpoint-every", 1, "--out", tmp_path / "run")
    for number, moment in enumerate(moments):
        assert inception(*command, *["--resume"][:number], at=(moment,)).code == -SIGKILL
    assert inception(*command, "--resume").code == 0
    assert outcome(tmp_path / "run") == outcome(finished)


def test_what_a_killed_save_left_behind_is_swept_up(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    command = ("train", split, *SHORT, "--out", tmp_path / "run")
    inception(*command, at=(placing("step-*.ckpt", 2),))
    inception(*command, "--resume")
    assert places(tmp_path / "run") == places(finished)


def test_a_full_disk_ends_a_run_with_74_and_spares_the_last_checkpoint(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    command = ("train", split, *SHORT, "--out", tmp_path / "run")
    full = At("*step-*.ckpt.*", 2, error=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    result = inception(*command, at=(full,))
    assert (result.code, "step-000000006.ckpt: No space left on device" in result.err) == (74, True), result.err
    assert inception(*command, "--resume").code == 0
    assert outcome(tmp_path / "run") == outcome(finished)


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_resuming_with_another_number_of_workers_changes_nothing(
    inception: Inception, finished: Path, split: Path, tmp_path: Path, before: int, after: int
) -> None:
    command = ("train", split, *SHORT, "--checkpoint-every", 1, "--out", tmp_path / "run")
    moment = At("*/step-*.ckpt", 5, SIGKILL, event="os.rename", group=True)
    assert inception(*command, "--workers", before, at=(moment,)).code == -SIGKILL
    assert inception(*command, "--workers", after, "--resume").code == 0
    assert outcome(tmp_path / "run") == outcome(finished)


def test_dropout_goes_on_as_if_nothing_had_happened(inception: Inception, split: Path, tmp_path: Path) -> None:
    command = ("train", split, "--network", "googlenet_bn", "--size", 32, "--epochs", 1, "--batch", 4)
    command += ("--checkpoint-every", 2, "--out")
    assert inception(*command, tmp_path / "whole").code == 0
    assert inception(*command, tmp_path / "killed", at=(picture(14),)).code == -SIGKILL
    assert inception(*command, tmp_path / "killed", "--resume").code == 0
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_without_a_checkpoint_resuming_starts_at_step_0_and_says_so(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    command = ("train", split, *SHORT, "--out", tmp_path / "run")
    inception(*command, at=(picture(3),))
    assert "starting at step 0" in inception(*command, "--resume").err
    assert outcome(tmp_path / "run") == outcome(finished)


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_a_run_killed_as_it_began_can_be_begun_again(
    inception: Inception, finished: Path, split: Path, tmp_path: Path, resume: tuple[str, ...]
) -> None:
    command = ("train", split, *SHORT, "--out", tmp_path / "run")
    assert inception(*command, at=(At("*/recipe.toml", 1, SIGKILL, event="os.rename", begun=True),)).code == -SIGKILL
    assert [path.name[:13] for path in sorted((tmp_path / "run").iterdir())] == [".lock", ".recipe.toml."]
    result = inception(*command, *resume)
    assert result.code == 0, result.err
    assert outcome(tmp_path / "run") == outcome(finished)


def test_resuming_in_an_empty_folder_starts_at_step_0(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    result = inception("train", split, *SHORT, "--out", tmp_path / "run", "--resume")
    assert (result.code, "starting at step 0" in result.err) == (0, True)
    assert outcome(tmp_path / "run") == outcome(finished)


def test_the_same_command_with_resume_goes_on_when_there_are_fewer_pictures_than_a_batch(
    inception: Inception, split: Path, tmp_path: Path
) -> None:
    command = ("train", split, "--recipe", "demo", "--epochs", 2, "--batch", 64, "--out", tmp_path / "run")
    assert inception(*command, at=(held_out(1),)).code == -SIGKILL
    result = inception(*command, "--resume")
    assert (result.code, "Resuming from" in result.err) == (0, True), result.err

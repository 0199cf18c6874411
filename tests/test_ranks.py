"""Several processes train one network: as one would, exactly counted, and none waits for one that is dead.

The processes are started with the environment that torchrun gives them; one test has torchrun itself.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGKILL, SIGSTOP, SIGTERM

import pytest
import torch
from child import At
from conftest import SHORT, Result, Running, copy_splits, outcome, record

from torchinception.data.module import KeyedSampler
from torchinception.errors import LostProcessError
from torchinception.training.checkpoint import VerifiedIO
from torchinception.training.ranks import meet

Start = Callable[..., Running]


def ranks(
    start: Start,
    count: int,
    *arguments: object,
    at: dict[int, At] | None = None,
    launcher: str = "torchrun",
    attempts: tuple[int, ...] | None = None,
    command: str = "train",
) -> list[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = dict(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    own: dict[str, object]
    running = []
    for rank in range(count):
        if launcher == "torchrun":
            own = dict(TORCHELASTIC_RUN_ID="test", WORLD_SIZE=count, LOCAL_WORLD_SIZE=count, GROUP_RANK=0)
            own |= dict(RANK=rank, LOCAL_RANK=rank, TORCHELASTIC_RESTART_COUNT=attempts[rank] if attempts else 0)
        else:
            own = dict(SLURM_JOB_NAME="test", SLURM_JOB_ID=7, SLURM_NTASKS=count, SLURM_NTASKS_PER_NODE=count)
            own |= dict(SLURM_STEP_ID=0, SLURM_PROCID=rank, SLURM_LOCALID=rank, SLURM_NODEID=0, SLURM_NNODES=1)
        environment = {key: str(value) for key, value in (own | place).items()}
        moments = (at[rank],) if at and rank in at else ()
        running.append(start(command, *arguments, at=moments, environment=environment))
    return running


def finish(running: list[Running]) -> list[Result]:
    return [process.finish() for process in running]


@pytest.fixture(scope="module")
def uneven(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 classes of 11 pictures to train on, and 5 to validate on: no number of processes or batch divides them."""
    return copy_splits(sample, tmp_path_factory.mktemp("uneven") / "clothes", train=11, val=5)


@pytest.mark.parametrize("count", [33, 100, 7])
@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_shares_are_a_partition_of_what_one_process_takes(count: int, world: int) -> None:
    for shuffle in (False, True):
        whole = list(KeyedSampler(count, 5, shuffle=shuffle))
        shares = [list(KeyedSampler(count, 5, shuffle=shuffle, share=(rank, world))) for rank in range(world)]
        taken = [key for share in shares for key in share]
        assert len(set(taken)) == len(taken)
        assert set(taken) == set(whole[: count // world * world] if shuffle else whole)
        if shuffle:
            assert {len(share) for share in shares} == {count // world}
            steps = [{share[i] for share in shares} for i in range(count // world)]
            assert steps == [set(whole[i * world : (i + 1) * world]) for i in range(count // world)]


def test_two_processes_compute_what_one_does(start: Start, uneven: Path, tmp_path: Path) -> None:
    command = (uneven, "--network", "tiny_inception", "--epochs", 5, "--batch", 8, "--precision", "fp64")
    command += ("--set", "loss.class_weights=balanced", "--set", "average.name=ema", "--set", "optimizer.clip_norm=1.0")
    found = []
    for count in (1, 2):
        out = tmp_path / str(count)
        results = finish(ranks(start, count, *command, "--out", out))
        assert [result.code for result in results] == [0] * count, results[-1].err
        [newest] = (out / "checkpoints").glob("step-000000020.ckpt")
        found.append((VerifiedIO().load_checkpoint(newest)["state_dict"], record(out)))
    (one, rows), (two, other_rows) = found
    assert {value.dtype for value in one.values() if value.is_floating_point()} == {torch.float64}
    assert max(float((one[name] - two[name]).abs().max()) for name in one) <= 1e-12
    for row, other in zip(rows, other_rows, strict=True):
        values, others = (torch.tensor([float(v) for v in r.values()], dtype=torch.float64) for r in (row, other))
        assert float((values - others).abs().max()) <= 1e-12  # validation: 15 pictures, 8 and 7


def test_a_killed_process_ends_the_others_and_the_run_resumes_exactly(
    start: Start, split: Path, tmp_path: Path
) -> None:
    command = (split, *SHORT, "--checkpoint-every", 1, "--process-timeout", 20, "--out")
    assert [result.code for result in finish(ranks(start, 2, *command, tmp_path / "whole"))] == [0, 0]
    for victim in (0, 1):
        run = tmp_path / str(victim)
        begun = time.monotonic()
        killed = finish(ranks(start, 2, *command, run, at={victim: At("*/train/*", 15, SIGKILL, begun=victim == 1)}))
        assert time.monotonic() - begun < 120
        assert killed[victim].code == -SIGKILL
        assert killed[1 - victim].code == 70
        assert "another process of this run died" in killed[1 - victim].err
        results = finish(ranks(start, 2, *command, run, "--resume"))
        assert [result.code for result in results] == [0, 0], results[0].err
        assert "Resuming from" in results[0].err
        assert outcome(run) == outcome(tmp_path / "whole")


def test_a_process_that_no_longer_answers_is_given_up(start: Start, split: Path, tmp_path: Path) -> None:
    command = (split, *SHORT, "--process-timeout", 8, "--out", tmp_path / "run")
    first, second = ranks(start, 2, *command, at={1: At("*/train/*", 15, SIGSTOP, begun=True)})
    result = first.finish()
    second.send(SIGKILL)
    second.finish()
    assert (result.code, "died or did not answer within 8 s" in result.err) == (70, True), result.err


def test_a_signal_to_one_process_stops_all_of_them_with_a_checkpoint(start: Start, split: Path, tmp_path: Path) -> None:
    command = (split, *SHORT, "--out")
    finish(ranks(start, 2, *command, tmp_path / "whole"))
    stopped = finish(ranks(start, 2, *command, tmp_path / "run", at={1: At("*/train/*", 6, SIGTERM, begun=True)}))
    assert [result.code for result in stopped] == [143, 143], [result.err for result in stopped]
    assert [result.code for result in finish(ranks(start, 2, *command, tmp_path / "run", "--resume"))] == [0, 0]
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_slurm_starts_the_same_run(start: Start, split: Path, tmp_path: Path) -> None:
    found = []
    for launcher in ("torchrun", "srun"):
        results = finish(ranks(start, 2, split, *SHORT, "--out", tmp_path / launcher, launcher=launcher))
        assert [result.code for result in results] == [0, 0], [result.err for result in results]
        found.append(outcome(tmp_path / launcher))
    assert found[0] == found[1]
    assert results[1].out == ""  # the first process speaks for all


@pytest.mark.parametrize(
    "setting", ["tune.freeze_to=conv_1", "tune.batch_norm=freeze-all", "tune.head_epochs=1"], ids=lambda text: text
)
def test_two_processes_fine_tune_as_one_does(start: Start, split: Path, tmp_path: Path, setting: str) -> None:
    command = (split, *SHORT, "--precision", "fp64", "--set", setting, "--out")
    found = []
    for count in (1, 2):
        results = finish(ranks(start, count, *command, tmp_path / str(count)))
        assert [result.code for result in results] == [0] * count, results[-1].err
        [newest] = (tmp_path / str(count) / "checkpoints").glob("step-000000006.ckpt")
        found.append(VerifiedIO().load_checkpoint(newest)["state_dict"])
    assert max(float((found[0][name] - found[1][name]).abs().max()) for name in found[0]) <= 1e-12


def test_more_processes_go_on_from_the_end_of_an_epoch(start: Start, split: Path, tmp_path: Path) -> None:
    command = (split, *SHORT, "--precision", "fp64", "--out")
    finish(ranks(start, 1, *command, tmp_path / "whole"))
    [killed] = finish(ranks(start, 1, *command, tmp_path / "run", at={0: At("*/val/*", 3, SIGKILL)}))
    assert killed.code == -SIGKILL  # the checkpoint of step 3 lacks its row
    results = finish(ranks(start, 2, *command, tmp_path / "run", "--resume"))
    assert [result.code for result in results] == [0, 0], [result.err for result in results]
    for row, other in zip(record(tmp_path / "run"), record(tmp_path / "whole"), strict=True):
        assert [float(value) for value in row.values()] == [pytest.approx(float(v), abs=1e-9) for v in other.values()]


def test_attempts_that_are_counted_apart_find_each_other_and_go_on(start: Start, split: Path, tmp_path: Path) -> None:
    # torchrun's agents on several machines count only the failures of their own processes
    command = (split, *SHORT, "--checkpoint-every", 1, "--process-timeout", 20, "--out")
    finish(ranks(start, 2, *command, tmp_path / "whole"))
    finish(ranks(start, 2, *command, tmp_path / "run", at={1: At("*/train/*", 15, SIGKILL, begun=True)}))
    results = finish(ranks(start, 2, *command, tmp_path / "run", attempts=(0, 1)))
    assert [result.code for result in results] == [0, 0], [result.err for result in results]
    assert "A process had failed; attempt 2" in results[0].err
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_an_attempt_does_not_go_on_with_what_another_launch_began(
    start: Start, split: Path, tmp_path: Path, finished: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    results = finish(ranks(start, 2, split, *SHORT, "--out", run, attempts=(1, 1)))
    assert [result.code for result in results] == [2, 2]
    assert "holds a run already" in results[0].err


def test_words_of_dead_processes_are_no_part_of_a_meeting() -> None:
    store = torch.distributed.HashStore()
    for rank in range(3):
        store.set(f"word-{rank}", f"dead{rank}")
    store.set("proposal", "dead0,dead1,dead2")
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda rank: meet(store, rank, 3, 20), (2, 1, 0)))
    assert len(set(found)) == 1
    with pytest.raises(LostProcessError, match="not all of them came within 1 s"):
        meet(store, 0, 4, 1)


def test_a_run_goes_on_with_another_number_of_processes(start: Start, split: Path, tmp_path: Path) -> None:
    command = (split, *SHORT, "--precision", "fp64", "--checkpoint-every", 1, "--out", tmp_path / "run")
    finish(ranks(start, 2, *command, at={0: At("*/train/*", 16, SIGTERM)}))
    [result] = finish(ranks(start, 1, *command, "--resume"))
    assert (result.code, "Resuming from" in result.err) == (0, True), result.err
    assert [row["epoch"] for row in record(tmp_path / "run")] == ["1", "2"]


def test_what_cannot_work_is_said_by_every_process(start: Start, split: Path, tmp_path: Path) -> None:
    results = finish(ranks(start, 2, split, *SHORT, "--batch", 7, "--out", tmp_path / "run"))
    assert [result.code for result in results] == [2, 2]
    assert all("2 processes cannot share a batch of 7 pictures evenly" in result.err for result in results)
    assert results[1].err.lstrip().startswith("process 1: error: ")
    assert not (tmp_path / "run").exists()
    missing = finish(ranks(start, 2, tmp_path / "nothing", "--out", tmp_path / "other"))
    assert [result.code for result in missing] == [66, 66]


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_torchrun_starts_a_killed_process_again(start: Start, split: Path, tmp_path: Path) -> None:
    command = (split, "--network", "tiny_inception", "--epochs", 8, "--batch", 8, "--checkpoint-every", 2, "--out")
    assert [result.code for result in finish(ranks(start, 2, *command, tmp_path / "whole"))] == [0, 0]
    words = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1")
    words += ("-m", "torchinception", "train", *map(str, command), str(tmp_path / "run"))
    with (tmp_path / "log").open("w") as log:
        agent = subprocess.Popen([sys.executable, "-m", *words], stderr=log, stdout=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "run" / "checkpoints").glob("step-*[1-9]?.ckpt")):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
        os.kill(_children(agent.pid)[1], SIGKILL)
        assert agent.wait(180) == 0, (tmp_path / "log").read_text()
    finally:
        if agent.poll() is None:
            os.killpg(agent.pid, signal.SIGKILL)
            agent.wait()
    assert "A process had failed; attempt 2" in (tmp_path / "log").read_text()
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def _children(pid: int) -> list[int]:
    return sorted(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

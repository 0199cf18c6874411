"""Several processes predict together: their file is that of one, they go on after a death, and none waits for ever."""

import csv
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
import torch
from child import At
from conftest import Result, Running
from data_fixtures import tiny_classifier, write_classes
from shard_fixtures import files_of, write_tar

from torchinception.errors import LostProcessError, UsageError
from torchinception.prediction import Output, Plan, Ranks, Run, find_inputs, find_ranks
from torchinception.prediction.parts import part_of

Start = Callable[..., Running]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """23 pictures, some of them in a shard, one broken."""
    root = write_classes(tmp_path_factory.mktemp("ranks"), **{"photos": 12, "packed/bag": 11})
    (root / "photos/005.png").write_bytes(b"broken")
    write_tar(root / "photos/more.tar", files_of(root / "packed"))
    return root / "photos"


def predict(
    start: Start, world: int, *arguments: object, at: dict[int, At] | None = None, attempt: int = 0
) -> list[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(world):
        own = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=world, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        environment = {key: str(value) for key, value in (own | dict(TORCHELASTIC_RESTART_COUNT=attempt)).items()}
        moments = (at[rank],) if at and rank in at else ()
        running.append(start("predict", *arguments, "--batch", 4, at=moments, environment=environment))
    return running


def finish(running: list[Running]) -> list[Result]:
    return [process.finish() for process in running]


@pytest.fixture(scope="module")
def alone(start: Start, finished: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process writes."""
    folder = tmp_path_factory.mktemp("alone")
    for option, name in (("--csv", "named.csv"), ("--features", "features.npy")):
        [result] = finish(predict(start, 1, finished, photos, option, folder / name))
        assert result.code == 65, result.err
    return folder


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize(("option", "name"), [("--csv", "named.csv"), ("--features", "features.npy")])
def test_several_processes_write_what_one_does(
    start: Start, finished: Path, photos: Path, alone: Path, tmp_path: Path, option: str, name: str, world: int
) -> None:
    results = finish(predict(start, world, finished, photos, option, tmp_path / name))
    assert [result.code for result in results] == [65] + [0] * (world - 1), [result.err for result in results]
    assert "1 of 23 pictures could not be read" in results[0].err
    assert "".join(result.err for result in results[1:]) == ""
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in alone.glob(f"{name}*")}
    assert all(path.read_bytes() == (alone / path.name).read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("victim", [0, 1])
def test_after_a_death_all_of_them_go_on(
    start: Start, finished: Path, photos: Path, alone: Path, tmp_path: Path, victim: int
) -> None:
    path = tmp_path / "named.csv"
    moment = At("*.png", 5, SIGKILL, begun=True) if victim == 0 else At("*.tar", 6, SIGKILL, begun=True)
    killed = predict(start, 2, finished, photos, "--csv", path, at={victim: moment})
    assert killed[victim].finish().code == -SIGKILL
    time.sleep(0.5)
    killed[1 - victim].process.kill()  # which may wait for the other, or for it to begin; torchrun ends it
    killed[1 - victim].finish()
    assert not path.exists()
    results = finish(predict(start, 2, finished, photos, "--csv", path, attempt=1))  # as torchrun starts them again
    assert [result.code for result in results] == [65, 0], [result.err for result in results]
    assert path.read_bytes() == (alone / "named.csv").read_bytes()
    assert not part_of(path).exists()


def test_a_file_begun_by_two_is_not_gone_on_with_by_one(
    start: Start, finished: Path, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "named.csv"
    (part_of(path) / "1-of-2").mkdir(parents=True)
    [result] = finish(predict(start, 1, finished, photos, "--csv", path, "--resume"))
    assert (result.code, "was begun by 2 processes, not 1; start as many" in result.err) == (2, True), result.err
    assert [found.name for found in part_of(path).iterdir()] == ["1-of-2"]


@pytest.mark.parametrize("count", [0, 1, 4, 23, 100])
@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shares_are_whole_batches_in_order_and_nothing_is_left_or_taken_twice(count: int, world: int) -> None:
    shares = [Ranks(rank, world).share(count, 4) for rank in range(world)]
    assert [number for share in shares for number in share] == list(range(count))
    assert all(share.start % 4 == 0 for share in shares if share)
    sizes = [-(-len(share) // 4) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_several_processes_need_a_file_and_pictures_by_name(photos: Path, tmp_path: Path) -> None:
    model, ranks = tiny_classifier("a", "b"), Ranks(0, 2)
    inputs = find_inputs([str(photos)], None)
    with pytest.raises(UsageError, match="several processes need --csv"):
        Run(model, inputs, Plan(4), ranks=ranks)
    inputs.count = None
    with pytest.raises(UsageError, match="pictures by name, not in -"):
        Run(model, inputs, Plan(4, output=Output(tmp_path / "named.csv", "csv")), ranks=ranks)


def test_a_process_that_is_silent_is_given_up_and_one_that_works_is_waited_for() -> None:
    store = torch.distributed.HashStore()
    first, second = (Ranks(rank, 2, store=store) for rank in (0, 1))
    second.tell(b"8")
    with pytest.raises(LostProcessError, match=r"process 1 of 2 has not been heard of for 0 s; .* with --resume"):
        first.wait(silence_seconds=0.2)

    def work() -> None:
        for word in (b"12", b"16", b"20", b"finished"):
            time.sleep(0.2)
            second.tell(word)

    worker = threading.Thread(target=work)
    worker.start()
    first.wait(silence_seconds=0.6)  # less than all of it takes, more than a step of it
    worker.join()


def test_parts_of_other_pictures_are_not_joined(photos: Path, tmp_path: Path) -> None:
    model, store = tiny_classifier("a", "b"), torch.distributed.HashStore()
    plan = Plan(4, output=Output(tmp_path / "named.csv", "csv"))
    other = write_classes(tmp_path, elsewhere=23) / "elsewhere"
    for rank, folder in ((1, other), (0, photos)):
        run = Run(model, find_inputs([str(folder)], None), plan, ranks=Ranks(rank, 2, store=store))
        if rank:
            assert sum(map(len, run)) == 11
    with pytest.raises(UsageError, match="1-of-2 is of other pictures than process 0 finds"):
        list(run)
    assert not (tmp_path / "named.csv").exists()


def test_an_environment_that_says_half_of_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"\$WORLD_SIZE is 2 but \$RANK is not set; start it with torchrun"):
        find_ranks()


def test_torchrun_starts_them(finished: Path, split: Path, tmp_path: Path) -> None:
    words = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "torchinception", "predict")
    command = (sys.executable, "-m", *words, str(finished), str(split / "val"), "--csv", str(tmp_path / "named.csv"))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "named.csv").open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["rank"] == "1"]
    assert paths == [str(path) for path in sorted(split.glob("val/*/*.png"))]

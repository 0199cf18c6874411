"""What tests share: a quick command line, small folders of real pictures, one finished run."""

import contextlib
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import child
import pytest

os.environ |= dict(COLUMNS="100", OMP_NUM_THREADS="1")  # stable tables; two threads on a busy machine only wait
for forced in ("FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TERMINAL_WIDTH"):
    os.environ.pop(forced, None)

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(child.PRELOAD))
CLASSES = ("bag", "sneaker", "trouser")
SHORT = ("--network", "tiny_inception", "--epochs", "2", "--batch", "8")  # 6 steps on 24 pictures


class Result(NamedTuple):
    """What a command came to; `code` is -N after death by signal N."""

    code: int | None
    out: str
    err: str


class Running:
    """A command that runs."""

    def __init__(self, arguments: tuple[object, ...], cwd: Path, moments: tuple[child.At, ...]) -> None:
        self.cwd = cwd
        cwd.mkdir(parents=True, exist_ok=True)
        self.process = FORKS.Process(target=child.run, args=(tuple(map(str, arguments)), cwd, moments))
        self.process.start()

    def send(self, signum: int) -> None:
        os.kill(self.process.pid, signum)

    def finish(self) -> Result:
        """Wait for its end."""
        self.process.join(300)
        texts = [(self.cwd / name).read_text() if (self.cwd / name).exists() else "" for name in (".stdout", ".stderr")]
        assert not self.process.is_alive(), f"still running after 5 minutes\n{texts}"
        return Result(self.process.exitcode, *texts)

    def end(self) -> None:
        """Leave nothing of it behind."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.process.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes last."""
    items.sort(key=lambda item: "demo_run" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def launch(*arguments: object, cwd: Path | None = None, at: tuple[child.At, ...] = ()) -> Running:
        """`inception ARGUMENTS`, running; `at` are the moments of signals."""
        started.append(Running(arguments, cwd or tmp_path_factory.mktemp("cwd"), at))
        return started[-1]

    yield launch
    for running in started:
        running.end()


@pytest.fixture(scope="session")
def inception(launch: Callable[..., Running]) -> Callable[..., Result]:
    def inception(*arguments: object, **options: object) -> Result:
        """`inception ARGUMENTS`, from beginning to end."""
        return launch(*arguments, **options).finish()

    return inception


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole embedded sample: train/ and test/ with 10 classes."""
    from torchinception.data.sample import write_sample

    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def flat(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 classes of 12 pictures, nothing split. Only read it; `flat_copy` is yours."""
    root = tmp_path_factory.mktemp("flat") / "clothes"
    copy_pictures(sample / "train", root, range(12))
    return root


@pytest.fixture(scope="session")
def split(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 classes of 8 training and 4 validation pictures. Only read it."""
    root = tmp_path_factory.mktemp("split") / "clothes"
    copy_pictures(sample / "train", root / "train", range(8))
    copy_pictures(sample / "test", root / "val", range(4))
    return root


@pytest.fixture
def flat_copy(flat: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(flat, tmp_path / "clothes"))


@pytest.fixture(scope="session")
def finished(inception: Callable[..., Result], split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was never interrupted. Only read it."""
    out = tmp_path_factory.mktemp("finished") / "run"
    result = inception("train", split, *SHORT, "--out", out)
    assert result.code == 0, result
    return out


def copy_pictures(source: Path, target: Path, numbers: range) -> None:
    for name in CLASSES:
        (target / name).mkdir(parents=True)
        for number in numbers:
            shutil.copy(source / name / f"{number:03}.png", target / name)

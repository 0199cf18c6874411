"""What tests share: a quick command line, small folders of real pictures, one finished run."""

import atexit
import contextlib
import csv
import multiprocessing
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import child
import pytest
from PIL import Image
from store_fixtures import Notes, save
from stress import full, pytest_addoption, pytest_configure, pytest_terminal_summary, survived  # noqa: F401

from torchinception.training.store import Store

os.environ |= dict(
    COLUMNS="100", OMP_NUM_THREADS="1"
)  # stable tables; on a busy machine two threads are 10 times slower
os.environ["TORCHINCEPTION_CACHE"] = tempfile.mkdtemp(prefix="torchinception-cache-")  # nothing of the user's
atexit.register(shutil.rmtree, os.environ["TORCHINCEPTION_CACHE"], ignore_errors=True)
for forced in ("FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TERMINAL_WIDTH"):
    os.environ.pop(forced, None)

# plugins of two files each; looked through for doctests first they could be none
collect_ignore = ["int8_fixtures.py", "native_fixtures.py"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(child.PRELOAD))
died: list[str] = []  # workers
CLASSES = ("bag", "sneaker", "trouser")
SHORT = ("--network", "tiny_inception", "--epochs", "2", "--batch", "8")  # on the folder `split`: 2 x 3 steps


class Result(NamedTuple):
    """What a command came to; `code` is -N after death by signal N."""

    code: int | None
    out: str
    err: str


class Running:
    """A command while it runs; its process leads a group of its own."""

    def __init__(
        self,
        arguments: tuple[object, ...],
        cwd: Path,
        output: Path,
        at: tuple[child.At, ...],
        environment: dict[str, str],
    ) -> None:
        self.output = output
        self.result: Result | None = None
        self.process = FORKS.Process(target=child.run, args=(tuple(map(str, arguments)), cwd, output, at, environment))
        self.process.start()
        self.pid = self.process.pid or 0

    def send(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def finish(self) -> Result:
        if self.result:
            return self.result
        self.process.join(540)
        texts = [path.read_text() if path.exists() else "" for path in (self.output / "stdout", self.output / "stderr")]
        assert not self.process.is_alive(), f"still running after 9 minutes: {texts}"
        self.result = Result(self.process.exitcode, *texts)
        self.end()
        return self.result

    def end(self) -> None:
        """Leave nothing running and, of the hundreds that tests start, no descriptors open."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.join()
        self.process.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demonstration takes longest, so it comes last."""
    items.sort(key=lambda item: "demonstration" in getattr(item, "fixturenames", ()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Say how a worker ended that died: -N is signal N."""
    if error and error != "keyboard-interrupt":
        died.append(node.gateway.id)
        with contextlib.suppress(subprocess.TimeoutExpired):
            print(f"\n{node.gateway.id} ended with {node.gateway._io.popen.wait(10)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail also where no test was at it, which pytest-xdist lets pass."""
    if died:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


@pytest.fixture(autouse=True)
def _no_handler_is_left() -> Iterator[None]:
    """PyTorch's loaders leave a handler of SIGCHLD behind; with it, waiting for a later child ended in SIGSEGV here."""
    yield
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """`start(*arguments, cwd=, at=, environment=)` is `inception ARGUMENTS`, running; `at`: moments of signals."""
    started: list[Running] = []

    def start(
        *arguments: object,
        cwd: Path | None = None,
        at: tuple[child.At, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> Running:
        output = tmp_path_factory.mktemp("output")
        started.append(Running(arguments, cwd or tmp_path_factory.mktemp("cwd"), output, at, environment or {}))
        return started[-1]

    yield start
    for running in started:
        if not running.result:
            running.end()


@pytest.fixture(scope="session")
def inception(start: Callable[..., Running]) -> Callable[..., Result]:
    """`inception(*arguments, cwd=, at=)` is `inception ARGUMENTS` from beginning to end."""
    return lambda *arguments, **options: start(*arguments, **options).finish()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole embedded sample: `train` and `test` with 10 classes. Only read it."""
    from torchinception.data.sample import write_sample

    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def flat(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 classes of 12 pictures. Only read it; `pictures` is a copy to change."""
    return copy_pictures(sample / "train", tmp_path_factory.mktemp("flat") / "clothes", 12)


@pytest.fixture(scope="session")
def split(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 classes of 8 pictures in `train` and 4 in `val`. Only read it."""
    return copy_splits(sample, tmp_path_factory.mktemp("split") / "clothes", train=8, val=4)


@pytest.fixture
def pictures(flat: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(flat, tmp_path / "clothes"))


@pytest.fixture
def large_pictures(pictures: Path) -> Path:
    """3 classes of 2 pictures with a side of 100 pixels."""
    for path in pictures.glob("*/*.png"):
        with Image.open(path) as image:
            large = image.resize((100, 100))
        large.save(path) if path.stem in ("000", "001") else path.unlink()
    return pictures


@pytest.fixture(scope="session")
def finished(inception: Callable[..., Result], split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on `split` that was never interrupted. Only read it."""
    out = tmp_path_factory.mktemp("finished") / "run"
    result = inception("train", split, *SHORT, "--out", out)
    assert result.code == 0, result.err
    return out


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a file"  # without a suffix, which tells nothing


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def store(tmp_path: Path, notes: Notes) -> Store:
    return Store(tmp_path / "checkpoints", notes)


@pytest.fixture
def three(store: Store) -> Store:
    """10 is the best, 30 the newest."""
    for step, score in ((10, 0.9), (20, None), (30, 0.5)):
        save(store, step, score)
    return store


def copy_pictures(source: Path, target: Path, count: int) -> Path:
    for name in CLASSES:
        (target / name).mkdir(parents=True)
        for number in range(count):
            shutil.copy(source / name / f"{number:03}.png", target / name)
    return target


def copy_splits(sample: Path, target: Path, *, train: int, val: int) -> Path:
    """So many pictures of each class in `train` and `val`."""
    copy_pictures(sample / "train", target / "train", train)
    copy_pictures(sample / "test", target / "val", val)
    return target


def digest(run: Path) -> str:
    """SHA-256 of the weights that a run ended with."""
    from safetensors.torch import load_file

    from torchinception.weights.bundle import tensors_sha256

    return tensors_sha256(load_file(run / "model.safetensors"))


def record(run: Path) -> list[dict[str, str]]:
    """The rows of a run's `metrics.csv`, without the only figure that differs from run to run."""
    with (run / "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def outcome(run: Path) -> tuple[str, list[dict[str, str]]]:
    """What must not depend on interruptions."""
    return digest(run), record(run)


@pytest.fixture(scope="session")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """On PyTorch, and with its settings, which it writes on import, not in the home folder."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KERAS_BACKEND", "torch")
        environment.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        import keras
    return keras

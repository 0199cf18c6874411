"""A prediction that is killed again and again ends as one never killed, and a long one takes no more memory.

`pytest --full` kills ten times for each kind of file instead of twice, and measures 20,000 pictures instead of 1,000.
"""

import gc
import random
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest
from child import At
from conftest import Result
from data_fixtures import encode, noise, tiny_classifier

from torchinception.prediction import Output, Picture, Plan, Row, Run, features_file, find_inputs
from torchinception.prediction.parts import part_of, read_state

Inception = Callable[..., Result]
Survived = Callable[[str], None]

PICTURES = 200
KINDS = {"--csv": "named.csv", "--parquet": "named.parquet", "--features": "features.npy"}
COMMAND = ("--batch", 8, "--device", "cpu")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small pictures, the 100th and the last of them broken."""
    return write_many(tmp_path_factory.mktemp("many"), PICTURES)


def write_many(folder: Path, count: int) -> Path:
    contents = [encode(noise(seed)) for seed in range(20)]
    for number in range(count):
        bad = number in (100, count - 1)
        (folder / f"{number:05}.png").write_bytes(b"broken" if bad else contents[number % len(contents)])
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(
    inception: Inception, finished: Path, many: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, bytes]]:
    """What a run that is never interrupted writes, by the option that asks for it."""
    found: dict[str, dict[str, bytes]] = {}

    def whole(option: str) -> dict[str, bytes]:
        if option not in found:
            out = tmp_path_factory.mktemp("whole")
            result = inception("predict", finished, many, option, out / KINDS[option], *COMMAND)
            assert (result.code, "2 of 200 pictures could not be read" in result.err) == (65, True), result.err
            found[option] = files(out)
        return found[option]

    return whole


@pytest.mark.parametrize("option", KINDS)
def test_a_prediction_killed_at_random_points_ends_as_one_never_killed(
    inception: Inception,
    finished: Path,
    many: Path,
    whole: Callable[[str], dict[str, bytes]],
    tmp_path: Path,
    survived: Survived,
    full: bool,
    option: str,
) -> None:
    path = tmp_path / "out" / KINDS[option]
    command = ("predict", finished, many, option, path, *COMMAND)
    points = sorted(random.Random(option).sample(range(30, PICTURES), 10 if full else 2))
    for number, point in enumerate(points):
        state = read_state(part_of(path) / "0-of-1")
        left = max(1, point - (state.done if state else 0))  # pictures that are opened before the end comes
        result = inception(*command, *(["--resume"] * bool(number)), at=(At("*.png", left, SIGKILL, begun=True),))
        assert result.code == -SIGKILL, result.err
        survived("SIGKILL of a prediction at a random picture")
    result = inception(*command, "--resume")
    assert (result.code, "2 of 200 pictures could not be read" in result.err) == (65, True), result.err
    assert files(path.parent) == whole(option)


@pytest.mark.parametrize(
    "moment",
    [
        At("*/state.json", 1, SIGKILL, event="os.rename", begun=True),
        At("*/features.npy.csv", 1, SIGKILL, event="os.rename", begun=True),
        At("*/features.npy", 1, SIGKILL, event="os.rename", begun=True),
        At("*.part.*.tmp", 1, SIGKILL, event="os.rename", begun=True),
    ],
    ids=["state", "index", "array", "removal"],
)
def test_a_prediction_killed_while_a_file_takes_its_place_ends_as_one_never_killed(
    inception: Inception,
    finished: Path,
    many: Path,
    whole: Callable[[str], dict[str, bytes]],
    tmp_path: Path,
    survived: Survived,
    moment: At,
) -> None:
    command = ("predict", finished, many, "--features", tmp_path / "out/features.npy", *COMMAND)
    assert inception(*command, at=(moment,)).code == -SIGKILL
    assert inception(*command, "--resume").code == 65
    assert files(tmp_path / "out") == whole("--features")
    survived("SIGKILL of a prediction while a file takes its place")


@pytest.mark.parametrize("signum", [SIGINT, SIGTERM])
def test_a_signal_says_how_to_go_on(
    inception: Inception,
    finished: Path,
    many: Path,
    whole: Callable[[str], dict[str, bytes]],
    tmp_path: Path,
    signum: int,
) -> None:
    command = ("predict", finished, many, "--csv", tmp_path / "out/named.csv", *COMMAND)
    result = inception(*command, at=(At("*.png", 120, signum, begun=True),))
    part = tmp_path / "out/named.csv.part"
    told = f"What was found until here is kept in {part}; go on with --resume"
    assert (result.code, told in result.err) == (128 + signum, True), result.err
    refused = inception(*command)
    assert (refused.code, f"{part} holds " in refused.err) == (2, True), refused.err
    assert inception(*command, "--resume").code == 65
    assert files(tmp_path / "out") == whole("--csv")


def resident_mb() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("reads the size of a process in /proc")
    [line] = (line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("name", ["named.csv", "named.parquet", "features.npy", ""], ids=lambda name: name or "printed")
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path: Path, full: bool, name: str) -> None:
    count, first = (20_000, 1_000) if full else (1_000, 300)
    (tmp_path / "many").mkdir()
    folder, path = write_many(tmp_path / "many", count), tmp_path / name
    output = (
        None
        if not name
        else features_file(path)
        if path.suffix == ".npy"
        else Output(path, "csv" if path.suffix == ".csv" else "parquet")
    )
    model = tiny_classifier(*(f"class {number}" for number in range(100)))
    run = Run(model, find_inputs([str(folder)], None), Plan(100, top=100, output=output))
    before, alive = 0.0, []
    for _ in run:
        if run.done == first:
            before = resident_mb()
        if run.done in (first, count - 100):
            alive.append(sum(type(found) in (Row, Picture) for found in gc.get_objects()))
    assert run.done == count
    # in the normal run, too short for memory to tell: one batch at hand and two that are read ahead, twice at most
    assert max(alive) <= 600
    assert resident_mb() - before <= 50  # the limit; 100 lines for each of 19,000 pictures alone are 76 MB

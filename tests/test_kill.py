"""Runs that are killed at random times, and stopped by signals at random moments, end as one that never was.

Unlike the moments of test_resume, which Python hears of, a SIGKILL here comes from outside, at a time drawn
from the whole life of a run: from when the command begins, imports apart, until it would have ended. The run
keeps an average of the weights and saves every step, and goes on with another number of workers each time.
`pytest --full` makes 200 kills and sends 150 signals.
"""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from typing import Any, NamedTuple

import pytest
from child import At
from conftest import SHORT, Result, Running, outcome
from safetensors.torch import load_file
from torch import Tensor

from torchinception.training.checkpoint import VerifiedIO
from torchinception.weights.bundle import tensors_sha256

Survived = Callable[[str], None]

AVERAGED = (*SHORT, "--epochs", 4, "--checkpoint-every", 1, "--set", "average.name=ema", "--set", "average.decay=0.8")
KILLS = 5  # of each seed
PHASES = {  # what a run's folder holds when it is killed in them; the last that matches counts
    "before the first file": "",
    "before the first checkpoint": "recipe.toml",
    "in training": "checkpoints/step-*.ckpt",
    "after the last step": "checkpoints/step-000000012.ckpt",
    "while the report is made": "model.safetensors",
}
SIGNALS = dict(  # the first moment, that of a second signal, how many there are of both, and workers
    loading=(At("*/train/*", 1, group=True), At("*/train/*", 2, group=True), 47, 2),
    training=(At("*/train/*", 1), At("*/train/*", 2), 47, 0),
    saving=(At("*/.step-*.tmp"), At("*/step-*.ckpt", event="os.rename"), 6, 0),
    validation=(At("*/val/*", 1), At("*/val/*", 2), 23, 0),
    evaluation=(At("*/val/*", 25), At("*/val/*", 26), 11, 0),
)
CASES = [(phase, kind, seed) for phase in SIGNALS for kind in ("SIGINT", "SIGTERM", "twice") for seed in range(10)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("full")
    if "kills_of" in metafunc.fixturenames:
        metafunc.parametrize("kills_of", range(40 if full else 8))
    if "phase" in metafunc.fixturenames:  # else one of each phase, with every kind among them
        metafunc.parametrize(("phase", "kind", "seed"), CASES if full else CASES[::37])


class Whole(NamedTuple):
    """A run that was never interrupted: all that must not depend on interruptions, and how long it took."""

    everything: tuple[Any, ...]
    seconds: float


def plain(value: Any) -> Any:
    """With lists for tensors, so that `==` compares every bit that there is."""
    if isinstance(value, Tensor):
        return value.dtype, value.tolist()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key != "seconds"}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def everything(run: Path) -> tuple[Any, ...]:
    """The model and that of the raw weights, the record, and the state of the last checkpoint but for its times."""
    last = VerifiedIO().load_checkpoint(run / "checkpoints" / "step-000000012.ckpt")
    keys = ("epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers", "callbacks")
    return *outcome(run), tensors_sha256(load_file(run / "raw.safetensors")), plain({key: last[key] for key in keys})


@pytest.fixture(scope="module")
def whole(
    inception: Callable[..., Result], finished: Path, split: Path, tmp_path_factory: pytest.TempPathFactory
) -> Whole:
    """Its time is that of a warm process; `finished` has started the server that all are forked from."""
    run = tmp_path_factory.mktemp("whole") / "run"
    began = time.monotonic()
    result = inception("train", split, *AVERAGED, "--out", run)
    seconds = time.monotonic() - began
    assert result.code == 0, result.err
    return Whole(everything(run), seconds)


def test_a_run_killed_at_random_times_ends_as_one_never_killed(
    start: Callable[..., Running], whole: Whole, split: Path, tmp_path: Path, survived: Survived, kills_of: int
) -> None:
    chance, kills, code = random.Random(kills_of), 0, -SIGKILL
    folders = (tmp_path / str(number) for number in itertools.count())
    run = next(folders)
    while kills < KILLS or code:
        workers = chance.choice((0, 0, 1))
        resume = ["--resume"] if run.exists() else []
        running = start("train", split, *AVERAGED, "--workers", workers, "--out", run, *resume)
        running.process.join(chance.uniform(0, whole.seconds) if kills < KILLS else None)
        running.process.kill()  # if it has not ended
        code, _, err = running.finish()
        if code == -SIGKILL:
            kills += 1
            phase = [phase for phase, sign in PHASES.items() if not sign or list(run.glob(sign))][-1]
            survived(f"SIGKILL at a random time, {phase}")
        else:
            assert code == 0, err
            assert everything(run) == whole.everything
        if code == 0:
            run = next(folders)


def test_a_signal_at_a_random_moment_loses_nothing(
    inception: Callable[..., Result],
    finished: Path,
    split: Path,
    tmp_path: Path,
    survived: Survived,
    phase: str,
    kind: str,
    seed: int,
) -> None:
    first, second, moments, workers = SIGNALS[phase]
    later = random.Random(f"{phase} {kind} {seed}").randrange(moments)
    signum = SIGTERM if kind == "SIGTERM" else SIGINT
    at = tuple(replace(moment, nth=moment.nth + later, signum=signum) for moment in (first, second))
    command = ("train", split, *SHORT, "--checkpoint-every", 1, "--workers", workers, "--out", tmp_path / "run")
    code, _, err = inception(*command, at=at if kind == "twice" else at[:1])
    at_once = kind == "twice" and code == -signum  # unless the first had ended the run before the second came
    assert at_once or code == 128 + signum, err
    assert at_once or "Traceback" not in err  # a worker may print that its parent is gone
    result = inception(*command, "--resume")
    assert result.code == 0, result.err
    assert outcome(tmp_path / "run") == outcome(finished)
    survived(f"{'second ' * at_once}{signum.name} in {phase}")

"""The fastest engine for a network on this machine: found by measuring, checked, and remembered."""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch

from torchinception.data.transforms import Preprocess
from torchinception.engines.batches import FEW
from torchinception.engines.checked import check, check_pictures, right_answers
from torchinception.engines.engine import MEASURED, Engine, build, build_simple, check_engine
from torchinception.engines.remembered import (
    Choice,
    Trial,
    describe_machine,
    engine_versions,
    kept_choices,
    read_choice,
)
from torchinception.errors import SaveError
from torchinception.files import write_atomically
from torchinception.network import Inception
from torchinception.progress import Listener

CHECKED = 4  # real pictures, each answered in float64
SECONDS, LEAST, MOST = 5.0, 3, 9  # of timing, if that is at least 3 rounds; rounds at most
GAIN = 1.03  # what a runtime has to gain on PyTorch, which is there at once
TASK = "Choosing the fastest engine"


def choose(
    net: Inception,
    preprocess: Preprocess,
    digest: Callable[[], str],
    *,
    batch: int = 1,
    threads: int | None = None,
    tier: str = "default",
    tune: bool = True,
    pictures: int | None = None,
    listener: Listener | None = None,
) -> Engine:
    """The engine that is fastest on this machine's CPU of those that answer right.

    What was measured with this network before is remembered. If nothing was, or what was fastest then cannot be built
    any more, it is measured now, in some 15 seconds for Inception-v3, unless there are only few pictures: these PyTorch
    takes at once.

    Args:
        net: what to run.
        preprocess: how its pictures are made.
        digest: SHA-256 of its weights, asked for if need be.
        batch: how many pictures at a time.
        threads: how many the CPU is to use; None: as PyTorch.
        tier: of the native engine, if that takes part.
        tune: likewise.
        pictures: how many there are in all; None: many.
        listener: hears of progress, of the choice, and of an engine that fails.

    Raises:
        UsageError: no such tier, or no native engine to which it could apply.
    """
    check_engine("native", tier=tier, tune=tune)
    listener = listener or Listener()
    versions = engine_versions()
    candidates = [name for name in MEASURED if name in versions]
    few = pictures is not None and pictures < FEW
    if candidates == ["torch"] or (few and not any(kept_choices())):
        return build_simple(net, preprocess, threads=threads, tier=tier)
    blank = Choice(
        engine="torch",
        network=net.name,
        digest=digest(),
        size=preprocess.size,
        batch=batch,
        threads=threads or torch.get_num_threads(),
        tier=tier,
        tune=tune,
        machine=describe_machine(),
        versions=versions,
    )
    known = read_choice(blank.path)
    if known:
        try:
            return _build(known.engine, net, preprocess, blank)
        except Exception as error:  # noqa: BLE001, whatever is wrong with one runtime, there are others
            listener.say(f"The engine {known.engine}, which was the fastest, fails now: {error}")
    if few:
        return build_simple(net, preprocess, threads=threads, tier=tier)
    return _measure(net, preprocess, blank, candidates, listener)


def _build(name: str, net: Inception, preprocess: Preprocess, of: Choice) -> Engine:
    """An engine as the choice is about it; the others have no tiers."""
    if name == "native":
        return build(name, net, preprocess, batch=of.batch, threads=of.threads, tier=of.tier, tune=of.tune)
    return build(name, net, preprocess, batch=of.batch, threads=of.threads)


def _measure(
    net: Inception, preprocess: Preprocess, blank: Choice, candidates: list[str], listener: Listener
) -> Engine:
    steps = len(candidates) + 2
    listener.progress(TASK, 0, steps)
    pictures = check_pictures(max(CHECKED, blank.batch), preprocess, net.channels)
    right = right_answers(net, preprocess, pictures[:CHECKED], blank.threads)
    ready, trials = dict[str, Engine](), dict[str, Trial]()
    for done, name in enumerate(candidates, 1):
        listener.progress(TASK, done, steps)
        trial = Trial(engine=name, version=blank.versions[name])
        try:
            engine = _build(name, net, preprocess, blank)
            found = check(engine, pictures[:CHECKED], right)
        except Exception as error:  # noqa: BLE001, whatever is wrong with one runtime, there are others
            trials[name] = trial.model_copy(update=dict(problem=f"fails: {error}"))
            continue
        problem = f"differs from float64 by {found.error:.1e} of the logits' scale, top-1 equal in {found.top1:.0%}"
        trials[name] = trial.model_copy(update=dict(error=found.error, problem="" if found.tolerable else problem))
        if found.tolerable:
            ready[name] = engine
    listener.progress(TASK, steps - 1, steps)
    batch = pictures[: blank.batch]
    times = _time({name: partial(engine.run_uint8, batch) for name, engine in ready.items()}, blank.threads)
    listener.progress(TASK, steps, steps)
    for trial in trials.values():
        if trial.problem:
            listener.say(f"The engine {trial.engine} {trial.version} is not used: {trial.problem}")
    best = _best(times) if times else "eager"
    seconds = {name: statistics.median(each) for name, each in times.items()}
    told = [trial.model_copy(update=dict(seconds=seconds.get(name))) for name, trial in trials.items()]
    choice = blank.model_copy(update=dict(engine=best, trials=tuple(told)))
    try:
        write_atomically(choice.path, choice.model_dump_json())
    except SaveError as error:
        listener.say(f"The choice is not remembered: {error}")
    threads = f"{blank.threads} thread{'s' * (blank.threads > 1)}"
    listener.say(f"Fastest with {threads}, {blank.batch} at a time: {choice.describe()}")
    return ready.get(best) or build("eager", net, preprocess, threads=blank.threads)


def _time(runs: Mapping[str, Callable[[], object]], threads: int) -> dict[str, list[float]]:
    """Seconds of every run in each round, in a random order; the check has warmed them up."""
    clock = time.process_time if threads == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in runs}
    began = time.perf_counter()
    for done in range(MOST):
        if done >= LEAST and time.perf_counter() - began > SECONDS:
            break
        for name in random.sample(list(runs), len(runs)):
            start = clock()
            runs[name]()
            times[name].append(clock() - start)
    return times


def _best(times: Mapping[str, list[float]]) -> str:
    """By the median of the ratios of each round, which a busy machine disturbs least."""
    first = "torch" if "torch" in times else next(iter(times))
    gains = {
        name: statistics.median(a / b for a, b in zip(times[first], own, strict=True)) for name, own in times.items()
    }
    best = max(gains, key=gains.__getitem__)
    return best if gains[best] >= GAIN else first

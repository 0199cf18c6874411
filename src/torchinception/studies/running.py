"""A whole study: its runs beside one another on as many processors as there are, each kept as soon as it is done."""

import platform
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path

import torch

from torchinception.bench.results import check_folder
from torchinception.engines.remembered import describe_machine
from torchinception.errors import LostProcessError, UsageError
from torchinception.files import write_atomically
from torchinception.progress import Listener
from torchinception.studies.catalogue import find_study
from torchinception.studies.experiment import BATCH, digest, measure_size
from torchinception.studies.pictures import Pictures, read_pictures
from torchinception.studies.plot import plot
from torchinception.studies.records import Outcome, Result, Run, read_result
from torchinception.studies.study import Study
from torchinception.studies.workers import Workers


def run_study(
    name: str,
    *,
    data: str | Path | None = None,
    seeds: int = 3,
    steps: int | None = None,
    out: str | Path = "runs/studies",
    listener: Listener | None = None,
) -> Result:
    """Run a study, or what is left of it, and write `out`/NAME.json and its plot `out`/NAME.svg.

    Args:
        name: which.
        data: pictures, as `scan` takes them; default: the sample in the package.
        seeds: how many runs of each variant, from seed 0 on.
        steps: of each run; default: the study's own.
        out: the folder; runs that are there already, of the same pictures and settings, stay.
        listener: hears of progress.

    Raises:
        UsageError: no such study, or `out` holds runs of other pictures or settings.
        MissingInputError, DataError: pictures that cannot be used, or a damaged file of results.
        SaveError: a file could not be written.
        LostProcessError: a process was ended from outside; what was done is kept.
    """
    study, out, listener = find_study(name), Path(out), listener or Listener()
    if seeds < 1 or (steps is not None and steps < 1):
        raise UsageError(f"a study needs 1 seed and 1 step at least, not {seeds} and {steps}")
    steps = steps or study.steps
    check_folder(out)
    pictures = read_pictures(data, steps * BATCH, BATCH, listener)
    file = out / f"{name}.json"
    result = _begin(study, pictures, steps)
    if file.exists():
        earlier = read_result(file)
        if earlier.digest != result.digest:
            raise UsageError(
                f"{file} holds runs of other pictures, settings or another torch; choose another --out, or remove it"
            )
        result = earlier
    try:
        for result in _runs(study, result, pictures, seeds, listener):  # noqa: B020, each is the one before with more
            write_atomically(file, result.model_dump_json(indent=1) + "\n")
    except BrokenProcessPool as error:
        raise LostProcessError(
            f"a process of the study was ended from outside; run it again to go on in {out}"
        ) from error
    write_atomically(out / f"{name}.svg", plot(study, result))
    return result


def _begin(study: Study, pictures: Pictures, steps: int) -> Result:
    return Result(
        study=study.name,
        digest=digest(study.variants, pictures, steps),
        data=pictures.name,
        train=len(pictures.train),
        held_out=len(pictures.held_out),
        classes=pictures.classes,
        steps=steps,
        batch=BATCH,
        machine=describe_machine(),
        versions={
            "torch": torch.__version__,
            "torchinception": version("torchinception"),
            "python": platform.python_version(),
        },
        seconds=0.0,
        outcomes=tuple(measure_size(variant, pictures.classes) for variant in study.variants),
    )


def _runs(study: Study, result: Result, pictures: Pictures, seeds: int, listener: Listener) -> Iterator[Result]:
    """The result after each run that was missing, and at last with times."""
    began = time.perf_counter() - result.seconds
    missing = [
        (variant.name, seed)
        for seed in range(seeds)
        for variant in study.variants
        if seed not in {run.seed for run in result.outcome(variant.name).runs}
    ]
    untimed = not all(outcome.milliseconds for outcome in result.outcomes)
    if not missing and not untimed:
        return
    total = len(study.variants) * seeds * result.steps
    kept = total - len(missing) * result.steps
    with Workers(pictures, len(missing)) as workers:
        runs = {workers.train(study.name, variant, seed, result.steps): variant for variant, seed in missing}
        waiting = set(runs)
        while waiting:
            done, waiting = wait(waiting, 0.5, FIRST_COMPLETED)
            for future in done:
                result = _add(result, runs[future], future.result(), time.perf_counter() - began)
                yield result
            listener.progress(study.name, kept + workers.steps, total)
        if untimed:  # last, when no run is beside it
            listener.say("Taking the time of each variant's steps")
            yield _add_times(result, workers.take_time(study.name).result(), time.perf_counter() - began)


def _add(result: Result, variant: str, run: Run, seconds: float) -> Result:
    def added(outcome: Outcome) -> Outcome:
        if outcome.name != variant:
            return outcome
        runs = sorted([*outcome.runs, run], key=lambda run: run.seed)
        return outcome.model_copy(update=dict(runs=tuple(runs)))

    return result.model_copy(update=dict(outcomes=tuple(map(added, result.outcomes)), seconds=seconds))


def _add_times(result: Result, times: list[tuple[float, ...]], seconds: float) -> Result:
    outcomes = tuple(
        outcome.model_copy(update=dict(milliseconds=found))
        for outcome, found in zip(result.outcomes, times, strict=True)
    )
    return result.model_copy(update=dict(outcomes=outcomes, seconds=seconds))

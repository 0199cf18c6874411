"""Processes that train side by side, one thread each, so that what they compute depends on nothing else."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import wait as wait_for_any
from typing import Any, Self

import torch

from torchinception.studies.catalogue import find_study
from torchinception.studies.experiment import take_time, train
from torchinception.studies.pictures import Pictures
from torchinception.studies.records import Run

_work: dict[str, Any] = {}  # of one process: what `_begin` was given


class Workers:
    """As many processes as processors, but no more than `most`; use them in a `with`, whose end ends them."""

    def __init__(self, pictures: Pictures, most: int) -> None:
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        context = multiprocessing.get_context("spawn")
        self._steps, self._stopped = context.Value("q", 0), context.Event()
        self._pool = ProcessPoolExecutor(
            max(1, min(count, most)), context, _begin, (pictures, self._steps, self._stopped)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    @property
    def steps(self) -> int:
        """Taken so far, by all."""
        return int(self._steps.value)

    def train(self, study: str, variant: str, seed: int, steps: int) -> Future[Run]:
        """A run, as `experiment.train` does it."""
        return self._pool.submit(_train, study, variant, seed, steps)

    def take_time(self, study: str) -> Future[list[tuple[float, ...]]]:
        """The clock of every variant."""
        return self._pool.submit(_take_time, study)


def _begin(pictures: Pictures, steps: Any, stopped: Any) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C goes to the whole group; the parent says when to stop
        signal.signal(signum, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _work.update(pictures=pictures, steps=steps, stopped=stopped)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait_for_any([parent.sentinel])
    os._exit(1)


def _tell() -> None:
    if _work["stopped"].is_set():
        raise KeyboardInterrupt
    with _work["steps"].get_lock():
        _work["steps"].value += 1


def _train(study: str, variant: str, seed: int, steps: int) -> Run:
    found = find_study(study)
    chosen = next(each for each in found.variants if each.name == variant)
    return train(chosen, _work["pictures"], seed, steps, _tell)


def _take_time(study: str) -> list[tuple[float, ...]]:
    found = find_study(study)
    return take_time(found.variants, _work["pictures"])

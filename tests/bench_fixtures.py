"""Sides of a benchmark that are right, wrong or broken; what is run in a worker has to be importable there."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from torchinception.bench.side import Side, environment
from torchinception.bench.worker import Load, Run


def answering(values: object, *, computing: float = 0.001, failing_at: int = 0) -> Load:
    """Always the same answers, after so many seconds of computing; the call of a number from 1 may fail."""

    def load() -> tuple[str, Run]:
        calls = 0

        def run() -> Any:
            nonlocal calls
            calls += 1
            if calls == failing_at:
                raise ValueError("no more of this")
            until = time.process_time() + computing
            while time.process_time() < until:
                pass
            return np.asarray(values, np.float32)

        return "1.0", run

    return load


def dying() -> Load:
    """Its process is gone before it answers, with last words."""

    def load() -> tuple[str, Run]:
        print("out of luck", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    return load


def telling(*names: str) -> Load:
    """Answers with environment variables, and with the number of processors that it may use; and prints."""
    print("chatter")
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return lambda: ("1.0", lambda: ([os.environ.get(name) for name in names], processors))


def side(name: str, prepare: Callable[..., Load], *arguments: object, kind: str = "ours", **options: object) -> Side:
    return Side(name, kind, partial(prepare, *arguments, **options), environment(1, spin=None))

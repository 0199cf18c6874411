"""The native engine answers with the same bytes on any number of threads, and whoever else asks at the same time."""

import gc
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

import pytest
from graph_fixtures import draw, filled
from torch import Tensor

from torchinception.engines.native_engine import NativeEngine, native_problem
from torchinception.machine import usable_cores
from torchinception.models import Inception

pytestmark = [
    pytest.mark.skipif(bool(native_problem()), reason=native_problem() or "it is there"),
    pytest.mark.timeout(120, method="thread"),  # no handler of a signal would run in a call that hangs
]
TASKS = Path("/proc/self/task")  # a native library is built for Linux alone


class Asked(NamedTuple):
    """A network, pictures for it, and its answers on one thread, which nothing may write to."""

    net: Inception
    pictures: Tensor
    answers: Tensor

    def engine(self, threads: int) -> NativeEngine:
        return NativeEngine(self.net, batch=4, threads=threads, tune=False)


@pytest.fixture(scope="module")
def asked() -> Asked:
    net = filled("googlenet")
    pictures = draw(net, 4).float()
    return Asked(net, pictures, NativeEngine(net, batch=4, threads=1, tune=False).run(pictures))


@pytest.mark.parametrize("threads", [1, 2, 5, 8, 16])
def test_the_bytes_do_not_depend_on_the_number_of_threads(threads: int, asked: Asked) -> None:
    engine = asked.engine(threads)
    for _ in range(3):
        assert engine.run(asked.pictures).equal(asked.answers)
    assert engine.run(asked.pictures.flip(0)).flip(0).equal(asked.answers)  # a picture's answer is its own
    assert engine.run(asked.pictures[:1]).equal(asked.answers[:1])


@pytest.mark.parametrize("threads", [1, 2])
def test_one_plan_answers_four_at_once_while_another_engine_computes(threads: int, asked: Asked) -> None:
    engine, other, done = asked.engine(threads), asked.engine(2), Event()
    before = asked.answers.clone()

    def compute() -> list[bool]:
        right = [other.run(asked.pictures).equal(before)]
        while not done.is_set():
            right.append(other.run(asked.pictures).equal(before))
        return right

    orders = [asked.pictures.roll(number % 4, 0) for number in range(12)]
    with ThreadPoolExecutor(5) as pool:
        beside = pool.submit(compute)
        try:
            found = list(pool.map(engine.run, orders))
        finally:
            done.set()
    for number, answers in enumerate(found):  # kept until all are there, so each has memory of its own
        assert answers.equal(before.roll(number % 4, 0))
    assert all(beside.result())
    assert len(engine._plans) == 1


def test_more_threads_than_cores_come_to_an_end(asked: Asked) -> None:
    """Threads that wait for one another without sleeping could starve the one they wait for."""
    engine = asked.engine(4 * usable_cores() + 1)
    assert all(engine.run(asked.pictures).equal(asked.answers) for _ in range(10))


def test_a_fork_computes_though_a_plan_was_being_made(asked: Asked) -> None:
    script = """
import os, signal, threading, torch
from torchinception.engines.native_engine import NativeEngine
from torchinception.models import create
engine, pictures = NativeEngine(create("tiny_inception"), threads=2, tune=False), torch.rand(1, 3, 28, 28)
right = engine.run(pictures)
with engine._locks[os.getpid()]:
    if not (child := os.fork()):
        signal.alarm(60)
        os._exit(not engine.run(pictures).equal(right))
raise SystemExit(os.waitpid(child, 0)[1])
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=100).returncode == 0


def test_the_threads_of_an_engine_end_with_it(asked: Asked) -> None:
    before = set(TASKS.iterdir())
    engine = asked.engine(8)
    own = set(TASKS.iterdir()) - before
    assert len(own) == 7
    assert engine.run(asked.pictures).equal(asked.answers)
    del engine
    gc.collect()
    deadline = time.monotonic() + 10  # a thread that has been waited for may be listed for a moment
    while own & set(TASKS.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""The protocol: answers first, then rounds in which every side has its turn, in a new order each."""

import math
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from torchinception.bench.ours import engine_sides
from torchinception.bench.peak import OPERATIONS, matrix_product, product_environment
from torchinception.bench.peers import check_installed, make_peer, peer_sides
from torchinception.bench.records import Case, Row
from torchinception.bench.side import Side
from torchinception.bench.subjects import Subject, check_target, make_subject
from torchinception.bench.worker import Took, Worker, WorkerError
from torchinception.engines.checked import deviation
from torchinception.engines.engine import check_engine
from torchinception.errors import UsageError
from torchinception.machine import usable_cores
from torchinception.progress import Listener
from torchinception.summary import summarize

NETWORKS = ("googlenet", "inception_v3")
ROUNDS = 7
TURN_SECONDS = 0.25  # what a turn lasts at least: calls of a millisecond are too short for the clock
IDLE = 0.02  # of the time between turns: a side that computes more than that then disturbs the others
PEAK = "matrix product"


def measure(
    targets: Sequence[str] = NETWORKS,
    *,
    batches: Sequence[int] = (1,),
    threads: Sequence[int] = (1,),
    tier: str = "default",
    tune: bool = True,
    peers: bool = False,
    rounds: int = ROUNDS,
    listener: Listener | None = None,
) -> Iterator[Case]:
    """Measure networks or models, one case after the other: every engine, and with `peers` other libraries' networks.

    Args:
        targets: names of networks, whose weights are random then, or models as `load` takes them.
        batches: numbers of pictures a call.
        threads: numbers of threads.
        tier: of the native engine.
        tune: whether it times its algorithms, or takes those of a rule.
        peers: also other libraries' networks with the same weights, in PyTorch and in the runtimes.
        rounds: how often every side has its turn.
        listener: hears of progress.

    Raises:
        InceptionError: a target that is not there, no such tier, more threads than processors, or a peer that is not
            installed.
    """
    check_engine("native", tier=tier, tune=tune)
    listener = listener or Listener()
    if max(threads) > usable_cores():
        raise UsageError(f"{max(threads)} threads are asked for, and {usable_cores()} processors are there")
    for target in targets:
        check_target(target)
        if peers:
            check_installed(target)
    for target in targets:
        with tempfile.TemporaryDirectory(prefix="torchinception-bench-") as name:
            folder = Path(name)
            subject = make_subject(target, max(batches), folder, listener)
            peer = make_peer(subject, folder) if peers else None
            for batch in batches:
                for count in threads:
                    pictures = subject.pictures[:batch].numpy()
                    sides = engine_sides(subject.file, pictures, count, tier=tier, tune=tune)
                    reference, notes = "eager", list[str]()
                    if peer:
                        theirs, told = peer_sides(peer, pictures, count, folder)
                        sides, reference, notes = [*sides, *theirs], peer.reference, [*filter(None, [peer.note]), *told]
                    yield measure_case(
                        subject, sides, batch, count, reference=reference, rounds=rounds, notes=notes, listener=listener
                    )


def measure_case(
    subject: Subject,
    sides: Sequence[Side],
    batch: int,
    threads: int,
    *,
    reference: str,
    rounds: int = ROUNDS,
    notes: Sequence[str] = (),
    listener: Listener | None = None,
) -> Case:
    """Sides of one network, each in a process of its own; `reference` is what the others are compared with.

    A side that fails, or whose answers are not those of float64 PyTorch, is not timed; its row says why.
    """
    listener = listener or Listener()
    title = f"{subject.name}, batch {batch}, {threads} thread{'s' * (threads > 1)}"
    cpu = threads == 1
    steps = len(sides) + 1 + rounds
    rows = {side.name: Row(side.name, side.kind) for side in sides}
    rows[PEAK] = Row(PEAK, "peak")
    peak = Side(PEAK, "peak", matrix_product, product_environment(threads))
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="torchinception-bench-") as logs:
        workers = dict[str, Worker]()
        for number, side in enumerate([*sides, peak]):
            listener.progress(title, number, steps)
            log = Path(logs) / f"{number}.log"
            worker = Worker(side.prepare, threads=threads, environment=side.environment, log=log)
            stack.enter_context(worker)
            rows[side.name] = _check(rows[side.name], worker, subject.right[:batch])
            if rows[side.name].problem:
                worker.close()
            else:
                workers[side.name] = worker
        calls = _warm_up(workers, rows, cpu=cpu)
        times: dict[str, list[Took]] = {name: [] for name in calls}
        for done in range(rounds):
            listener.progress(title, len(sides) + 1 + done, steps)
            for name in random.sample(list(calls), len(calls)):
                with _failing(name, rows, calls):
                    times[name].append(workers[name].turn(calls[name], cpu=cpu))
        for name in list(calls):
            with _failing(name, rows, calls):
                memory = workers[name].memory_bytes()
                seconds = tuple(took.seconds for took in times[name])
                rows[name] = replace(rows[name], memory_bytes=memory, seconds=seconds, idle=_idle(times[name]))
    listener.progress(title, steps, steps)
    product = rows.pop(PEAK)
    timed = [row.side for row in rows.values() if row.seconds]
    spinning = [
        f"{row.side} computed for {row.idle:.0%} of the time between its turns, and slowed others"
        for row in rows.values()
        if row.idle and row.idle > IDLE
    ]
    return Case(
        network=subject.name,
        size_px=subject.size_px,
        batch=batch,
        threads=threads,
        clock="CPU time" if cpu else "wall time",
        macs=summarize(subject.net.name, subject.size_px, classes=subject.net.classifier.out_features).macs,
        peak_flops=tuple(OPERATIONS / seconds for seconds in product.seconds),
        blas=product.version,
        reference=reference if reference in timed else next(iter(timed), None),
        rows=tuple(rows.values()),
        notes=(*notes, *spinning),
    )


def _check(row: Row, worker: Worker, right: Tensor) -> Row:
    """Its first answers beside float64's; the matrix product has none."""
    try:
        loaded = worker.load()
    except WorkerError as failure:
        return replace(row, problem=f"fails: {failure}")
    row = replace(row, version=loaded.version, load_seconds=loaded.seconds)
    if loaded.answers is None:
        return row
    if loaded.answers.shape != right.shape:
        return replace(row, problem=f"its answers are of shape {loaded.answers.shape}, not {tuple(right.shape)}")
    found = deviation(torch.from_numpy(loaded.answers), right)
    problem = "" if found.tolerable else "its answers are wrong"
    return replace(row, error=found.error, top1=found.top1, problem=problem)


def _warm_up(workers: Mapping[str, Worker], rows: dict[str, Row], *, cpu: bool) -> dict[str, int]:
    """How many calls make a turn of each side."""
    calls = dict.fromkeys(workers, 1)
    for name in workers:
        with _failing(name, rows, calls):
            calls[name] = math.ceil(TURN_SECONDS / max(workers[name].turn(1, cpu=cpu).seconds, 1e-6))
    return calls


@contextmanager
def _failing(name: str, rows: dict[str, Row], calls: dict[str, int]) -> Iterator[None]:
    """A side that fails here has no further turns, and no figures."""
    try:
        yield
    except WorkerError as failure:
        rows[name] = replace(rows[name], problem=f"fails: {failure}")
        del calls[name]


def _idle(times: Sequence[Took]) -> float:
    """The share of the time between turns in which the process computed."""
    return sum(took.computed for took in times) / sum(took.waited for took in times)

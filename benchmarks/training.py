"""Training steps of ours: beside torchvision's same network, and beside a plain loop.    make bench

    python benchmarks/training.py [torchvision] [lightning]    default: both; what is not measured stays in the results

torchvision: the same batch and size, auxiliary heads off on both, SGD; ours channels last, as our training runs it,
theirs as it comes and channels last. One and two threads, in one run.

lightning: what `inception train` takes for a step of GoogLeNet, from one report of progress to the next, beside a
loop that does nothing but compute it: the same pictures, loader, losses, optimizer, schedule. Short runs of both in
turn; each round is a ratio of the medians of its steps. Setting up, the first step and the end are not counted. Both
by the clock on the wall and by the process's own computing, which other processes disturb less.
"""

import json
import math
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torchvision
from run import RESULTS, compare
from torch import nn

from torchinception.data.folder import scan
from torchinception.data.module import Pictures, ResumableLoader
from torchinception.data.sample import write_sample
from torchinception.models import create
from torchinception.progress import Listener
from torchinception.training.fit import Job, fit, isolated
from torchinception.training.loss import total_loss
from torchinception.training.module import Training
from torchinception.training.plan import choose
from torchinception.training.ranks import Ranks
from torchinception.training.recipe import load_recipe

CPU = torch.device("cpu")


def step(net: nn.Module, size: int, batch: int, memory: torch.memory_format) -> Callable[[], None]:
    """One step of forward, backward and SGD with momentum."""
    net = net.train().to(memory_format=memory)  # type: ignore[call-overload]
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=memory)
    labels = torch.arange(batch) % 10
    optimizer = torch.optim.SGD(net.parameters(), 0.001, 0.9)

    def run() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return run


def beside_torchvision() -> dict[str, object]:
    """Both networks with one and two threads."""
    results: dict[str, object] = {}
    options = dict(num_classes=10, aux_logits=False, init_weights=False, transform_input=False)
    for name, size, batch in (("googlenet", 224, 8), ("inception_v3", 299, 4)):
        build = getattr(torchvision.models, name)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            sides = {
                "ours": step(create(f"{name}_torch", 10), size, batch, torch.channels_last),
                "torchvision": step(build(**options), size, batch, torch.contiguous_format),
                "torchvision, channels last": step(build(**options), size, batch, torch.channels_last),
            }
            title = f"A training step of {name} at {size} px, batch {batch}, {threads} threads"
            results[title] = compare(title, sides, rounds=7)
    return results


class Clock(Listener):
    """The moment after each step: on the wall, and of this process's own computing."""

    def __init__(self) -> None:
        self.moments: list[tuple[float, float]] = []

    def progress(self, task: str, *_: int, **__: float) -> None:
        if task == "Training":
            self.moments.append((time.perf_counter(), time.process_time()))

    def medians(self) -> tuple[float, ...]:
        """Seconds a step by either clock."""
        return tuple(statistics.median(b - a for a, b in pairwise(clock)) for clock in zip(*self.moments, strict=True))


def train_plainly(job: Job) -> None:
    """What a run computes, and nothing else."""
    recipe = job.recipe
    net = create(recipe.network, len(job.folder.classes), aux=bool(recipe.loss.aux_weight))
    pictures = Pictures(job.splits["train"], recipe.preprocess, recipe.augment, recipe.seed)
    loader = ResumableLoader(pictures, recipe.batch, 0, train=True)
    training = Training(net.to(memory_format=torch.channels_last), recipe.preprocess, recipe, len(loader), "")
    chosen = training.configure_optimizers()
    optimizer, scheduler = chosen["optimizer"], chosen["lr_scheduler"]["scheduler"]
    torch.use_deterministic_algorithms(True)  # as in training on the CPU
    for index, (batch, labels) in enumerate(loader):
        optimizer.zero_grad()
        losses, _ = training.losses(training.normalize(batch), labels)
        total_loss(losses, recipe.loss).backward()
        optimizer.step()
        scheduler.step()
        job.listener.progress("Training", index + 1, len(loader))


def beside_a_plain_loop() -> dict[str, object]:
    """GoogLeNet as published, and a network so small that the overhead shows."""
    torch.set_num_threads(1)
    return overhead("googlenet", 224, rounds=12, steps=4) | overhead("tiny_inception", 28, rounds=20, steps=40)


def overhead(network: str, size: int, rounds: int, steps: int) -> dict[str, object]:
    """Short runs of both in turn, with 8 pictures a step."""
    title = f"A step of inception train, {network} at {size} px, batch 8, 1 threads"
    settings = dict(network=network, size=size, batch=8, epochs=1)
    times: dict[str, list[tuple[float, ...]]] = dict(lightning=[], plain=[])
    with tempfile.TemporaryDirectory() as place:
        folder = scan(write_sample(Path(place)) / "train")
        samples = folder.splits["all"]
        splits = dict(train=samples[: steps * 8], val=samples[-2:])
        recipe = choose(load_recipe("default", settings), folder, splits, CPU, Listener())
        for number in range(rounds):
            for name in random.sample(list(times), 2):
                clock = Clock()
                out = Path(place) / f"{name}-{number}"
                job = Job(folder, splits, recipe, out, 0, CPU, 10**9, math.inf, clock, Ranks())
                with isolated(CPU):
                    fit(job, resume=False) if name == "lightning" else train_plainly(job)
                assert len(clock.moments) == steps
                times[name].append(clock.medians())
    found: dict[str, object] = dict(rounds=rounds, steps=steps)
    for index, clock in enumerate(("wall", "cpu")):
        columns = {name: [row[index] for row in rows] for name, rows in times.items()}
        ratios = sorted(a / b for a, b in zip(columns["lightning"], columns["plain"], strict=True))
        low, middle, high = (ratios[round(q * (rounds - 1))] for q in (0.1, 0.5, 0.9))
        seconds = {name: statistics.median(column) for name, column in columns.items()}
        print(f"{title}, {clock} clock: {middle:.3f} ({low:.3f} to {high:.3f}) times a plain loop's; {seconds}")
        found[clock] = dict(seconds=seconds, ratio=middle, low=low, high=high)
    return {title: found}


PARTS = dict(torchvision=beside_torchvision, lightning=beside_a_plain_loop)


def main() -> None:
    """The parts that are asked for."""
    warnings.simplefilter("ignore")  # torchvision's, of its own initialization
    file = RESULTS / "training.json"
    results: dict[str, object] = json.loads(file.read_text()) if file.exists() else {}
    results |= dict(
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        versions=dict(torch=torch.__version__, torchvision=torchvision.__version__),
    )
    for part in sys.argv[1:] or PARTS:
        results |= PARTS[part]()
    file.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Speeds as ratios, measured side by side.    make bench

Every comparison runs its sides in turn, round after round, in one process (or as processes in turn),
and reports the median of the rounds' ratios with their 10 to 90 % range. Results go to results/.
"""

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from torchinception.models import create

RESULTS = Path(__file__).parent / "results"
Side = Callable[[], object]


def compare(
    title: str, sides: Mapping[str, Side], rounds: int = 9, clock: Callable[[], float] = time.perf_counter
) -> dict[str, object]:
    """Time the sides in random order each round; ratios are first side / other side (above 1: the other is faster)."""
    for side in sides.values():
        side()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name in random.sample(list(sides), len(sides)):
            start = clock()
            sides[name]()
            times[name].append(clock() - start)
    first, *others = sides
    print(f"\n{title}: {first} takes {1000 * statistics.median(times[first]):.1f} ms")
    found: dict[str, object] = dict(seconds={name: statistics.median(t) for name, t in times.items()})
    for name in others:
        ratios = sorted(a / b for a, b in zip(times[first], times[name], strict=True))
        low, middle, high = (ratios[round(q * (rounds - 1))] for q in (0.1, 0.5, 0.9))
        its = 1000 * statistics.median(times[name])
        print(f"  {name}: {middle:.2f} times as fast ({low:.2f} to {high:.2f}), {its:.1f} ms")
        found[name] = dict(ratio=middle, low=low, high=high)
    return found


def process(*arguments: str) -> Side:
    """A whole Python process."""
    return lambda: subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def step(name: str, size: int, batch: int, memory: torch.memory_format) -> Side:
    """One training step."""
    net = create(name, 10).to(memory_format=memory)
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=memory)
    labels = torch.arange(batch) % 10
    optimizer = torch.optim.SGD(net.parameters(), 0.01)

    def run() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return run


def on_meta(name: str) -> None:
    """Build a network without memory."""
    with torch.device("meta"):
        create(name)


def main() -> None:
    """Run every comparison."""
    import timm

    results: dict[str, object] = dict(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        versions=dict(python=platform.python_version(), torch=torch.__version__, timm=timm.__version__),
    )
    print(results["machine"], results["versions"])
    results["help"] = compare(
        "inception --help",
        {"--help": process("-m", "torchinception", "--help"), "python -c pass": process("-c", "pass")},
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name, peer in (("inception_v4", "inception_v4"), ("inception_resnet_v2", "inception_resnet_v2")):
        sides = {
            "timm (PyTorch's own initialization)": partial(timm.create_model, peer),
            "ours (as published)": partial(create, name),
            "ours on the meta device": partial(on_meta, name),
        }
        results[f"create {name}"] = compare(f"Building {name} on one core", sides, rounds=5)
    torch.set_num_threads(threads)
    for name, size, batch in (("tiny_inception", 28, 32), ("small_inception", 28, 32), ("googlenet_bn", 128, 8)):
        formats = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
        sides = {label: step(name, size, batch, memory) for label, memory in formats.items()}
        results[f"step {name}"] = compare(f"A training step of {name} at {size} px, batch {batch}", sides)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "foundation.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

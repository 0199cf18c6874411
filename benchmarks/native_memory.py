"""What the native engine takes of memory, packed weights and buffers, and how long it takes to make a plan.

Of every network, for one picture of its own size, with one thread, by the rule alone. Fails where either is above what
is promised. Half a minute; writes native_memory.json. For a look: python benchmarks/native_memory.py --out /tmp/memory
"""

import argparse
import json
import time
from pathlib import Path

import torch
from run import RESULTS

from torchinception.bench.results import check_folder
from torchinception.console import print_table
from torchinception.engines.native_engine import NativeEngine, native_problem
from torchinception.engines.remembered import describe_machine
from torchinception.errors import UsageError
from torchinception.models import NETWORKS, create

TIMES = {"googlenet": 2.5, "inception_v3": 2.0}  # the size of the weights, at most
SECONDS = 2.0  # for a plan, at most
HEADINGS = ("network", "px", "weights-MB", "packed-and-buffers-MB", "times", "plan-s")


def measure(name: str) -> dict[str, float]:
    """Megabytes, and seconds."""
    net, side = create(name).eval(), NETWORKS[name].size
    start = time.perf_counter()
    engine = NativeEngine(net, threads=1, tune=False)
    engine.run(torch.zeros(1, 3, side, side))
    seconds = time.perf_counter() - start
    weights = sum(4 * weight.numel() for weight in net.parameters())
    return dict(px=side, weights=weights / 1e6, packed=engine.packed_bytes / 1e6, seconds=seconds)


def main() -> None:
    """All networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for native_memory.json")
    asked = parser.parse_args()
    check_folder(asked.out)
    if problem := native_problem():
        raise UsageError(problem)
    torch.set_num_threads(1)
    found = {name: measure(name) for name in NETWORKS}
    content = dict(machine=describe_machine(), networks=found)
    (asked.out / "native_memory.json").write_text(json.dumps(content, indent=1) + "\n")
    rows = []
    for name, record in found.items():
        px, weights, packed, seconds = record.values()
        rows.append((name, px, f"{weights:.1f}", f"{packed:.1f}", f"{packed / weights:.2f}", f"{seconds:.2f}"))
    print_table("Memory of the native engine, one picture", HEADINGS, rows, " ".join(HEADINGS[1:]))
    over = [name for name, times in TIMES.items() if found[name]["packed"] > times * found[name]["weights"]]
    slow = [name for name, record in found.items() if record["seconds"] > SECONDS]
    if over or slow:
        raise SystemExit(f"above what is promised: memory of {over}, plans of {slow}")


if __name__ == "__main__":
    main()

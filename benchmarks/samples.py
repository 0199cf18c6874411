"""What a million samples cost in memory, and a folder of 100,000 files in time.    make bench

Memory is a process's own above what it held before (Linux): in the process that makes them (the peak, holding out
included), in a forked worker that reads each of them (what it no longer shares), and in one that was sent them.
Beside them stands the same as a list of objects.
"""

import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from torchinception.data.folder import scan
from torchinception.data.samples import Sample, Samples
from torchinception.data.split import hold_out

COUNT = 1_000_000
FILES = 100_000
CLASSES = tuple(f"n{number:08}" for number in range(100))
ROOT = Path("/data/imagenet/ILSVRC2012/CLS-LOC")


def main() -> None:
    """Measure, print, and write results/samples.json."""
    from run import RESULTS

    memory = {kind: measure_apart("memory", kind, COUNT) for kind in ("arrays", "objects")}
    for kind, costs in memory.items():
        print(f"{COUNT:,} samples as {kind}: " + ", ".join(f"{k} {v / 1e6:.0f} MB" for k, v in costs.items()))
    with tempfile.TemporaryDirectory() as place:
        os.environ["TORCHINCEPTION_CACHE"] = f"{place}/cache"
        scanning = measure_apart("scan", write_pictures(Path(place) / "data", FILES))
    print(f"{FILES:,} files: " + ", ".join(f"{key} {value:,.1f}" for key, value in scanning.items()))
    results = dict(
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        python=platform.python_version(),
        samples=COUNT,
        bytes=memory,
        files=FILES,
        scanning=scanning,
    )
    (RESULTS / "samples.json").write_text(json.dumps(results, indent=2) + "\n")


def measure_apart(*arguments: object) -> dict[str, float]:
    """In a process of its own."""
    command = [sys.executable, __file__, *map(str, arguments)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def memory(kind: str, count: int) -> dict[str, int]:
    """Bytes that `count` samples cost in each kind of process."""
    before = start_peak()
    held = [(make if kind == "arrays" else make_objects)(count)]
    making = own("VmHWM") - before
    forked = in_child(lambda: read_all(held[0]))
    content = pickle.dumps(held.pop())
    sent = in_child(lambda: read_all(pickle.loads(content)))
    return dict(made=making, forked=forked, sent=sent)


Parts = tuple[Sequence[Sample], ...]


def make(count: int) -> Parts:
    samples = Samples.gather(ROOT, make_one_by_one(count))
    return samples, *hold_out(samples, CLASSES)


def make_objects(count: int) -> Parts:
    samples = list(make_one_by_one(count))
    return samples, samples[count // 10 :], samples[: count // 10]


def make_one_by_one(count: int) -> Iterator[Sample]:
    for number in range(count):
        label = number % len(CLASSES)
        yield Sample(ROOT / f"{CLASSES[label]}/{CLASSES[label]}_{number:08}.JPEG", label, f"{number:064x}")


def read_all(parts: Parts) -> Parts:
    for part in parts:
        for sample in part:
            assert sample.label < len(CLASSES)
    return parts


def in_child(do: Callable[[], object]) -> int:
    """The memory that a forked process does not share once it has done this and holds the result."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        start = unshared()
        result = do()
        os.write(writing, str(unshared() - start).encode())
        del result
        os._exit(0)
    os.close(writing)
    os.wait()
    return int(os.read(reading, 100))


def unshared() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def own(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def start_peak() -> int:
    """What the process holds now; its peak counts from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return own("VmRSS")


def write_pictures(root: Path, count: int) -> Path:
    """As many PNG files of 8 x 8 pixels, which have not just been written."""
    path = root / "first.png"
    root.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    content = path.read_bytes()
    path.unlink()
    for number in range(count):
        path = root / CLASSES[number % len(CLASSES)] / f"{number:06}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (number, number))
    return root


def scan_twice(root: Path) -> dict[str, float]:
    """Seconds, and the process's peak in megabytes."""
    before = start_peak()
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        scan(root)
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    for path in root.glob("*/*"):
        path.stat()
    walking = time.perf_counter() - start
    first, *again = seconds
    return dict(
        first_s=first, again_s=statistics.median(again), glob_and_stat_s=walking, peak_mb=(own("VmHWM") - before) / 1e6
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        print(json.dumps(memory(sys.argv[2], int(sys.argv[3]))))
    elif sys.argv[1:2] == ["scan"]:
        print(json.dumps(scan_twice(Path(sys.argv[2]))))
    else:
        main()

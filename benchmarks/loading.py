"""Loading a model file beside reading it with safetensors and hashing it once; and the memory it takes.    make bench

inception_v3, one thread. The file is in the system's cache. Memory is a fresh process's peak (Linux: VmHWM) above
what it held before, as a multiple of the file's size.
"""

import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from run import RESULTS, compare
from safetensors.torch import load_file

from torchinception.classifier import Classifier, load
from torchinception.data.transforms import Preprocess
from torchinception.models import create
from torchinception.weights.bundle import ModelSpec

PEAK = """
import sys
from pathlib import Path
from torchinception.models import create
from torchinception.weights.bundle import load_model

def kilobytes(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))

create("tiny_inception", 2)
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = kilobytes("VmRSS")
load_model(sys.argv[1])
print(kilobytes("VmHWM") - before)
"""


def read_and_hash(path: Path) -> None:
    """What any loading costs that checks what it read."""
    load_file(path)
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def peak_bytes(path: Path) -> int:
    """Of a fresh process."""
    command = [sys.executable, "-c", PEAK, str(path)]
    return 1024 * int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, print, and write results/loading.json."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        classes = tuple(f"class_{i}" for i in range(1000))
        spec = ModelSpec(network="inception_v3", classes=classes, preprocess=Preprocess(size=299))
        Classifier(create("inception_v3"), spec).save(path)
        size = path.stat().st_size
        sides = {"ours": lambda: load(path), "safetensors and one SHA-256": lambda: read_and_hash(path)}
        times = compare("Loading inception_v3", sides)
        memory = [peak_bytes(path) / size for _ in range(5)]
    print(f"\nPeak memory: {statistics.median(memory):.2f} times the file's {size / 1e6:.0f} MB")
    results = dict(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, 1 thread",
        versions=dict(python=platform.python_version(), torch=torch.__version__),
        loading=times,
        peak_memory_over_file_size=memory,
    )
    (RESULTS / "loading.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

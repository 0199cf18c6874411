"""JPEG files to normalised float32 batches, beside torchvision's `ImageFolder` with the usual transforms.    make bench

299 px of 342, bilinear; one thread, processor time. Both sides read the same files, one batch after the other, in this
process; the files are in the system's cache. The photographs are drawn: detail of every size, the finer the fainter,
and a sensor's noise, as JPEG of quality 90 with halved colour (4:2:0). How many bytes a file has decides how much
reduced decoding gains, as its Huffman codes must be read all the same; hence 12 megapixels both sharp and soft.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image, __version__, features
from run import RESULTS, Side, compare
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

from torchinception.data.images import open_image
from torchinception.data.transforms import Preprocess, stack

HERE = Path(__file__).parent
PEAK = """
import sys
from pathlib import Path
from PIL import Image
from pictures import LOOK, USUAL, open_image

def kilobytes(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))

def read(path):
    if side == "torchvision":
        return USUAL(Image.open(path).convert("RGB"))
    picture = open_image(path, least=LOOK.least if side == "reduced" else None)
    return LOOK.normalize(LOOK.cut(picture)[None])

side, path = sys.argv[1:]
USUAL(Image.new("RGB", (400, 400)))
LOOK.normalize(LOOK.cut(Image.new("RGB", (400, 400)))[None])
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = kilobytes("VmRSS")
read(path)
print(kilobytes("VmHWM") - before)
"""
LOOK = Preprocess(size=299, crop=299 / 342)
BYTES = LOOK.model_copy(update={"interpolation": "bilinear_uint8"})
USUAL = Compose([Resize(342), CenterCrop(299), ToTensor(), Normalize(LOOK.mean, LOOK.std)])


def write_photographs(folder: Path, count: int, width: int, height: int, finest: int) -> list[Path]:
    """In one class; detail down to `finest` px, and noise of three grey levels if that is one."""
    (folder / "photographs").mkdir(parents=True)
    paths = [folder / "photographs" / f"{number:03}.jpg" for number in range(count)]
    for seed, path in enumerate(paths):
        draws = np.random.default_rng(seed)
        values = np.full((height, width, 3), 128, np.float32)
        cells = 4
        while cells * finest < width:
            fields = Image.fromarray(draws.integers(0, 256, (cells * 3 // 4, cells, 3), dtype=np.uint8))
            values += (np.asarray(fields.resize((width, height)), np.float32) - 128) * np.float32(1.2 / cells**0.45)
            cells *= 2
        values += (3 if finest == 1 else 0) * draws.standard_normal(values.shape, np.float32)
        picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
        picture.save(path, quality=90, subsampling="4:2:0")
    return paths


def theirs(folder: Path, batch: int) -> Iterator[Tensor]:
    """Batches, float32 (N, 3, 299, 299)."""
    return (pictures for pictures, _ in DataLoader(ImageFolder(str(folder), USUAL), batch))


def ours(paths: list[Path], batch: int, look: Preprocess = LOOK, least: int | None = None) -> Iterator[Tensor]:
    """Batches, float32 (N, 3, 299, 299)."""
    for start in range(0, len(paths), batch):
        cuts = [look.cut(open_image(path, least=least)) for path in paths[start : start + batch]]
        yield look.normalize(stack(cuts))


def consume(batches: Callable[[], Iterator[Tensor]]) -> None:
    """Hold one batch at a time, as training does."""
    for _ in batches():
        pass


def peak_bytes(side: str, path: Path) -> int:
    """What one picture takes in a fresh process, warm (Linux: VmHWM)."""
    command = [sys.executable, "-W", "ignore", "-c", PEAK, side, str(path)]
    return 1024 * int(subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE).stdout)


def differences(paths: list[Path], look: Preprocess, least: int | None) -> dict[str, float]:
    """From the exact crops, in grey levels of 255."""
    gaps = [(look.cut(open_image(path, least=least)).int() - LOOK.cut(open_image(path)).int()).abs() for path in paths]
    together = torch.stack(gaps)
    return dict(
        mean=float(together.double().mean()),
        largest=float(together.max()),
        changed=float((together > 0).double().mean()),
    )


def measure(folder: Path, title: str, count: int, width: int, height: int, finest: int = 1) -> dict[str, object]:
    """One kind of file: the answers compared, then the times."""
    paths = write_photographs(folder, count, width, height, finest)
    batch = min(count, 32)
    for right, found in zip(theirs(folder, batch), ours(paths, batch), strict=True):
        torch.testing.assert_close(found, right, rtol=0, atol=2**-22)  # the same grey levels; two roundings more
    file_bytes = statistics.mean(path.stat().st_size for path in paths)
    ways: dict[str, tuple[Preprocess, int | None]] = {"exact": (LOOK, None), "exact, bilinear_uint8": (BYTES, None)}
    if min(width, height) > LOOK.least:
        ways["reduced"] = (LOOK, LOOK.least)
        ways["reduced, bilinear_uint8"] = (BYTES, LOOK.least)
        ways["reduced further, bilinear_uint8"] = (BYTES, LOOK.least // 2)
    sides: dict[str, Side] = {"torchvision": partial(consume, partial(theirs, folder, batch))}
    sides |= {name: partial(consume, partial(ours, paths, batch, *way)) for name, way in ways.items()}
    title = f"{count} files of {title}, {file_bytes / 1e3:,.0f} kB each"
    times = compare(title, sides, clock=time.process_time)
    gaps = {name: differences(paths, *way) for name, way in ways.items()}
    for name, gap in gaps.items():
        print(f"  {name} differs by {gap['mean']:.4f} of 255 on average, {gap['largest']:.0f} at most")
    memory = {side: peak_bytes(side, paths[0]) for side in ("torchvision", "exact", "reduced")}
    print("  peak memory: " + ", ".join(f"{side} {peak / 1e6:.1f} MB" for side, peak in memory.items()))
    return dict(pictures=count, batch=batch, file_bytes=file_bytes, differences=gaps, peak_bytes=memory) | times


def main() -> None:
    """Measure, print, and write results/pictures.json."""
    torch.set_num_threads(1)
    results: dict[str, object] = dict(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, 1 thread",
        versions=dict(
            python=platform.python_version(),
            torch=torch.__version__,
            torchvision=torchvision.__version__,
            pillow=__version__,
            jpeg=features.version("libjpeg_turbo"),
        ),
    )
    print(results["machine"], results["versions"])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        results["500x375"] = measure(folder / "small", "500x375", 64, 500, 375)
        results["12 megapixels"] = measure(folder / "large", "4000x3000", 4, 4000, 3000)
        results["12 megapixels, soft"] = measure(folder / "soft", "4000x3000 without the finest", 4, 4000, 3000, 4)
    (RESULTS / "pictures.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

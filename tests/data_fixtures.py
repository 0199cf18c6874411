"""Small real pictures, folders and models, each the same every time."""

import contextlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from torchinception.classifier import Classifier
from torchinception.data.images import Picture
from torchinception.data.transforms import Preprocess
from torchinception.models import create
from torchinception.weights.bundle import ModelSpec


def noise(seed: int, height: int = 8, width: int = 8) -> Picture:
    """Every pixel random, so that no shift, turn or swap goes unnoticed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encode(picture: Picture | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_classes(root: Path, side: int = 8, **counts: int) -> Path:
    """`counts["train/cat"]` different PNG files in `root`/train/cat, and so on."""
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed = zlib.crc32(f"{folder}/{number}".encode())
            (root / folder / f"{number:03}.png").write_bytes(encode(noise(seed, side, side)))
    return root


def listing(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything under `root` with the time of its last change and its content."""
    return {
        str(p.relative_to(root)): (p.lstat().st_mtime_ns, p.lstat().st_mode, p.read_bytes() if p.is_file() else b"")
        for p in [root, *sorted(root.rglob("*"))]
    }


def tiny_classifier(
    *classes: str, size: int = 28, crop: float = 0.875, data: str = "", names: tuple[str, ...] = ()
) -> Classifier:
    torch.manual_seed(0)
    net = create("tiny_inception", classes=len(classes))
    look = Preprocess(size=size, crop=crop)
    spec = ModelSpec(network=net.name, classes=classes, names=names, preprocess=look, data=data)
    return Classifier(net, spec)


@contextlib.contextmanager
def full_disk(free_bytes: int = 100) -> Iterator[None]:
    """Files can grow to `free_bytes` and no further, as if the disk were full then."""
    resource = pytest.importorskip("resource", reason="this system cannot limit the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

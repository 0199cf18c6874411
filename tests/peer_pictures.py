"""Pictures like photographs: fields of colour that fade into each other, and noise."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SHAPES = (  # width, height, mode, suffix: wide and tall, smaller and larger than the input, and exactly as large
    (320, 240, "RGB", "jpg"),
    (240, 320, "RGB", "png"),
    (500, 375, "RGB", "jpg"),
    (299, 299, "RGB", "png"),
    (64, 48, "RGB", "bmp"),
    (900, 333, "L", "jpg"),
    (150, 400, "P", "png"),
    (333, 500, "RGB", "webp"),
)
SQUARES = tuple((299, 299, mode, suffix) for *_, mode, suffix in SHAPES)


def write_pictures(folder: Path, shapes: Sequence[tuple[int, int, str, str]] = SHAPES) -> list[Path]:
    draws = np.random.default_rng(0)
    paths = [folder / f"{i}.{suffix}" for i, (*_, suffix) in enumerate(shapes)]
    for path, (width, height, mode, _) in zip(paths, shapes, strict=True):
        fields = Image.fromarray(draws.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        smooth = np.asarray(fields.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
        noisy = (smooth + draws.normal(0, 16, smooth.shape)).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(noisy)
        (image.quantize() if mode == "P" else image.convert(mode)).save(path)
    return paths

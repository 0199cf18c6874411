"""Four photographs, and parts of them: real pictures to check answers with (README.md says whose they are)."""

import io
from importlib.resources import files

import numpy as np
import torch
from PIL import Image
from torch import Tensor

NAMES = ("astronaut", "cat", "coffee", "rocket")
LEAST = 0.4  # of each side of a photograph, in a part of it


def real_pictures(count: int, height: int, width: int) -> Tensor:
    """Uint8 (N, height, width, 3), always the same: each photograph's middle, then parts of them drawn at random."""
    photographs = [_read(name) for name in NAMES]
    draws = np.random.default_rng(0)
    found = []
    for number in range(count):
        photograph = photographs[number % len(NAMES)]
        box = _middle(photograph, height, width) if number < len(NAMES) else _part(photograph, draws)
        resized = photograph.resize((width, height), Image.Resampling.BILINEAR, box)
        found.append(np.asarray(resized))
    return torch.from_numpy(np.stack(found)) if found else torch.empty(0, height, width, 3, dtype=torch.uint8)


def _read(name: str) -> Image.Image:
    content = files(__name__).joinpath(f"{name}.jpg").read_bytes()
    return Image.open(io.BytesIO(content), formats=["JPEG"]).convert("RGB")


def _middle(photograph: Image.Image, height: int, width: int) -> tuple[float, float, float, float]:
    """The largest box of this shape, in the middle."""
    scale = min(photograph.width / width, photograph.height / height)
    across, down = width * scale, height * scale
    left, top = (photograph.width - across) / 2, (photograph.height - down) / 2
    return left, top, left + across, top + down


def _part(photograph: Image.Image, draws: np.random.Generator) -> tuple[float, float, float, float]:
    across, down = (int(side * draws.uniform(LEAST, 1)) for side in photograph.size)
    left, top = draws.integers(photograph.width - across + 1), draws.integers(photograph.height - down + 1)
    return float(left), float(top), float(left + across), float(top + down)

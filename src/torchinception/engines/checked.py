"""Whether an engine answers right: its logits beside float64 PyTorch's, on real pictures."""

from dataclasses import dataclass

import torch
from torch import Tensor

from torchinception.data.real_pictures import real_pictures
from torchinception.data.transforms import Preprocess
from torchinception.engines.engine import Engine, build
from torchinception.network import Inception

TOLERANCE = 1e-4  # of the largest logit: engines in float32 were seen up to 3e-5 apart, bfloat16 is at 1e-2


@dataclass(frozen=True)
class Deviation:
    """How far logits are from right ones: the largest difference over the largest logit, and the same top-1s."""

    error: float
    top1: float  # a fraction

    @property
    def tolerable(self) -> bool:
        """Whether these are the same answers."""
        return self.error <= TOLERANCE and self.top1 == 1


def check_pictures(count: int, preprocess: Preprocess, channels: int = 3) -> Tensor:
    """Uint8 (N, size, size, channels): real ones, as a network of so many channels takes them."""
    pictures = real_pictures(count, preprocess.size, preprocess.size)
    if channels == 3:
        return pictures
    grey = pictures.float().mean(3, keepdim=True).to(torch.uint8)
    return grey.expand(-1, -1, -1, channels).contiguous()


def right_answers(net: Inception, preprocess: Preprocess, pictures: Tensor, threads: int | None = None) -> Tensor:
    """Logits in float64 (N, classes) of uint8 (N, H, W, C), by the network itself."""
    engine = build("eager", net, preprocess, precision="fp64", threads=threads)
    return torch.cat([engine.run_uint8(picture[None]) for picture in pictures])


def same_top1(found: Tensor, right: Tensor, tolerance: float | Tensor) -> Tensor:
    """Whether each picture is named as it should be, bool (N,), by logits (N, classes) beside right ones.

    Classes are as good as one another whose right logits differ by no more than twice the tolerance: each of the two
    may move by that much.
    """
    chosen = right.gather(1, found.argmax(1, keepdim=True))
    return (right.amax(1, keepdim=True) - chosen <= 2 * tolerance).squeeze(1)


def deviation(found: Tensor, right: Tensor) -> Deviation:
    """Of logits (N, classes) from right ones."""
    scale = right.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    error = (found.double() - right).abs().max() / scale
    same = same_top1(found, right, TOLERANCE * scale)
    finite = torch.isfinite(found).all()
    return Deviation(float(error) if finite else float("inf"), float(same.double().mean()))


def check(engine: Engine, pictures: Tensor, right: Tensor) -> Deviation:
    """Of an engine's logits of uint8 (N, H, W, C)."""
    return deviation(engine.run_uint8(pictures), right)

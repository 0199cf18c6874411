"""Networks with weights as trained ones have them, real pictures, and what float64 PyTorch answers."""

import torch
from peer_weights import randomize, settle
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.engines.native_engine import native_problem
from torchinception.models import Inception, create

AT_ONCE = "torch" if native_problem() else "native"  # the engine that nothing is measured for
SIZES = ((45, 56), (75, 86), (99, 110), (128, 160), (139, 150))  # odd, but where it has to be halved five times


def network(name: str) -> Inception:
    """In float64, 10 classes, on the meta device until its weights are drawn."""
    with torch.device("meta"):
        net = create(name, 10)
    return randomize(net)  # type: ignore[return-value]


def tiny_network(channels: int = 3) -> Inception:
    """In float32, 3 classes."""
    net = randomize(create("tiny_inception", 3, channels=channels)).float()
    assert isinstance(net, Inception)
    return net


def small_size(name: str) -> tuple[int, int]:
    """The first of `SIZES` with a last grid of 3x3 or more, where wrong pools show."""
    with torch.device("meta"):
        trunk = create(name, 10).eval().trunk

    def last(size: tuple[int, int]) -> int:
        try:
            return min(trunk(torch.empty(1, 3, *size, device="meta")).shape[2:])
        except RuntimeError:  # too small, or branches of different sizes
            return 0

    return next(size for size in SIZES if last(size) >= 3)


def inputs(pictures: Tensor, preprocess: Preprocess) -> Tensor:
    """float32 (N, 3, H, W) of uint8 (N, H, W, 3)."""
    return preprocess.normalize(pictures.permute(0, 3, 1, 2))


def settled(name: str, x: Tensor) -> Inception:
    """A network whose batch norms and logits are centred on the pictures."""
    net = network(name)
    settle(net, x.double())
    return net


@torch.no_grad()
def answers(net: Inception, x: Tensor, stage: str | None = None) -> Tensor:
    """In float64: logits, or what a stage puts out."""
    return net.endpoints(x.double(), [stage])[stage] if stage else net(x.double())


def error(answer: Tensor, right: Tensor) -> float:
    """The largest difference over the largest value."""
    assert answer.shape == right.shape
    assert answer.dtype == torch.float32
    return float((answer.double() - right).abs().max() / right.abs().max())

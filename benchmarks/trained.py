"""Networks trained on the sample that comes with the package: real pictures of 10 classes, enlarged."""

import math
from collections.abc import Iterable
from importlib import resources

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's name for it

from torchinception.bench.subjects import settle_biases
from torchinception.data.images import load_image
from torchinception.data.sample import CLASSES, SIDE
from torchinception.models import Inception
from torchinception.progress import Listener

BATCH = 16
RATE = 7e-4  # at most: it rises, and falls to nothing; small networks bear more
WARM_UP = 20  # steps
SETTLING = 20  # batches that batch norm takes its statistics from in the end


def sample(split: str, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Grey pictures, uint8 (N, SIDE, SIDE), and their classes (N); one of each class, then the next of each."""
    content = resources.files("torchinception.data.sample").joinpath(f"{split}.png").read_bytes()
    sheet = torch.from_numpy(load_image(content)[:, :, 0].copy())
    cells = sheet.view(len(CLASSES), SIDE, -1, SIDE).permute(2, 0, 1, 3)
    labels = torch.arange(len(CLASSES)).repeat(len(cells))
    return cells.reshape(-1, SIDE, SIDE)[:count], labels[:count]


def enlarge(pictures: Tensor, size: int) -> Tensor:
    """Uint8 (N, SIDE, SIDE) -> what a network takes, float32 (N, 3, size, size), of -1 to 1."""
    values = pictures[:, None].float() / 127.5 - 1
    if size != SIDE:
        values = F.interpolate(values, (size, size), mode="bilinear")
    return values.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def train(net: Inception, size: int, steps: int, rate: float = RATE, listener: Listener | None = None) -> list[float]:
    """Into evaluation mode; the losses of its steps."""
    listener, generator = listener or Listener(), torch.Generator().manual_seed(0)
    net.to(memory_format=torch.channels_last)
    pictures, labels = sample("train")
    epochs = math.ceil(max(steps, SETTLING) * BATCH / len(labels))
    batches = torch.cat([torch.randperm(len(labels), generator=generator) for _ in range(epochs)]).split(BATCH)
    net.train()
    settle_biases(net, enlarge(pictures[batches[0]], size), 0)  # or losses begin to fall after thousands of steps
    nn.init.zeros_(net.classifier.weight)
    optimizer = torch.optim.Adam(net.parameters(), rate, betas=(0.9, 0.98))
    losses = list[float]()
    for step, chosen in enumerate(batches[:steps], 1):
        optimizer.param_groups[0]["lr"] = rate * min(1, step / WARM_UP, (steps + 1 - step) / max(1, steps - WARM_UP))
        loss = F.cross_entropy(net(enlarge(pictures[chosen], size)), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        listener.progress(f"training {net.name}", step, steps, loss=losses[-1])
    _settle(net, (enlarge(pictures[chosen], size) for chosen in batches[:SETTLING]))
    net.eval().requires_grad_(False)
    return losses


@torch.no_grad()
def _settle(net: Inception, batches: Iterable[Tensor]) -> None:
    """Statistics of batch norm of these weights: a running mean would still be of earlier ones, after few steps."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
    for pictures in batches if norms else ():
        net(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum

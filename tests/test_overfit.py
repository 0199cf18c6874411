"""Proof that the layers learn: each network gets eight real pictures, of a class each, by heart within a few steps."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer

from torchinception.data.images import load_image
from torchinception.data.sample import CLASSES
from torchinception.data.transforms import Preprocess
from torchinception.models import Inception, create

LABELS = torch.arange(8)
LEARNED = 0.01
STEPS = 70  # about twice what each needs


@pytest.fixture
def pictures(sample: Path, size: int) -> Tensor:
    """(8, 3, size, size) from -127.5 to 127.5: as Caffe's GoogLeNet took them, whose biases of 0.2 drown less."""
    preprocess = Preprocess(size=size, crop=1.0, std=(1 / 255,) * 3)
    images = [load_image(sample / "train" / name / "000.png") for name in CLASSES[: len(LABELS)]]
    return preprocess.normalize(torch.stack([preprocess.cut(image) for image in images]))


def fresh(name: str, *, aux: bool) -> Inception:
    """Without dropout, which is there to hinder just this."""
    torch.manual_seed(1)
    net = create(name, classes=len(LABELS), aux=aux).to(memory_format=torch.channels_last)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net


def learn(net: Inception, pictures: Tensor, optimizer: Optimizer, aux_weight: float) -> float:
    """The loss in evaluation, after the first steps that bring it well below `LEARNED`, or after all."""
    loss = torch.inf
    for step in range(1, STEPS + 1):
        logits, opinions = net.train()(pictures, aux=True)
        heads = sum(cross_entropy(opinion, LABELS) for opinion in opinions.values())
        optimizer.zero_grad()
        (cross_entropy(logits, LABELS) + aux_weight * heads).backward()
        optimizer.step()
        if step % 5 == 0:
            with torch.no_grad():
                loss = cross_entropy(net.eval()(pictures), LABELS).item()
            if loss < LEARNED / 2:
                break
    return loss


@pytest.mark.parametrize("size", [28])
def test_small_inception_gets_eight_pictures_by_heart(pictures: Tensor) -> None:
    net = fresh("small_inception", aux=False)

    assert learn(net, pictures, SGD(net.parameters(), lr=0.05, momentum=0.9), aux_weight=0) < LEARNED


@pytest.mark.parametrize(("size", "aux_weight"), [(64, 0), (223, 0.3)])  # 223: the least that the heads can take
def test_googlenet_gets_eight_pictures_by_heart(pictures: Tensor, aux_weight: float) -> None:
    net = fresh("googlenet", aux=aux_weight > 0)

    assert learn(net, pictures, Adam(net.parameters(), lr=1e-4), aux_weight) < LEARNED

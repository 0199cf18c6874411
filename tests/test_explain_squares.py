"""A small network learns to name a square in noise by its pattern; then explanations have to find the square."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn.functional import cross_entropy

from torchinception.classifier import Classifier
from torchinception.data.images import Picture
from torchinception.data.transforms import Preprocess
from torchinception.explaining import METHODS, Explanation, explain
from torchinception.models import create
from torchinception.weights.bundle import ModelSpec

SIZE, SIDE = 32, 9
CLASSES = ("rows", "columns", "chequers", "dots")
STEPS, PICTURES = 100, 200


class Planted(NamedTuple):
    pictures: npt.NDArray[np.uint8]  # (N, SIZE, SIZE, 3)
    labels: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]  # (N, 2): top and left of the square


def planted(rng: np.random.Generator, count: int) -> Planted:
    pictures = rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    labels, places = rng.integers(0, len(CLASSES), count), rng.integers(0, SIZE - SIDE + 1, (count, 2))
    for picture, label, place in zip(pictures, labels, places, strict=True):
        plant(picture, int(label), place)
    return Planted(pictures, labels, places)


def plant(picture: Picture, label: int, place: npt.NDArray[np.int64]) -> None:
    """Its pixels are as light and dark as those of the noise."""
    i, j = (index // 2 for index in np.indices((SIDE, SIDE)))
    pattern = (i % 2, j % 2, (i + j) % 2, i % 2 * (j % 2))[label]
    top, left = place
    part = picture[top : top + SIDE, left : left + SIDE]
    light = np.where(pattern, 230, 25)[..., None] + (part.astype(int) - 128) // 6
    part[:] = light.clip(0, 255)


@pytest.fixture(scope="module")
def model() -> Classifier:
    rng, net = np.random.default_rng(0), None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = create("tiny_inception", len(CLASSES))
    look = Preprocess(size=SIZE, crop=1)
    found = Classifier(net, ModelSpec(network=net.name, classes=CLASSES, preprocess=look))
    optimizer = torch.optim.Adam(net.train().parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=STEPS)
    for _ in range(STEPS):
        batch = planted(rng, 32)
        x = look.normalize(torch.from_numpy(batch.pictures).permute(0, 3, 1, 2))
        optimizer.zero_grad()
        cross_entropy(net(x), torch.from_numpy(batch.labels)).backward()
        optimizer.step()
        schedule.step()
    net.eval()
    return found


@pytest.fixture(scope="module")
def unseen() -> Planted:
    return planted(np.random.default_rng(1), PICTURES)


def is_in_square(found: Explanation, place: npt.NDArray[np.int64]) -> bool:
    (column, row), (top, left) = found.peak, place
    return bool(top <= row < top + SIDE and left <= column < left + SIDE)


def test_the_network_knows_the_patterns(model: Classifier, unseen: Planted) -> None:
    named = [found.classes[0] for found in model.predict(list(unseen.pictures), 1)]
    assert np.mean([name == CLASSES[label] for name, label in zip(named, unseen.labels, strict=True)]) > 0.98


@pytest.mark.parametrize("method", METHODS[:3])
def test_95_percent_of_peaks_are_in_the_planted_square(
    model: Classifier, unseen: Planted, method: str, full: bool
) -> None:
    count = PICTURES if full or method == METHODS[0] else 80  # the others take 10 times as long
    found = [explain(model, picture, method) for picture in unseen.pictures[:count]]
    hits = [is_in_square(one, place) for one, place in zip(found, unseen.places[:count], strict=True)]
    assert np.mean(hits) >= 0.95
    if method == "integrated-gradients":
        assert max(one.gap or 0 for one in found) <= 0.01


def test_of_two_squares_each_class_finds_its_own(model: Classifier) -> None:
    rng, hits = np.random.default_rng(2), []
    for _ in range(50):
        picture = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        labels = rng.permutation(len(CLASSES))[:2]
        places = np.stack([rng.integers(0, SIZE // 2 - SIDE + 1, 2), rng.integers(SIZE // 2, SIZE - SIDE + 1, 2)])
        for label, place in zip(labels, places, strict=True):
            plant(picture, int(label), place)
        for label, place in zip(labels, places, strict=True):
            hits.append(is_in_square(explain(model, picture, target=CLASSES[label]), place))
    assert np.mean(hits) >= 0.95

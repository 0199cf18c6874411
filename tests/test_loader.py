import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_fixtures import write_classes

from torchinception.data.augment import Augment
from torchinception.data.folder import scan
from torchinception.data.module import KeyedSampler, Pictures, PicturesModule, ResumableLoader, keyed_seed
from torchinception.data.transforms import Preprocess

EPOCHS = 3
Batches = list[tuple[bytes, tuple[int, ...]]]  # pixels and labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classes(tmp_path_factory.mktemp("data"), side=12, a=3, b=4, c=3)


@pytest.fixture
def pictures(folder: Path) -> Pictures:
    return Pictures(scan(folder).splits["all"], Preprocess(size=8), Augment(), seed=3)


def plain(batch: Any) -> tuple[bytes, tuple[int, ...]]:
    return batch[0].numpy().tobytes(), tuple(batch[1].tolist())


def run(loader: ResumableLoader, epoch: int = 0) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    """All batches up to the last epoch's, in the order of calls that Lightning makes."""
    while epoch < EPOCHS:
        loader.sampler.set_epoch(epoch)
        yield from map(plain, loader)
        epoch += 1


def resumed(pictures: Pictures, stop: int, workers: tuple[int, int] = (0, 0)) -> Batches:
    """Stop after so many batches, and let another loader go on from the state."""
    first = ResumableLoader(pictures, 3, workers[0], train=True)
    stopped = run(first)
    seen = [next(stopped) for _ in range(stop)]
    state = first.state_dict()
    second = ResumableLoader(pictures, 3, workers[1], train=True)
    second.load_state_dict(state)
    return seen + list(run(second, state["epoch"]))


@pytest.mark.parametrize("stop", range(EPOCHS * 3 + 1))
def test_resuming_equals_never_stopping(pictures: Pictures, stop: int) -> None:
    assert resumed(pictures, stop) == list(run(ResumableLoader(pictures, 3, 0, train=True)))


@pytest.mark.parametrize("workers", [(2, 0), (0, 2)])
def test_resuming_with_other_workers_equals_never_stopping(pictures: Pictures, workers: tuple[int, int]) -> None:
    assert resumed(pictures, 4, workers) == list(run(ResumableLoader(pictures, 3, 0, train=True)))


def test_workers_change_neither_order_nor_pixels(pictures: Pictures) -> None:
    alone, together = (list(run(ResumableLoader(pictures, 3, workers, train=True))) for workers in (0, 2))
    assert together == alone


def test_every_epoch_has_an_order_of_its_own_and_the_seed_decides(pictures: Pictures) -> None:
    orders = []
    for seed in (3, 3, 4):
        sampler = KeyedSampler(10, seed, shuffle=True)
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            keys = list(sampler)
            assert {key[0] for key in keys} == {epoch}
            orders.append(tuple(index for _, index in keys))
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0:2] == orders[2:4]
    assert len(set(orders)) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_the_state_counts_batches_handed_out_not_those_prefetched(pictures: Pictures, workers: int) -> None:
    loader = ResumableLoader(pictures, 2, workers, train=True)
    states, batches = [], iter(loader)
    for _ in range(5):
        next(batches)
        states.append(loader.state_dict())
    assert states == [dict(done=n, epoch=0) for n in (1, 2, 3, 4)] + [dict(done=0, epoch=1)]


@pytest.mark.parametrize("workers", [0, 2])
def test_iterating_leaves_the_global_random_states_alone(pictures: Pictures, workers: int) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    list(ResumableLoader(pictures, 3, workers, train=True))
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(after[0], before[0])
    assert after[1:] == before[1:]


def test_the_global_random_states_change_nothing(pictures: Pictures) -> None:
    seen = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        seen.append(list(run(ResumableLoader(pictures, 3, 0, train=True))))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("batch", [1, 3, 4, 9, 10])
def test_training_has_batches_of_full_size_only(pictures: Pictures, batch: int) -> None:
    sizes = [len(labels) for _, labels in ResumableLoader(pictures, batch, 0, train=True)]
    assert sizes == [batch] * (10 // batch)


@pytest.mark.parametrize("batch", [1, 3, 4, 9, 10, 16])
def test_evaluation_sees_every_picture_once_and_in_order(pictures: Pictures, batch: int) -> None:
    labels = [label for _, labels in ResumableLoader(pictures, batch, 0, train=False) for label in labels.tolist()]
    assert labels == [0] * 3 + [1] * 4 + [2] * 3


def test_a_broken_off_epoch_does_not_shorten_the_next(pictures: Pictures) -> None:
    loader = ResumableLoader(pictures, 3, 0, train=True)
    next(iter(loader))
    assert len(list(loader)) == len(loader) == 3


def test_seeds_of_different_keys_are_different_and_fit_a_generator() -> None:
    keys = [(a, b, c) for a in range(10) for b in range(10) for c in range(10)] + [(1, 11), (11, 1), (111,)]
    seeds = {keyed_seed(*key) for key in keys}
    assert len(seeds) == len(keys)
    assert 0 <= min(seeds) <= max(seeds) < 2**63


def test_the_module_trains_on_crops_and_validates_on_the_whole(folder: Path) -> None:
    found = scan(folder).splits["all"]
    module = PicturesModule(
        Pictures(found[1:], Preprocess(size=8), Augment(), 3),
        Pictures(found[:1], Preprocess(size=8), None, 3),
        [],
        batch=4,
    )
    (pixels, labels), *others = module.val_dataloader()
    expected, label = Pictures(found, Preprocess(size=8), None, 0)[0, 0]
    assert (torch.equal(pixels[0], expected), labels.tolist(), others) == (True, [label], [])
    assert [batch[0].shape for batch in module.train_dataloader()] == [(4, 3, 8, 8)] * 2

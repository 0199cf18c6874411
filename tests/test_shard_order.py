"""Training on shards: every picture once an epoch, near ones together, resumed exactly."""

import itertools
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
import torch
from child import At
from conftest import SHORT, Result, outcome
from data_fixtures import write_classes
from shard_fixtures import files_of, write_keyed_tar, write_parquet, write_tar

from torchinception.data import parquet_shards
from torchinception.data.augment import Augment
from torchinception.data.folder import scan
from torchinception.data.module import Blocks, KeyedSampler, Pictures, ResumableLoader, find_blocks
from torchinception.data.transforms import Preprocess

Inception = Callable[..., Result]
Batches = list[tuple[bytes, tuple[int, ...]]]
COUNT = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classes(tmp_path_factory.mktemp("folder"), a=13, b=14, c=13)


@pytest.fixture(scope="module", params=["tar", "parquet"])
def packed(folder: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Twenty tars of two pictures, or two parquet files of five row groups of four."""
    root, files, tar = tmp_path_factory.mktemp(request.param), files_of(folder), request.param == "tar"
    size = 2 if tar else 20
    for number, start in enumerate(range(0, COUNT, size)):
        (write_tar if tar else write_parquet)(root / f"{number:03}.{request.param}", files[start : start + size])
    return root


def load(root: Path, workers: int = 0, augment: Augment | None = None) -> ResumableLoader:
    return ResumableLoader(Pictures(scan(root).splits["all"], Preprocess(size=8), augment, 3), 3, workers, train=True)


def batches(loader: ResumableLoader, epoch: int = 0) -> Batches:
    """Of all epochs up to the second."""
    found = []
    for number in range(epoch, 2):
        loader.sampler.set_epoch(number)
        found += [(pixels.numpy().tobytes(), tuple(labels.tolist())) for pixels, labels in loader]
    return found


def pictures_of(found: Batches) -> list[tuple[bytes, int]]:
    return sorted(
        (pixels[i * 192 : (i + 1) * 192], label) for pixels, labels in found for i, label in enumerate(labels)
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_has_the_same_pictures_as_that_of_the_folder(folder: Path, packed: Path, workers: int) -> None:
    whole = [
        ResumableLoader(Pictures(scan(root).splits["all"], Preprocess(size=8), None, 3), 4, workers, train=True)
        for root in (folder, packed)
    ]
    one, other = (pictures_of([(x.numpy().tobytes(), tuple(y.tolist())) for x, y in loader]) for loader in whole)
    assert (len(one), one == other) == (COUNT, True)


def test_workers_change_neither_order_nor_pixels(packed: Path) -> None:
    assert batches(load(packed, 2, Augment())) == batches(load(packed, 0, Augment()))


@pytest.mark.parametrize(("stop", "workers"), [(5, (0, 0)), (5, (2, 0)), (5, (0, 2)), (12, (0, 0)), (13, (0, 0))])
def test_resuming_hands_out_exactly_the_rest(packed: Path, stop: int, workers: tuple[int, int]) -> None:
    expected = batches(load(packed, 0, Augment()))
    first = load(packed, workers[0], Augment())
    for _ in itertools.islice(first, stop):
        pass
    second, state = load(packed, workers[1], Augment()), first.state_dict()
    second.load_state_dict(state)
    assert batches(second, state["epoch"]) == expected[stop:]


@pytest.mark.parametrize("together", [1, 2, 3, 100])
def test_every_index_comes_once_and_only_a_few_blocks_are_read_at_a_time(together: int) -> None:
    of = torch.arange(60) // 7  # 9 blocks, the last a smaller one
    orders = []
    for epoch in range(3):
        sampler = KeyedSampler(60, 5, shuffle=True, blocks=Blocks(of, together))
        sampler.set_epoch(epoch)
        orders.append([index for _, index in sampler])
        assert sorted(orders[-1]) == list(range(60))
        runs = [{int(of[i]) for i in group} for group in windows(orders[-1], of, together)]
        assert [len(run) <= together for run in runs] == [True] * len(runs)
        assert sum(map(len, runs)) == 9  # none is come back to
    assert len({tuple(order) for order in orders}) == 3


def windows(order: list[int], of: torch.Tensor, together: int) -> list[list[int]]:
    """Cut an order wherever one block more would be needed than are read together."""
    groups: list[list[int]] = [[]]
    for index in order:
        if len({int(of[i]) for i in (*groups[-1], index)}) > together:
            groups.append([])
        groups[-1].append(index)
    return groups


def test_a_single_shard_is_shuffled_as_a_folder_is() -> None:
    one = KeyedSampler(50, 1, shuffle=True, blocks=Blocks(torch.zeros(50, dtype=torch.long), 2))
    assert list(one) == list(KeyedSampler(50, 1, shuffle=True))


def test_drawn_pictures_are_the_same_in_a_folder_and_in_shards_but_near_ones_come_together() -> None:
    weights, of = torch.rand(60, generator=torch.Generator().manual_seed(0)), torch.arange(60) // 6
    near = [index for _, index in KeyedSampler(60, 1, shuffle=True, weights=weights, blocks=Blocks(of, 2))]
    assert sorted(near) == sorted(index for _, index in KeyedSampler(60, 1, shuffle=True, weights=weights))
    assert len(windows(near, of, 2)) <= 5


def test_an_epoch_reads_each_row_group_once_and_keeps_two(folder: Path, tmp_path: Path) -> None:
    samples = scan(write_parquet(tmp_path / "0.parquet", files_of(folder))).splits["all"]
    parquet_shards.row_group.cache_clear()
    assert sum(1 for _ in ResumableLoader(Pictures(samples, Preprocess(size=8), None, 3), 4, 0, train=True)) == 10
    found = parquet_shards.row_group.cache_info()
    assert (found.misses, found.currsize) == (10, 2)


def test_blocks_are_tars_or_row_groups_and_folders_have_none(folder: Path, packed: Path) -> None:
    blocks = find_blocks(scan(packed).splits["all"])
    assert blocks
    assert blocks.of.bincount().tolist() == ([2] * 20 if (packed / "000.tar").exists() else [4] * 10)
    assert find_blocks(scan(folder).splits["all"]) is None


def test_validation_is_in_order_of_shards_and_members(packed: Path) -> None:
    found = scan(packed).splits["all"]
    pictures = Pictures(found, Preprocess(size=8), None, seed=0)
    (_, labels), *others = ResumableLoader(pictures, COUNT, 0, train=False)
    assert (labels.tolist(), others) == ([s.label for s in found], [])


def test_a_killed_run_on_tars_resumes_to_what_it_would_have_been(
    inception: Inception, split: Path, tmp_path: Path
) -> None:
    for name in ("train", "val"):
        files = files_of(split / name)
        for number, start in enumerate(range(0, len(files), 6)):
            write_keyed_tar(tmp_path / "data" / f"{name}-{number}.tar", files[start : start + 6])
    command = ("train", tmp_path / "data", *SHORT, "--checkpoint-every", 2, "--out")
    whole = inception(*command, tmp_path / "whole")
    assert whole.code == 0, whole.err
    assert "on 24 pictures of 3 classes, 12 held out" in whole.err + whole.out
    kill = At("*/train-*.tar", 21, SIGKILL)
    assert inception(*command, tmp_path / "killed", at=(kill,)).code == -SIGKILL
    resumed = inception(*command, tmp_path / "killed", "--resume")
    assert resumed.code == 0, resumed.err
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")
    assert "data:image" in (tmp_path / "whole" / "report.html").read_text()

"""Batches in an order, and with random crops, that depend on (seed, epoch, index) alone.

Hence neither the number of workers nor an interruption changes what a network sees. PyTorch's and
torchdata's own loaders repeat or skip pictures on resume without a word; see docs/decisions.md.
"""

import contextlib
import hashlib
import os
import signal
from abc import abstractmethod
from array import array
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from torchinception.data.augment import Augment
from torchinception.data.remote import Place
from torchinception.data.samples import Sample
from torchinception.data.transforms import Preprocess, stack
from torchinception.errors import DataError, ImageError

Key = tuple[int, int]  # (epoch, index)


def keyed_seed(*key: int) -> int:
    """A seed for one use of random numbers, unrelated to that of any other key."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=7).digest(), "big")


def read_picture(sample: Sample, least: int | None = None) -> Image.Image:
    """The picture of a sample that was good when its folder was scanned; `least` as in `open_image`.

    Raises:
        DataError: it is no longer.
    """
    try:
        return sample.image(least)
    except ImageError as error:  # of one argument, so that it comes out of a worker as it went in
        raise DataError(f"a picture that was good when checked is no longer: {error}") from error


class Keyed(Dataset[tuple[Tensor, int]]):
    """What a loader reads by (epoch, index): an input and its label."""

    seed: int
    samples: Sequence[Sample] = ()  # if it is made of these, in order

    @abstractmethod
    def __len__(self) -> int: ...


class Pictures(Keyed):
    """Samples as (uint8 (3, size, size), label): augmented if `augment` is given, else as in evaluation.

    `size_at` gives the side of augmented pictures by epoch; default: that of `preprocess`. `fast`: large JPEG files
    that are augmented are decoded at a reduced scale.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        augment: Augment | None,
        seed: int,
        size_at: Callable[[int], int] | None = None,
        *,
        fast: bool = False,
    ) -> None:
        self.samples, self.preprocess, self.augment, self.seed = samples, preprocess, augment, seed
        self.size_at, self.fast = size_at, fast

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        epoch, index = key
        sample = self.samples[index]
        if self.augment is None:
            return self.preprocess.cut(read_picture(sample)), sample.label
        random = Random(keyed_seed(self.seed, epoch, index))
        size = self.size_at(epoch) if self.size_at else self.preprocess.size
        picture = read_picture(sample, self.augment.least(size) if self.fast else None)
        return self.augment.cut(picture, size, random), sample.label


class Blocks(NamedTuple):
    """Where samples lie: the block (N,) of each, a tar shard or a row group; and how many are read together."""

    of: Tensor
    together: int

    def gather(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """A shuffled order such that pictures of a few random blocks at a time come, then those of the next few."""
        window = torch.randperm(int(self.of.max()) + 1, generator=generator) // self.together
        return order[window[self.of[order]].argsort(stable=True)]


def find_blocks(samples: Sequence[Sample]) -> Blocks | None:
    """None for pictures in files of their own: those are read in any order."""
    if not samples or samples[0].member is None:
        return None
    number: dict[tuple[Place, int], int] = {}
    of, together = array("i"), samples[0].member.together
    for sample in samples:
        assert sample.member
        of.append(number.setdefault((sample.path, sample.member.block), len(number)))
        together = min(together, sample.member.together)
    return Blocks(torch.tensor(of), together)


class KeyedSampler(Sampler[Key]):
    """Yields (epoch, index): shuffled by (seed, epoch), or in order; `start` skips into the first epoch.

    With `weights` (count,) indices are drawn in proportion to them, again and again, instead of shuffled.
    Of several processes each takes every `world`-th from its `rank` on, so that together they take what one
    would; shuffled, all take equally many, and up to `world - 1` are left out, others each epoch.
    With `blocks` the shuffled or drawn are ordered such that those of a few blocks come together.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        *,
        shuffle: bool,
        weights: Tensor | None = None,
        share: tuple[int, int] = (0, 1),
        blocks: Blocks | None = None,
    ) -> None:
        self.count, self.seed, self.shuffle, self.weights, self.blocks = count, seed, shuffle, weights, blocks
        self.rank, self.world = share
        self.epoch = self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // self.world if self.shuffle else len(range(self.rank, self.count, self.world))

    def __iter__(self) -> Iterator[Key]:
        order = torch.arange(self.count)
        if self.shuffle:
            generator = torch.Generator().manual_seed(keyed_seed(self.seed, self.epoch))
            if self.weights is None:
                order = torch.randperm(self.count, generator=generator)
            else:
                order = _draw(self.weights, self.count, generator)
            if self.blocks is not None:
                order = self.blocks.gather(order, generator)
        start, self.start = self.start, 0
        mine = order[self.rank :: self.world][: len(self)]
        yield from ((self.epoch, int(index)) for index in mine[start:])


class ResumableLoader(DataLoader[tuple[Tensor, int]]):
    """A loader whose state is the number of batches that it has handed out (prefetching does not count).

    `share` is (rank, number of processes), and `batch` the pictures of this process.
    """

    sampler: KeyedSampler

    def __init__(
        self,
        pictures: Keyed,
        batch: int,
        workers: int,
        *,
        train: bool,
        pin: bool = False,
        weights: Tensor | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._done = self._skip = 0
        blocks = find_blocks(pictures.samples) if train else None
        super().__init__(
            pictures,
            batch,
            sampler=KeyedSampler(
                len(pictures), pictures.seed, shuffle=train, weights=weights, share=share, blocks=blocks
            ),
            num_workers=workers,
            persistent_workers=workers > 0,
            drop_last=train,  # batch norm cannot train on a last batch of one
            pin_memory=pin,
            worker_init_fn=_leave_signals,
            collate_fn=_collate,
            generator=torch.Generator(),  # or the global one would be drawn from, which shifts dropout
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        skip, self._skip = self._skip, 0
        self.sampler.start = skip * (self.batch_size or 1)
        self._done = skip
        with _held_signals():
            batches = super().__iter__()
        for batch in batches:
            self._done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where to go on: Lightning stores it in every checkpoint."""
        if self._done < len(self):
            return dict(done=self._done, epoch=self.sampler.epoch)
        return dict(done=0, epoch=self.sampler.epoch + 1)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next iteration there."""
        self._done = self._skip = state["done"]  # also if its state is asked for before that
        self.sampler.epoch = state["epoch"]


def _collate(items: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    inputs, labels = zip(*items, strict=True)
    return stack(inputs) if inputs[0].ndim == 3 else torch.stack(inputs), torch.tensor(labels)


def _balance(labels: list[int]) -> Tensor:
    """A weight for each picture, such that each class is drawn equally often."""
    counts = torch.bincount(torch.tensor(labels))
    return 1 / counts[labels].double()


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices with replacement; torch's own multinomial takes no more than 2**24 weights."""
    edges = weights.double().cumsum(0)
    return torch.searchsorted(
        edges, torch.rand(count, dtype=torch.float64, generator=generator) * edges[-1], right=True
    )


STOPS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def _held_signals() -> Iterator[None]:
    """What is forked meanwhile begins with these signals held, until it has said what to do with them."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_signals(_worker: int) -> None:
    """Signals to the whole group, as Ctrl-C, are for the parent alone: it saves, then ends its workers."""
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
    for signum in STOPS:
        signal.signal(signum, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)  # what the group was sent before is dropped
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class PicturesModule(LightningDataModule):
    """Training and validation batches: uint8 (N, 3, size, size) and labels (N,); or what `train` and `val` hold.

    `batch` counts the pictures of one process; `share` is (rank, number of processes).
    """

    def __init__(
        self,
        train: Keyed,
        val: Keyed,
        labels: Sequence[int],
        *,
        batch: int,
        workers: int = 0,
        pin: bool = False,
        balanced: bool = False,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__()
        weights = _balance(list(labels)) if balanced else None
        self.train_loader = ResumableLoader(train, batch, workers, train=True, pin=pin, weights=weights, share=share)
        self.val_loader = ResumableLoader(val, batch, workers, train=False, share=share)

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled and augmented; a last, smaller batch is left out, another one each epoch."""
        return self.train_loader

    def val_dataloader(self) -> ResumableLoader:
        """In order, every picture once."""
        return self.val_loader

"""From pictures to rows: decoded in threads while the network computes, one row a picture, a bad one included."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from torchinception.classifier import Classifier, Prediction
from torchinception.data import shards
from torchinception.data.remote import Place
from torchinception.data.transforms import stack
from torchinception.data.walk import show_place
from torchinception.errors import ImageError
from torchinception.prediction.inputs import Picture, expand

MOST_THREADS = 8  # that decode
PIXELS = 8 * 299 * 299  # of a batch on the CPU: 8 pictures for inception_v3, beyond which nothing is gained
MOST = 256  # pictures of a batch on the CPU


@dataclass(frozen=True)
class Row:
    """One picture and what it shows, or why it could not be read; `member` is its place in the shard at `path`."""

    path: Place
    prediction: Prediction | None
    error: str = ""
    member: shards.Member | None = None

    @property
    def best(self) -> list[tuple[str, str, float]]:
        """Classes, their names and probabilities, best first; empty for a bad picture."""
        found = self.prediction
        return list(zip(found.classes, found.names, found.probabilities, strict=True)) if found else []

    @property
    def place(self) -> str:
        """The path, and the name in the shard if it is in one."""
        return Picture(self.path, self.member).place

    def show(self) -> str:
        """`place` in one line, whatever is in the names."""
        return show_place(self.path, self.member)


class Found(NamedTuple):
    """A batch: its rows, and if features were asked for these, float32 (N, C), of bad pictures no numbers (NaN)."""

    rows: list[Row]
    features: Tensor | None = None


def predict_files(
    model: Classifier, paths: Iterable[Place], *, top: int = 5, batch: int = 32, fast: bool = False
) -> Iterator[Row]:
    """Rows in the order of `paths`, those of a shard's pictures in its place; memory does not grow with their number.

    With `fast` large JPEG files are decoded at a reduced scale, see `Preprocess.least`.
    """
    for found in predict_batches(model, expand(paths), top=top, batch=batch, fast=fast):
        yield from found.rows


def predict_batches(
    model: Classifier, pictures: Iterable[Picture], *, top: int, batch: int, fast: bool = False
) -> Iterator[Found]:
    """`predict_files` batch by batch."""
    for cuts in _read(model, pictures, batch, fast):
        good = [cut for _, cut in cuts if isinstance(cut, Tensor)]
        named = iter(model.name(stack(good), top) if good else ())
        yield Found([_row(picture, cut, None if isinstance(cut, str) else next(named)) for picture, cut in cuts])


def extract_batches(
    model: Classifier, pictures: Iterable[Picture], stage: str, width: int, *, batch: int, fast: bool = False
) -> Iterator[Found]:
    """Features of pictures: what a stage puts out, `width` channels, averaged over its cells."""
    for cuts in _read(model, pictures, batch, fast):
        features = torch.full((len(cuts), width), torch.nan)
        good = [i for i, (_, cut) in enumerate(cuts) if isinstance(cut, Tensor)]
        if good:
            pixels = stack([cut for _, cut in cuts if isinstance(cut, Tensor)])
            features[good] = model.features(pixels, stage).mean((2, 3))  # (N, C)
        yield Found([_row(picture, cut, None) for picture, cut in cuts], features)


def _row(picture: Picture, cut: Tensor | str, prediction: Prediction | None) -> Row:
    return Row(picture.path, prediction, cut if isinstance(cut, str) else "", picture.member)


def _read(
    model: Classifier, pictures: Iterable[Picture], batch: int, fast: bool
) -> Iterator[list[tuple[Picture, Tensor | str]]]:
    """Batches of pictures, each cut to uint8 (3, size, size), or why that failed; two more are read meanwhile."""
    remaining, cut = iter(pictures), partial(_cut, model, model.preprocess.least if fast else None)
    waiting: deque[tuple[Picture, Future[Tensor | str]]] = deque()
    pool = ThreadPoolExecutor(min(MOST_THREADS, _cores()))
    try:
        _add(waiting, pool, cut, islice(remaining, 2 * batch))
        while waiting:
            taken = [waiting.popleft() for _ in range(min(batch, len(waiting)))]
            _add(waiting, pool, cut, islice(remaining, batch))
            yield [(picture, future.result()) for picture, future in taken]
    finally:
        pool.shutdown(cancel_futures=True)


def _add(
    waiting: deque[tuple[Picture, Future[Tensor | str]]],
    pool: ThreadPoolExecutor,
    cut: Callable[[Picture], Tensor | str],
    pictures: Iterable[Picture],
) -> None:
    waiting.extend((picture, pool.submit(cut, picture)) for picture in pictures)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cut(model: Classifier, least: int | None, picture: Picture) -> Tensor | str:
    if picture.error:
        return picture.error
    try:
        return model.preprocess.cut(picture.open(least))
    except ImageError as error:
        return f"{error.reason}; {error.advice}"

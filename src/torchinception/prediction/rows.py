"""From pictures to rows: decoded in threads while the network computes, one row a picture, a bad one included."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from torchinception.classifier import Classifier, Prediction
from torchinception.data import shards
from torchinception.data.remote import Place
from torchinception.data.transforms import stack
from torchinception.data.walk import show_place
from torchinception.errors import ImageError
from torchinception.machine import usable_cores
from torchinception.prediction.inputs import Picture, expand

MOST_THREADS = 8  # that decode


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
    model: Classifier,
    pictures: Iterable[Picture | None],
    *,
    top: int,
    batch: int,
    fast: bool = False,
    prompt: bool = False,
) -> Iterator[Found]:
    """`predict_files` batch by batch.

    None says that the next picture has not come yet, see `Inputs`. With `prompt` those that have are a batch then; else
    all batches but the last are full, and what they come to does not depend on when pictures come.
    """
    for cuts in _read(model, pictures, batch, fast, enough=1 if prompt else batch):
        good = [cut for _, cut in cuts if isinstance(cut, Tensor)]
        named = iter(model.name(stack(good), top) if good else ())
        yield Found([_row(picture, cut, None if isinstance(cut, str) else next(named)) for picture, cut in cuts])


def extract_batches(
    model: Classifier, pictures: Iterable[Picture | None], stage: str, width: int, *, batch: int, fast: bool = False
) -> Iterator[Found]:
    """Features of pictures: what a stage puts out, `width` channels, averaged over its cells."""
    for cuts in _read(model, pictures, batch, fast, enough=batch):
        features = torch.full((len(cuts), width), torch.nan)
        good = [i for i, (_, cut) in enumerate(cuts) if isinstance(cut, Tensor)]
        if good:
            pixels = stack([cut for _, cut in cuts if isinstance(cut, Tensor)])
            features[good] = model.features(pixels, stage).mean((2, 3))  # (N, C)
        yield Found([_row(picture, cut, None) for picture, cut in cuts], features)


def _row(picture: Picture, cut: Tensor | str, prediction: Prediction | None) -> Row:
    return Row(picture.path, prediction, cut if isinstance(cut, str) else "", picture.member)


def _read(
    model: Classifier, pictures: Iterable[Picture | None], batch: int, fast: bool, enough: int
) -> Iterator[list[tuple[Picture, Tensor | str]]]:
    """Batches of pictures, each cut to uint8 (3, size, size), or why that failed.

    Two more batches are read meanwhile, or as much of them as has come. Of less than `enough` pictures none is made,
    but the last.
    """
    remaining, cut = iter(pictures), partial(_cut, model, model.preprocess.least if fast else None)
    waiting: deque[tuple[Picture, Future[Tensor | str]]] = deque()
    pool = ThreadPoolExecutor(min(MOST_THREADS, usable_cores()))

    def fill(enough: int) -> bool:
        """Up to two batches, or at least `enough` pictures and what else has come; whether asking again would wait."""
        for picture in remaining:
            if picture is not None:
                waiting.append((picture, pool.submit(cut, picture)))
            if len(waiting) >= (enough if picture is None else 2 * batch):
                return picture is None
        return False

    waits = False
    try:
        while True:
            if len(waiting) < enough:
                waits = fill(enough)
            if not waiting:
                return
            taken = [waiting.popleft() for _ in range(min(batch, len(waiting)))]
            waits = waits or fill(0)
            yield [(picture, future.result()) for picture, future in taken]
    finally:
        pool.shutdown(cancel_futures=True)


def _cut(model: Classifier, least: int | None, picture: Picture) -> Tensor | str:
    if picture.error:
        return picture.error
    try:
        return model.preprocess.cut(picture.open(least))
    except ImageError as error:
        return f"{error.reason}; {error.advice}"

"""Pictures through one model, or several side by side."""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from torchinception.data.crops import Count, Crops, check_crops
from torchinception.data.folder import Folder, scan
from torchinception.data.labels import match_classes, readable
from torchinception.data.module import ResumableLoader
from torchinception.data.samples import Samples
from torchinception.errors import UsageError
from torchinception.evaluation.counting import Tally, count
from torchinception.evaluation.records import Alone, Evaluation, Model, Processes
from torchinception.progress import Listener


def evaluate(
    model: Model | Sequence[Model],
    data: str | Path,
    *,
    batch: int = 32,
    workers: int = 0,
    crops: int = 1,
    bad_images: Literal["refuse", "skip"] = "refuse",
    listener: Listener | None = None,
) -> Evaluation:
    """Evaluate on a folder, or what else `scan` takes: its `test` pictures if it has such, else `val`, else all.

    The folder that the model was trained on is recognized by content; without a `val` or `test` of
    its own, only the pictures that training held out are counted.

    Args:
        model: what to evaluate; of several, whose classes are the same, the averaged probabilities, and each.
        data: where the pictures are.
        batch: how many pictures or crops a network is given at a time, at most.
        workers: processes that read pictures, for each model; results do not depend on it.
        crops: 1, or 10 or 144 crops of each picture (`data.crops.crops`), whose probabilities are averaged; the loss
            is the cross-entropy of the average.
        bad_images: whether files that cannot be used are refused, or skipped and told.
        listener: hears of progress.

    Raises:
        DataError: unusable pictures, or a class that the model does not know.
        UsageError: numbers that cannot be, or models of different classes.
    """
    models = as_models(model)
    _check(models, batch, workers, crops)
    chosen = select(models, data, bad_images, listener)
    return measure(models, *chosen, batch=batch, workers=workers, crops=crops, listener=listener)


def as_models(model: Model | Sequence[Model]) -> list[Model]:
    """One or several, as several."""
    return list(model) if isinstance(model, Sequence) else [model]


def select(
    model: Model | Sequence[Model],
    data: str | Path,
    bad_images: Literal["refuse", "skip"] = "refuse",
    listener: Listener | None = None,
) -> tuple[Folder, Samples, str]:
    """What `evaluate` counts: what was scanned, the pictures of it, and which split these are.

    Raises:
        DataError: unusable pictures.
    """
    folder = scan(data, listener, bad_images)
    trained_on = {each.trained_on for each in as_models(model)} - {""}
    known = folder.training_fingerprint in trained_on
    splits = folder.for_training() if known else folder.splits
    split = next(name for name in ("test", "val", "all", "train") if splits.get(name))
    if trained_on and not known and split in ("all", "train") and listener:
        listener.say(
            f"{folder.root} is not what the model was trained on, or no longer: all is counted. "
            "If it was trained on some of it, the figures are too good"
        )
    return folder, splits[split], split


@torch.inference_mode()
def measure(
    model: Model | Sequence[Model],
    folder: Folder,
    samples: Samples,
    split: str,
    *,
    batch: int = 32,
    workers: int = 0,
    crops: int = 1,
    listener: Listener | None = None,
    processes: Processes | None = None,
) -> Evaluation:
    """`evaluate` on given samples of a scanned folder.

    Several processes each take every n-th picture, and all of them return what is found in all pictures. They agree
    after every batch, so that one that died is noticed, and one that is silent when the time limit ends.
    """
    models, processes, listener = as_models(model), processes or Alone(), listener or Listener()
    known_crops = _check(models, batch, workers, crops)
    first = models[0]
    position = match_classes((folder.classes[label] for label in np.unique(samples.labels)), first.classes, first.names)
    of = torch.tensor([position.get(name, -1) for name in folder.classes])  # of no picture: -1
    pictures = max(1, batch // known_crops)
    share = processes.rank, processes.world
    members = [
        _Member(
            each,
            ResumableLoader(Crops(samples, each.preprocess, known_crops), pictures, workers, train=False, share=share),
            _order(first, each),
            batch,
        )
        for each in models
    ]
    together = Tally()
    start, done = time.perf_counter(), 0
    for place in _places(len(samples), pictures, *share):
        if len(place):
            found = [member.answer(of, place) for member in members]
            if len(found) > 1:
                together.add(_average(torch.stack([logits for logits, _ in found], 1)), found[0][1], place)
        done += sum(processes.gather(len(place)))
        rate = done / (time.perf_counter() - start)
        listener.progress(f"Evaluating {split}", done, len(samples), images_per_second=rate)
    seconds = time.perf_counter() - start

    def told(tally: Tally, seconds: float) -> Evaluation:
        return count(
            tally.of_all(processes),
            samples,
            readable(first.classes, first.names),
            split=split,
            classes=first.classes,
            crops=known_crops,
            seconds=seconds,
            images_per_second=len(samples) / seconds,
        )

    if len(members) == 1:
        return told(members[0].tally, seconds)
    each_alone = tuple(told(member.tally, max(processes.gather(member.seconds))) for member in members)
    return replace(told(together, seconds), members=each_alone)


class _Member:
    """One model among those that are evaluated, with the pictures as it wants them."""

    def __init__(self, model: Model, loader: ResumableLoader, order: Tensor, batch: int) -> None:
        self.model, self.order, self.batch = model, order, batch
        self.tally, self.seconds = Tally(), 0.0
        self._pictures = iter(loader)

    def answer(self, of: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of the next pictures, and the positions (N,) of their classes."""
        begun = time.perf_counter()
        pictures, labels = next(self._pictures)  # uint8 (N, crops, 3, size, size)
        logits = torch.cat([self.model.logits(part) for part in pictures.flatten(0, 1).split(self.batch)])
        logits, truth = _average(logits[:, self.order].reshape(*pictures.shape[:2], -1)), of[labels]
        self.tally.add(logits, truth, place)
        self.seconds += time.perf_counter() - begun
        return logits, truth


def _places(count: int, batch: int, rank: int, world: int) -> Iterator[Tensor]:
    """The places (N,) of this process's pictures, batch by batch; at the end none, where others still have some."""
    mine = torch.arange(rank, count, world)
    for start in range(0, len(range(0, count, world)), batch):
        yield mine[start : start + batch]


def _order(first: Model, other: Model) -> Tensor:
    """Where the classes of the first model are among another's.

    Raises:
        UsageError: they are not the same.
    """
    missing, more = (sorted(a - b)[:5] for a, b in itertools.permutations((set(first.classes), set(other.classes))))
    if missing or more:
        lacks = [
            f"{who} does not know {', '.join(names)}" for who, names in (("one", missing), ("the first", more)) if names
        ]
        raise UsageError(
            f"models that are evaluated together must know the same classes, and {' and '.join(lacks)}"
            f" ({len(first.classes)} and {len(other.classes)} classes)"
        )
    place = {name: i for i, name in enumerate(other.classes)}
    return torch.tensor([place[name] for name in first.classes])


def _check(models: Sequence[Model], batch: int, workers: int, crops: int) -> Count:
    if not models:
        raise UsageError("no model to evaluate")
    if batch < 1 or workers < 0:
        raise UsageError(f"batch must be at least 1 and workers at least 0, not {batch} and {workers}")
    [known, *_] = [check_crops(model.preprocess, crops) for model in models]
    return known


def _average(logits: Tensor) -> Tensor:
    """(N, several, classes) -> (N, classes): logits of the averaged probabilities; of one its own."""
    several = logits.shape[1]
    return logits[:, 0] if several == 1 else logits.log_softmax(2).logsumexp(1) - math.log(several)

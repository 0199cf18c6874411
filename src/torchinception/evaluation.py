"""How good a classifier is: every picture counted once, classes matched by name."""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from torchinception.data.crops import Count, Crops, check_crops
from torchinception.data.folder import Folder, scan
from torchinception.data.labels import match_classes, readable
from torchinception.data.module import ResumableLoader
from torchinception.data.samples import Sample, Samples
from torchinception.data.transforms import Preprocess
from torchinception.errors import UsageError
from torchinception.progress import Listener


class Model(Protocol):
    """Anything that turns cut pictures into logits, with what must be known of it besides."""

    classes: tuple[str, ...]  # all different
    names: tuple[str, ...]  # what people call them
    preprocess: Preprocess
    trained_on: str  # `training_fingerprint` of a folder

    def logits(self, batch: Tensor) -> Tensor:
        """uint8 (N, 3, size, size) -> float32 (N, classes)."""


@dataclass(frozen=True)
class Mistake:
    """A wrongly named picture as it was scanned, its class, the likeliest three, and their probabilities."""

    sample: Sample
    truth: str
    guesses: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """Fractions are of `pictures`; `confusion["cat"]["dog"]` counts cats named dog, and what never occurs is left out.

    `classes` are the model's; in `per_class`, `confusion` and `mistakes` they go by what people call them.
    """

    split: str
    classes: tuple[str, ...]
    pictures: int
    crops: int  # of each
    top1: float
    top5: float
    loss: float
    per_class: dict[str, float]
    confusion: dict[str, dict[str, int]]
    seconds: float
    images_per_second: float
    mistakes: tuple[Mistake, ...]


def evaluate(
    model: Model,
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
        model: what to evaluate.
        data: where the pictures are.
        batch: how many pictures or crops the network is given at a time, at most.
        workers: processes that read pictures; results do not depend on it.
        crops: 1, or 10 or 144 crops of each picture (`data.crops.crops`), whose probabilities are averaged; the loss
            is the cross-entropy of the average.
        bad_images: whether files that cannot be used are refused, or skipped and told.
        listener: hears of progress.

    Raises:
        DataError: unusable pictures, or a class that the model does not know.
        UsageError: numbers that cannot be.
    """
    _check(model, batch, workers, crops)
    chosen = select(model, data, bad_images, listener)
    return measure(model, *chosen, batch=batch, workers=workers, crops=crops, listener=listener)


def select(
    model: Model, data: str | Path, bad_images: Literal["refuse", "skip"] = "refuse", listener: Listener | None = None
) -> tuple[Folder, Samples, str]:
    """What `evaluate` counts: what was scanned, the pictures of it, and which split these are.

    Raises:
        DataError: unusable pictures.
    """
    folder = scan(data, listener, bad_images)
    known = folder.training_fingerprint == model.trained_on
    splits = folder.for_training() if known else folder.splits
    split = next(name for name in ("test", "val", "all", "train") if splits.get(name))
    if model.trained_on and not known and split in ("all", "train") and listener:
        listener.say(
            f"{folder.root} is not what the model was trained on, or no longer: all is counted. "
            "If it was trained on some of it, the figures are too good"
        )
    return folder, splits[split], split


@torch.inference_mode()
def measure(
    model: Model,
    folder: Folder,
    samples: Samples,
    split: str,
    *,
    batch: int = 32,
    workers: int = 0,
    crops: int = 1,
    listener: Listener | None = None,
) -> Evaluation:
    """`evaluate` on given samples of a scanned folder."""
    count = _check(model, batch, workers, crops)
    position = match_classes((folder.classes[label] for label in np.unique(samples.labels)), model.classes, model.names)
    of = torch.tensor([position.get(name, -1) for name in folder.classes])  # of no picture: -1
    loader = ResumableLoader(Crops(samples, model.preprocess, count), max(1, batch // count), workers, train=False)
    parts, done, start = [], 0, time.perf_counter()
    for pictures, found in loader:  # uint8 (N, crops, 3, size, size)
        logits = torch.cat([model.logits(part) for part in pictures.flatten(0, 1).split(batch)])
        parts.append(_look(_average(logits.reshape(len(pictures), count, -1)), of[found]))
        done += len(pictures)
        rate = done / (time.perf_counter() - start)
        (listener or Listener()).progress(f"Evaluating {split}", done, len(samples), images_per_second=rate)
    seconds = time.perf_counter() - start
    answers = _Answers(*map(torch.cat, zip(*parts, strict=True)))
    called = readable(model.classes, model.names)
    confusion = _confusion(answers, called)
    return Evaluation(
        split=split,
        classes=model.classes,
        pictures=len(samples),
        crops=count,
        top1=int((answers.guess == answers.truth).sum()) / len(samples),
        top5=int(answers.among_five.sum()) / len(samples),
        loss=float(answers.loss.mean()),
        per_class={name: named.get(name, 0) / sum(named.values()) for name, named in confusion.items()},
        confusion=confusion,
        seconds=seconds,
        images_per_second=len(samples) / seconds,
        mistakes=_worst(answers, samples, called),
    )


class _Answers(NamedTuple):
    """What is kept of each picture's logits, of which a million times a thousand would fill the memory."""

    truth: Tensor  # (N,), positions of classes in the model
    guess: Tensor  # (N,)
    likeliest: Tensor  # (N, 3), or as many as there are
    probabilities: Tensor  # (N, 3), theirs
    among_five: Tensor  # bool (N,)
    loss: Tensor  # (N,)


def _look(logits: Tensor, truth: Tensor) -> _Answers:
    """Logits (N, classes) and positions (N,)."""
    classes = logits.shape[1]
    probabilities, likeliest = logits.softmax(1).topk(min(3, classes))
    # by hand: torchmetrics' top-k makes N x classes integers
    among_five = (logits.topk(min(5, classes)).indices == truth[:, None]).any(1)
    loss = torch.nn.functional.cross_entropy(logits, truth, reduction="none")
    return _Answers(truth, logits.argmax(1), likeliest, probabilities, among_five, loss)


def _check(model: Model, batch: int, workers: int, crops: int) -> Count:
    if batch < 1 or workers < 0:
        raise UsageError(f"batch must be at least 1 and workers at least 0, not {batch} and {workers}")
    return check_crops(model.preprocess, crops)


def _average(logits: Tensor) -> Tensor:
    """(N, crops, classes) -> (N, classes): logits of the averaged probabilities; of one crop its own."""
    crops = logits.shape[1]
    return logits[:, 0] if crops == 1 else logits.log_softmax(2).logsumexp(1) - math.log(crops)


def _confusion(answers: _Answers, called: Sequence[str]) -> dict[str, dict[str, int]]:
    """What occurs, in the order of the classes: of many classes most pairs never do."""
    pairs = Counter(zip(answers.truth.tolist(), answers.guess.tolist(), strict=True))
    found: dict[str, dict[str, int]] = {}
    for (truth, guess), count in sorted(pairs.items()):
        found.setdefault(called[truth], {})[called[guess]] = count
    return found


def _worst(answers: _Answers, samples: Sequence[Sample], called: Sequence[str], most: int = 24) -> tuple[Mistake, ...]:
    wrong: list[int] = (answers.guess != answers.truth).nonzero().flatten().tolist()
    wrong.sort(key=lambda i: float(answers.probabilities[i, 0]), reverse=True)
    return tuple(
        Mistake(
            samples[i],
            called[int(answers.truth[i])],
            tuple(called[j] for j in answers.likeliest[i].tolist()),
            tuple(answers.probabilities[i].tolist()),
        )
        for i in wrong[:most]
    )

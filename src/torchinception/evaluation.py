"""How good a classifier is: every picture counted once, classes matched by name."""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from torchinception.data.crops import Count, Crops, check_crops
from torchinception.data.folder import Folder, Sample, scan
from torchinception.data.labels import match_classes, readable
from torchinception.data.module import ResumableLoader
from torchinception.data.transforms import Preprocess
from torchinception.errors import UsageError
from torchinception.progress import Listener


class Model(Protocol):
    """Anything that turns cut pictures into logits, with what must be known of it besides."""

    classes: tuple[str, ...]  # all different
    names: tuple[str, ...]  # what people call them
    preprocess: Preprocess
    trained_on: str  # fingerprint of a folder

    def logits(self, batch: Tensor) -> Tensor:
        """uint8 (N, 3, size, size) -> float32 (N, classes)."""


@dataclass(frozen=True)
class Mistake:
    """A wrongly named picture: its class, the likeliest three, and their probabilities."""

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
        listener: hears of progress.

    Raises:
        DataError: unusable pictures, or a class that the model does not know.
        UsageError: numbers that cannot be.
    """
    _check(model, batch, workers, crops)
    folder = scan(data, listener)
    splits = folder.for_training() if folder.fingerprint == model.trained_on else folder.splits
    split = next(name for name in ("test", "val", "all", "train") if splits.get(name))
    return measure(model, folder, splits[split], split, batch=batch, workers=workers, crops=crops, listener=listener)


@torch.inference_mode()
def measure(
    model: Model,
    folder: Folder,
    samples: Sequence[Sample],
    split: str,
    *,
    batch: int = 32,
    workers: int = 0,
    crops: int = 1,
    listener: Listener | None = None,
) -> Evaluation:
    """`evaluate` on given samples of a scanned folder."""
    count = _check(model, batch, workers, crops)
    position = match_classes((folder.classes[s.label] for s in samples), model.classes, model.names)
    relabelled = [replace(s, label=position[folder.classes[s.label]]) for s in samples]
    loader = ResumableLoader(Crops(relabelled, model.preprocess, count), max(1, batch // count), workers, train=False)
    outputs, done, start = [], 0, time.perf_counter()
    for pictures, _ in loader:  # uint8 (N, crops, 3, size, size)
        answers = torch.cat([model.logits(part) for part in pictures.flatten(0, 1).split(batch)])
        outputs.append(_average(answers.reshape(len(pictures), count, -1)))
        done += len(pictures)
        rate = done / (time.perf_counter() - start)
        (listener or Listener()).progress(f"Evaluating {split}", done, len(samples), images_per_second=rate)
    seconds = time.perf_counter() - start
    logits, labels = torch.cat(outputs), torch.tensor([s.label for s in relabelled])
    called, guesses = readable(model.classes, model.names), logits.argmax(1)
    confusion = _confusion(labels, guesses, called)
    # by hand: torchmetrics' top-k makes N x classes integers, 1 GB for ImageNet's 50,000 pictures
    among_five = logits.topk(min(5, len(called))).indices == labels[:, None]
    return Evaluation(
        split=split,
        classes=model.classes,
        pictures=len(samples),
        top1=int((guesses == labels).sum()) / len(samples),
        top5=int(among_five.any(1).sum()) / len(samples),
        loss=float(torch.nn.functional.cross_entropy(logits, labels)),
        per_class={name: named.get(name, 0) / sum(named.values()) for name, named in confusion.items()},
        confusion=confusion,
        seconds=seconds,
        images_per_second=len(samples) / seconds,
        mistakes=_worst(logits, relabelled, called),
    )


def _check(model: Model, batch: int, workers: int, crops: int) -> Count:
    if batch < 1 or workers < 0:
        raise UsageError(f"batch must be at least 1 and workers at least 0, not {batch} and {workers}")
    return check_crops(model.preprocess, crops)


def _average(logits: Tensor) -> Tensor:
    """(N, crops, classes) -> (N, classes): logits of the averaged probabilities; of one crop its own."""
    crops = logits.shape[1]
    return logits[:, 0] if crops == 1 else logits.log_softmax(2).logsumexp(1) - math.log(crops)


def _confusion(labels: Tensor, guesses: Tensor, called: Sequence[str]) -> dict[str, dict[str, int]]:
    """What occurs, in the order of the classes: of many classes most pairs never do."""
    found: dict[str, dict[str, int]] = {}
    for (truth, guess), count in sorted(Counter(zip(labels.tolist(), guesses.tolist(), strict=True)).items()):
        found.setdefault(called[truth], {})[called[guess]] = count
    return found


def _worst(logits: Tensor, samples: Sequence[Sample], classes: tuple[str, ...], most: int = 24) -> tuple[Mistake, ...]:
    best = logits.softmax(1).topk(min(3, len(classes)))
    wrong = [i for i, s in enumerate(samples) if int(best.indices[i, 0]) != s.label]
    wrong.sort(key=lambda i: float(best.values[i, 0]), reverse=True)
    return tuple(
        Mistake(
            samples[i],
            classes[samples[i].label],
            tuple(classes[j] for j in best.indices[i].tolist()),
            tuple(best.values[i].tolist()),
        )
        for i in wrong[:most]
    )

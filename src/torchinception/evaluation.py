"""How good a classifier is: every picture counted once, classes matched by name."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

from torchinception.data.folder import Folder, scan
from torchinception.data.labels import match_classes, readable
from torchinception.data.module import Pictures, ResumableLoader
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
    """A wrongly named picture: its class, the likeliest three, and their probabilities."""

    sample: Sample
    truth: str
    guesses: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """Fractions are of `pictures`; `confusion[i][j]` counts pictures of class i named j."""

    split: str
    classes: tuple[str, ...]
    pictures: int
    top1: float
    top5: float
    loss: float
    per_class: dict[str, float]
    confusion: tuple[tuple[int, ...], ...]
    seconds: float
    images_per_second: float
    mistakes: tuple[Mistake, ...]


def evaluate(
    model: Model, data: str | Path, *, batch: int = 32, workers: int = 0, listener: Listener | None = None
) -> Evaluation:
    """Evaluate on a folder, or what else `scan` takes: its `test` pictures if it has such, else `val`, else all.

    The folder that the model was trained on is recognized by content; without a `val` or `test` of
    its own, only the pictures that training held out are counted.

    Raises:
        DataError: unusable pictures, or a class that the model does not know.
    """
    folder = scan(data, listener)
    known = folder.training_fingerprint == model.trained_on
    if not known and model.trained_on.partition("-")[0] == folder.fingerprint and listener:
        listener.say(
            f"The model was trained on pictures in {folder.root}, but not as they are named or held out now; "
            "all are counted"
        )
    splits = folder.for_training() if known else folder.splits
    split = next(name for name in ("test", "val", "all", "train") if splits.get(name))
    return measure(model, folder, splits[split], split, batch=batch, workers=workers, listener=listener)


@torch.inference_mode()
def measure(
    model: Model,
    folder: Folder,
    samples: Samples,
    split: str,
    *,
    batch: int = 32,
    workers: int = 0,
    listener: Listener | None = None,
) -> Evaluation:
    """`evaluate` on given samples of a scanned folder."""
    position = match_classes((folder.classes[label] for label in np.unique(samples.labels)), model.classes, model.names)
    if batch < 1 or workers < 0:
        raise UsageError(f"batch must be at least 1 and workers at least 0, not {batch} and {workers}")
    new = np.array([position.get(name, -1) for name in folder.classes])  # -1 for what no sample is of
    relabelled = samples.relabel(new[samples.labels])
    loader = ResumableLoader(Pictures(relabelled, model.preprocess, None, 0), batch, workers, train=False)
    outputs, start = [], time.perf_counter()
    for pictures, _ in loader:
        outputs.append(model.logits(pictures))
        done = min(len(outputs) * batch, len(samples))
        rate = done / (time.perf_counter() - start)
        (listener or Listener()).progress(f"Evaluating {split}", done, len(samples), images_per_second=rate)
    seconds = time.perf_counter() - start
    logits, labels = torch.cat(outputs), torch.from_numpy(relabelled.labels).long()
    count = len(model.classes)
    confusion = multiclass_confusion_matrix(logits, labels, count)
    seen, called = confusion.sum(1), readable(model.classes, model.names)
    recall = confusion.diagonal() / seen.clamp(min=1)
    top5 = multiclass_accuracy(logits, labels, count, average="micro", top_k=min(5, count))
    return Evaluation(
        split=split,
        classes=model.classes,
        pictures=len(samples),
        top1=float(multiclass_accuracy(logits, labels, count, average="micro")),
        top5=float(top5),
        loss=float(torch.nn.functional.cross_entropy(logits, labels)),
        per_class={name: float(recall[i]) for i, name in enumerate(called) if seen[i]},
        confusion=tuple(map(tuple, confusion.tolist())),
        seconds=seconds,
        images_per_second=len(samples) / seconds,
        mistakes=_worst(logits, relabelled, called),
    )


def _worst(logits: Tensor, samples: Samples, classes: tuple[str, ...], most: int = 24) -> tuple[Mistake, ...]:
    best = logits.softmax(1).topk(min(3, len(classes)))
    wrong = [i for i, label in enumerate(samples.labels) if int(best.indices[i, 0]) != label]
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

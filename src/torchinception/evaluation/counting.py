"""From logits to figures: what is kept of each picture, and what is counted of all of them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from torchinception.data.samples import Sample
from torchinception.evaluation.calibration import Temperatures, calibrate
from torchinception.evaluation.records import Confused, Evaluation, Mistake, Processes, Scores

MOST = 24  # mistakes and confused pairs that are told
DRAWS = 100_000  # of the bootstrap


class Answers(NamedTuple):
    """What is kept of each picture's logits, of which a million times a thousand would fill the memory: 77 bytes."""

    place: Tensor  # (N,), of the picture among all
    truth: Tensor  # (N,), positions of classes in the model
    guess: Tensor  # (N,)
    likeliest: Tensor  # (N, 3), or as many as there are
    probabilities: Tensor  # (N, 3), theirs
    among_five: Tensor  # bool (N,)
    loss: Tensor  # (N,)


class Tally:
    """What a model has answered so far."""

    def __init__(self) -> None:
        self.parts: list[Answers] = []
        self.temperatures = Temperatures()

    def add(self, logits: Tensor, truth: Tensor, place: Tensor) -> None:
        """Logits (N, classes), and the positions (N,) of the classes and of the pictures."""
        # one order for all that is told; of equal logits the first class comes first, as argmax has it
        best = logits.sort(dim=1, descending=True, stable=True).indices[:, :5]
        likeliest = best[:, :3].clone()  # which does not keep the rest of the order alive
        probabilities = logits.softmax(1).gather(1, likeliest)
        among_five = (best == truth[:, None]).any(1)  # by hand: torchmetrics' top-k makes N x classes integers
        loss = torch.nn.functional.cross_entropy(logits, truth, reduction="none")
        self.parts.append(Answers(place, truth, best[:, 0].clone(), likeliest, probabilities, among_five, loss))
        self.temperatures.add(logits, truth)

    def of_all(self, processes: Processes) -> "Tally":
        """With what the other processes have, in the order of the pictures."""
        whole, tallies = Tally(), processes.gather(self)
        parts = [part for tally in tallies for part in tally.parts]
        joined = Answers(*map(torch.cat, zip(*parts, strict=True)))
        order = joined.place.argsort()
        whole.parts = [Answers(*(each[order] for each in joined))]
        for tally in tallies:
            whole.temperatures.pictures += tally.temperatures.pictures
            whole.temperatures.sums += tally.temperatures.sums
        return whole


def count(tally: Tally, samples: Sequence[Sample], called: Sequence[str], **known: Any) -> Evaluation:
    """Everything that is told; `called` is what each class is called, `known` what needs no counting."""
    [answers] = tally.parts
    pictures = len(answers.truth)
    confusion = _confusion(answers, called)
    right, among_five = int((answers.guess == answers.truth).sum()), int(answers.among_five.sum())
    return Evaluation(
        pictures=pictures,
        top1=right / pictures,
        top1_interval=interval(right, pictures),
        top5=among_five / pictures,
        top5_interval=interval(among_five, pictures),
        loss=float(answers.loss.mean()),
        calibration=calibrate(answers.probabilities[:, 0], answers.guess == answers.truth, tally.temperatures),
        per_class={name: named.get(name, 0) / sum(named.values()) for name, named in confusion.items()},
        scores=_scores(answers, called),
        confusion=confusion,
        confused=_confused(confusion),
        mistakes=_worst(answers, samples, called),
        **known,
    )


def interval(right: int, pictures: int) -> tuple[float, float]:
    """The bootstrap's 95 % interval of a fraction.

    How many of `pictures`, drawn again from these, are right ones is a binomial number: it is drawn as such, which is
    the same and needs no picture.
    """
    drawn = np.random.default_rng(0).binomial(pictures, right / pictures, DRAWS) / pictures
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _scores(answers: Answers, called: Sequence[str]) -> dict[str, Scores]:
    """Counted by torchmetrics, which makes a matrix of all classes: so of those alone that occur."""
    from torchmetrics.functional.classification import multiclass_stat_scores  # 2 s

    occurring, dense = torch.unique(torch.cat([answers.truth, answers.guess]), return_inverse=True)
    truth, guess = dense.split(len(answers.truth))
    counts = multiclass_stat_scores(guess, truth, max(2, len(occurring)), average=None)
    found = {}
    for place, (hits, false, _, missed, pictures) in zip(occurring.tolist(), counts.tolist(), strict=False):
        named = hits + false
        found[called[place]] = Scores(
            pictures,
            hits / named if named else None,
            hits / pictures if pictures else None,
            2 * hits / (2 * hits + false + missed),
        )
    return found


def _confusion(answers: Answers, called: Sequence[str]) -> dict[str, dict[str, int]]:
    """What occurs, in the order of the classes: of many classes most pairs never do."""
    pairs = Counter(zip(answers.truth.tolist(), answers.guess.tolist(), strict=True))
    found: dict[str, dict[str, int]] = {}
    for (truth, guess), number in sorted(pairs.items()):
        found.setdefault(called[truth], {})[called[guess]] = number
    return found


def _confused(confusion: dict[str, dict[str, int]]) -> tuple[Confused, ...]:
    pairs = [
        Confused(truth, guess, number)
        for truth, named in confusion.items()
        for guess, number in named.items()
        if truth != guess
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.pictures)[:MOST])


def _worst(answers: Answers, samples: Sequence[Sample], called: Sequence[str]) -> tuple[Mistake, ...]:
    wrong: list[int] = (answers.guess != answers.truth).nonzero().flatten().tolist()
    wrong.sort(key=lambda i: float(answers.probabilities[i, 0]), reverse=True)
    return tuple(
        Mistake(
            samples[i],
            called[int(answers.truth[i])],
            tuple(called[j] for j in answers.likeliest[i].tolist()),
            tuple(answers.probabilities[i].tolist()),
        )
        for i in wrong[:MOST]
    )

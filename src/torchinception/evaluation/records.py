"""What an evaluation takes and what it finds."""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from torchinception.data.samples import Sample
from torchinception.data.transforms import Preprocess


class Model(Protocol):
    """Anything that turns cut pictures into logits, with what must be known of it besides."""

    classes: tuple[str, ...]  # all different
    names: tuple[str, ...]  # what people call them
    preprocess: Preprocess
    trained_on: str  # `training_fingerprint` of a folder

    def logits(self, batch: Tensor) -> Tensor:
        """uint8 (N, 3, size, size) -> float32 (N, classes)."""


class Processes(Protocol):
    """The processes that share an evaluation (`training.ranks.Ranks`)."""

    @property
    def rank(self) -> int:
        """Which this one is."""

    @property
    def world(self) -> int:
        """How many there are."""

    def gather(self, value: Any) -> list[Any]:
        """Everybody's value, by rank."""


class Alone:
    """One process."""

    rank, world = 0, 1

    def gather(self, value: Any) -> list[Any]:
        """Its own."""
        return [value]


@dataclass(frozen=True)
class Mistake:
    """A wrongly named picture as it was scanned, its class, the likeliest three, and their probabilities."""

    sample: Sample
    truth: str
    guesses: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Scores:
    """Of one class: `precision` is None if no picture was named so, `recall` if there is no picture of it."""

    pictures: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True)
class Bin:
    """The pictures whose first guess was between `low` (not included) and `high` sure: the means are None of none."""

    low: float
    high: float
    pictures: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Whether 90 % sure means right 9 times in 10.

    `error` is the expected calibration error: the distance of a bin's accuracy from its confidence, averaged over the
    pictures. Logits divided by `temperature` have the least loss that any temperature gives, `loss_then`; both are
    None if it lies outside 1/16 to 16.
    """

    error: float
    bins: tuple[Bin, ...]
    temperature: float | None
    loss_then: float | None


@dataclass(frozen=True)
class Confused:
    """So many pictures of the class `truth` were named `guess`."""

    truth: str
    guess: str
    pictures: int


@dataclass(frozen=True)
class Evaluation:
    """Fractions are of `pictures`; `confusion["cat"]["dog"]` counts cats named dog, and what never occurs is left out.

    `classes` are the model's; in `per_class`, `scores`, `confusion`, `confused` and `mistakes` they go by what people
    call them. The intervals hold 95 % of what pictures drawn anew from these would give (bootstrap); of pictures all
    named rightly, or all wrongly, they have no width. Of several models these are the figures of their averaged
    probabilities, and `members` those of each.
    """

    split: str
    classes: tuple[str, ...]
    pictures: int
    crops: int  # of each
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    top5_interval: tuple[float, float]
    loss: float
    calibration: Calibration
    per_class: dict[str, float]  # recall, of classes that have pictures
    scores: dict[str, Scores]  # of classes that have pictures, or that a picture was named
    confusion: dict[str, dict[str, int]]
    confused: tuple[Confused, ...]  # the most frequent mistakes
    seconds: float
    images_per_second: float
    mistakes: tuple[Mistake, ...]  # the most confident
    members: tuple["Evaluation", ...] = ()

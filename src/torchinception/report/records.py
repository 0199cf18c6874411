"""What a report is made of: plain records, which know nothing of networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ClassScore:
    """Fractions of a class; None where there is nothing to divide by."""

    name: str
    pictures: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True)
class Bin:
    """Pictures whose first guess was so sure on average, and the fraction of them that was right."""

    pictures: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """`temperature` is None if none within 1/16 to 16 is best."""

    error: float
    bins: Sequence[Bin]
    temperature: float | None


@dataclass(frozen=True)
class Mistake:
    """A picture (uint8 (H, W, 3)), its class, the likeliest classes with their probabilities, best first.

    `heat` is where the network looked for its first guess: (H, W) of any size, float from 0 to 1, of `seen`, the
    picture as it was cut for the network, or of the whole picture if that is None.
    """

    picture: npt.NDArray[np.uint8]
    truth: str
    guesses: Sequence[tuple[str, float]]
    heat: npt.NDArray[np.floating] | None = None
    seen: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Results:
    """What was found in the pictures `split`; `confusion["cat"]["dog"]` counts cats named dog.

    `looked` is whose heat maps stand beside the mistakes.
    """

    split: str
    scores: Sequence[ClassScore]
    confusion: Mapping[str, Mapping[str, int]]
    calibration: Calibration
    mistakes: Sequence[Mistake] = ()
    looked: str = "the network"


@dataclass(frozen=True)
class Stage:
    """A row of a network's table."""

    name: str
    shape: Sequence[int]
    parameters: int
    macs: int
    receptive_field_px: int


@dataclass(frozen=True)
class Report:
    """What was run on what, and how it went; what is empty is left out.

    `facts` are headed tables of name and value, the first of which stands at the top; `history` has one row an epoch,
    as in `metrics.csv`; `networks` are the stages of each network.
    """

    title: str
    facts: Mapping[str, Mapping[str, object]]
    results: Results
    history: Sequence[Mapping[str, float]] = ()
    networks: Mapping[str, Sequence[Stage]] = field(default_factory=dict)

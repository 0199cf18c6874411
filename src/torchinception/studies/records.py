"""What a study found: every run of every variant, as it is kept in a file."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from torchinception.errors import DataError, MissingInputError

CHECKPOINTS = 20  # of a run: the held-out pictures are looked at after each twentieth of it
FROZEN = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Run(BaseModel):
    """One variant trained from one seed.

    Args:
        seed: of the initial weights, dropout, and the order of the pictures.
        losses: of the classifier, the mean of each twentieth of the run; fewer if it died.
        accuracies: on the held-out pictures, after each twentieth; that of guessing after it died.
        gradients: length of the gradient of each stage's parameters, the mean of the first twentieth's steps.
        died_at: the step at which loss or gradient were no longer finite.
        seconds: of one processor.
    """

    model_config = FROZEN

    seed: int
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    gradients: dict[str, float]
    died_at: int | None
    seconds: float


class Outcome(BaseModel):
    """One variant: its size without auxiliary heads, the clock, and its runs by seed.

    `milliseconds` are those of one processor for a step of training, in each turn of the clock.
    """

    model_config = FROZEN

    name: str
    parameters: int
    macs: int
    milliseconds: tuple[float, ...] = ()
    runs: tuple[Run, ...] = ()


class Result(BaseModel):
    """A study as far as it has come.

    Args:
        study: its name.
        digest: of pictures, networks, settings and torch's version: only runs of equal ones stand together.
        data: what the pictures are called.
        train: how many were trained on.
        held_out: how many accuracies were measured on.
        classes: how many.
        steps: of each run.
        batch: pictures a step.
        machine: what it ran on.
        versions: of what computed.
        seconds: that passed, of all sittings.
        outcomes: of each variant, in the study's order.
    """

    model_config = FROZEN

    study: str
    digest: str
    data: str
    train: int
    held_out: int
    classes: int
    steps: int
    batch: int
    machine: str
    versions: dict[str, str]
    seconds: float
    outcomes: tuple[Outcome, ...]

    def outcome(self, name: str) -> Outcome:
        """Of a variant."""
        return next(outcome for outcome in self.outcomes if outcome.name == name)

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The steps after which the held-out pictures were looked at."""
        return checkpoints(self.steps)


def checkpoints(steps: int) -> tuple[int, ...]:
    """The end of each twentieth of a run.

    >>> checkpoints(400)[:2], checkpoints(4)
    ((20, 40), (1, 2, 3, 4))
    """
    count = min(CHECKPOINTS, steps)
    return tuple(steps * (number + 1) // count for number in range(count))


def read_result(path: Path) -> Result:
    """What was written.

    Raises:
        MissingInputError: there is no such file.
        DataError: it holds something else.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise MissingInputError(f"no results of a study at {path}") from None
    except (ValidationError, OSError) as error:
        raise DataError(
            f"{path} holds no results of a study, or damaged ones; remove it, or use another --out"
        ) from error

"""A whole prediction: rows as they are found, and the file that they end in."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torchinception.classifier import Classifier
from torchinception.errors import LostProcessError, MissingInputError, UsageError
from torchinception.prediction.features import find_stage
from torchinception.prediction.finished import recall, remember
from torchinception.prediction.inputs import Inputs, Picture, digest_of
from torchinception.prediction.outputs import Output
from torchinception.prediction.parts import Part, State, part_of, read_state, remove
from torchinception.prediction.ranks import AGAIN, FINISHED, Ranks
from torchinception.prediction.rows import Found, Row, extract_batches, predict_batches
from torchinception.progress import Listener
from torchinception.weights.bundle import tensors_sha256


@dataclass(frozen=True)
class Plan:
    """What is asked for: `top` classes of each picture, or with an output for features those of `stage`."""

    batch: int
    top: int = 5
    stage: str | None = None
    fast: bool = False
    output: Output | None = None
    resume: bool = False


class Run:
    """Goes through the pictures once; the rows come out batch by batch, and the output is there at the end.

    `done` and `bad` count pictures of this process, those of the runs before this one included.

    Raises:
        UsageError: no such stage; several processes without an output, or with a list whose end is not known; or what
            an earlier run left is not to be gone on with, see `Part`.
        SaveError: the output cannot be written.
        MissingInputError: while it goes through them: the list from stdin was empty.
        LostProcessError: likewise: another process died.
    """

    def __init__(
        self,
        model: Classifier,
        inputs: Inputs,
        plan: Plan,
        *,
        ranks: Ranks | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._model, self._inputs, self._plan = model, inputs, plan
        self._ranks, self._listener = ranks or Ranks(), listener or Listener()
        self.total = inputs.count
        self._share: range | None = None
        if self._ranks.world > 1:
            if plan.output is None or inputs.count is None:
                raise UsageError(
                    "several processes need --csv, --parquet or --features, and pictures by name, not in -"
                )
            self._share = self._ranks.share(inputs.count, plan.batch)
            self.total = len(self._share)
        self._stage, self._width = "", 0
        if plan.output is not None and plan.output.features:
            self._stage, self._width = find_stage(model, plan.stage)
        self._finished = None if plan.output is None else self._recall(plan.output)
        self._part = None if plan.output is None or self._finished else self._open(plan.output)
        state = self._finished or (self._part.state if self._part else State({}))
        self.done, self.bad = state.done, state.bad

    def _recall(self, output: Output) -> State | None:
        """How the run ended that wrote the output, if it is to be gone on with and is complete."""
        if not self._plan.resume or self._ranks.world > 1 or part_of(output.path).exists():
            return None
        found = recall(output.path)
        if found is None or found.of != self._of(output):
            return None
        if (found.done, found.inputs) == digest_of(self._inputs):
            self._listener.say(
                f"{output.path} is finished, all {found.done:,} pictures; to begin anew leave out --resume"
            )
            return found
        if self._inputs.count is None:
            raise UsageError(f"{output.path} is of other pictures than come in; to begin anew leave out --resume")
        return None

    def _open(self, output: Output) -> Part:
        ranks, resume = self._ranks, self._plan.resume or self._ranks.attempt > 0
        part = Part(output.path, ranks.rank, ranks.world, self._of(output), output.names, resume=resume)
        if part.state.done:
            self._listener.say(f"Going on after {part.state.done:,} pictures in {part.root}")
        elif self._plan.resume:
            self._listener.say(f"Nothing to go on with at {part.root}; begun anew")
        return part

    def _of(self, output: Output) -> dict[str, Any]:
        """What decides the rows, which the batch, the device and an engine in fp32 change by no more than rounding."""
        spec = self._model.spec
        kept = spec.model_dump(mode="json", include={"network", "classes", "names", "channels", "bn_eps", "preprocess"})
        text = json.dumps(kept) + tensors_sha256(self._model.network.state_dict())
        kind = f"{output.kind} of {self._stage or 'predictions'}"
        top = 0 if output.features else self._plan.top
        share = None if self._share is None else [self._share.start, self._share.stop]
        model = hashlib.sha256(text.encode()).hexdigest()
        precision = self._model.engine.precision
        of = dict(model=model, output=kind, top=top, fast_decode=self._plan.fast, share=share)
        return of if precision == "fp32" else of | dict(precision=precision)

    def __iter__(self) -> Iterator[list[Row]]:
        if self._finished:
            return
        if self._part is None:
            for found in self._batches(self._inputs):
                yield self._count(found)
            self._refuse_nothing()
            return
        try:
            yield from self._record(self._part)
        finally:
            self._part.close()

    def _record(self, part: Part) -> Iterator[list[Row]]:
        output, ranks = self._plan.output, self._ranks
        assert output
        pictures: Iterable[Picture | None] = self._inputs
        if self._share is not None:
            pictures = islice(pictures, self._share.start, self._share.stop)
        for found in self._batches(part.skip(pictures)):
            bad = sum(bool(row.error) for row in found.rows)
            part.append((Picture(row.path, row.member) for row in found.rows), bad, output.encode(found))
            ranks.tell(str(part.state.done).encode())
            yield self._count(found)
        self._refuse_nothing()
        part.finish()
        ranks.tell(FINISHED)
        if ranks.rank == 0:
            ranks.wait()
            folders = [part.root / f"{rank}-of-{ranks.world}" for rank in range(ranks.world)]
            if ranks.world > 1:
                self._check_others(part, folders)
            output.join(folders, self._width)
            if ranks.world == 1:
                remember(output.path, part.state)
            remove(part.root)

    def _check_others(self, own: Part, folders: list[Path]) -> None:
        """All parts are of the same pictures as this process sees them, and nothing is missing."""
        assert self._inputs.count is not None
        self.done = self.bad = 0
        for rank, folder in enumerate(folders):
            state = read_state(folder)
            share = Ranks(rank, len(folders)).share(self._inputs.count, self._plan.batch)
            expected = {**own.state.of, "share": [share.start, share.stop]}
            if state is None or not state.finished or state.of != expected:
                raise LostProcessError(f"{folder} is not complete, or of another model; {AGAIN}")
            if (state.done, state.inputs) != (len(share), self._inputs.digest(share)):
                raise UsageError(f"{folder} is of other pictures than process 0 finds; let all of them see the same")
            self.done += state.done
            self.bad += state.bad

    def _refuse_nothing(self) -> None:
        """A list that is empty, because what should have made it failed, must not replace a table."""
        if not self.done and self._inputs.count is None:
            raise MissingInputError("no paths came in through -; expected one a line, or with a zero behind each")

    def _batches(self, pictures: Iterable[Picture | None]) -> Iterator[Found]:
        """Rows that are printed come at once, those of a file in whole batches: it is the same after a stop."""
        plan, model = self._plan, self._model
        if self._stage:
            return extract_batches(model, pictures, self._stage, self._width, batch=plan.batch, fast=plan.fast)
        prompt = plan.output is None
        return predict_batches(model, pictures, top=plan.top, batch=plan.batch, fast=plan.fast, prompt=prompt)

    def _count(self, found: Found) -> list[Row]:
        self.done += len(found.rows)
        self.bad += sum(bool(row.error) for row in found.rows)
        return found.rows


def hint(output: Output) -> str:
    """What to say to whom a run did not end."""
    return f"What was found until here is kept in {part_of(output.path)}; go on with --resume"

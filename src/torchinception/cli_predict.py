"""The command `inception predict`."""

import json
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torchinception.cli_engine import (
    Batch,
    Calibrate,
    EngineName,
    MaxLoss,
    NoTune,
    Precision,
    Threads,
    Tier,
    check_options,
    use_engine,
)
from torchinception.console import Screen, err, out
from torchinception.errors import UsageError
from torchinception.progress import Listener

if TYPE_CHECKING:
    from torchinception.prediction import Output, Row, Run

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Model = Annotated[str, typer.Argument(help="A model file, a run, or a name from: inception models --weights")]


def predict(
    model: Model,
    paths: Annotated[
        list[str], typer.Argument(help="Pictures, folders, shards, globs in quotes; - for a list from stdin.")
    ],
    top: Annotated[int, typer.Option(min=1, help="Classes a picture.")] = 5,
    batch: Batch = "auto",
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write path, rank, class, name, probability, error.")
    ] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the same columns as parquet.")] = None,
    features: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write features, no names: .npy, with an index, or .parquet.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Whose features, averaged over its cells; default: what the classifier takes.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a file whose run was stopped or killed.")
    ] = False,
    fast_decode: Annotated[
        bool, typer.Option("--fast-decode", help="Decode large JPEG files at a reduced scale: faster, almost the same.")
    ] = False,
    device: Device = "auto",
    engine: EngineName = "auto",
    threads: Threads = None,
    tier: Tier = "default",
    no_tune: NoTune = False,
    precision: Precision = "fp32",
    calibrate: Calibrate = None,
    max_loss: MaxLoss = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Name pictures. A bad one gets a row with its error, and exit code 65 at the end.

    Rows keep the pictures' order, --resume goes on with a file, and torchrun shares the work.
    """
    from torchinception.classifier import load
    from torchinception.devices import resolve_device
    from torchinception.engines.batches import FEW
    from torchinception.prediction import Plan, Run, find_inputs, find_ranks
    from torchinception.prediction.features import find_stage

    output = _output(csv, parquet, features)
    _check(output, features, stage, resume=resume, as_json=as_json)
    with Screen() as screen:
        ranks = find_ranks()
        place = resolve_device(ranks.device(device))
        check_options(engine, precision, calibrate, place, tier=tier, tune=not no_tune)
        stdin = sys.stdin.buffer if sys.stdin else None  # None: closed by the shell
        listener = screen if ranks.rank == 0 else Listener()
        inputs = find_inputs(paths, stdin, listener, output.path if output else None)
        loaded = load(model, place, listener=listener)
        if features:
            find_stage(loaded, stage)
        count = inputs.reckon(FEW)
        share = None if count is None else -(-count // ranks.world)
        with ranks.first_alone() if calibrate else nullcontext():
            size = use_engine(
                loaded,
                engine,
                batch=batch,
                threads=threads,
                tier=tier,
                tune=not no_tune,
                precision=precision,
                calibrate=calibrate,
                max_loss=max_loss,
                pictures=share,
                alone=ranks.world == 1,
                listener=listener,
            )
        plan = Plan(size, top, stage, fast_decode, output, resume)
        run = Run(loaded, inputs, plan, ranks=ranks, listener=listener)
        printer = None if output and not as_json else _Json() if as_json else _Table()
        _go(run, printer, listener, output)
    if run.bad and ranks.rank == 0:  # the others must not end as failed while the first one still works
        err.print(f"error: {run.bad} of {run.done} pictures could not be read")
        raise typer.Exit(65)


def _output(csv: Path | None, parquet: Path | None, features: Path | None) -> "Output | None":
    from torchinception.prediction import Output, features_file

    if sum(path is not None for path in (csv, parquet, features)) > 1:
        raise UsageError("--csv, --parquet and --features are files of one run each; give one of them")
    if features:
        return features_file(features)
    return Output(csv, "csv") if csv else Output(parquet, "parquet") if parquet else None


def _check(output: "Output | None", features: Path | None, stage: str | None, *, resume: bool, as_json: bool) -> None:
    if stage and not features:
        raise UsageError("--stage says whose features are written; give --features FILE.npy too")
    if features and as_json:
        raise UsageError("--features writes no names that --json could print; leave one of them out")
    if resume and output is None:
        raise UsageError("--resume goes on with a file; what is only printed cannot be gone on with. Give --csv FILE")


def _go(run: "Run", printer: "_Json | _Table | None", listener: Listener, output: "Output | None") -> None:
    """With a bar, unless rows appear on the same screen."""
    from torchinception.prediction.run import hint

    shows_bar = not (printer and out.is_terminal)
    began, before = time.perf_counter(), run.done
    try:
        for rows in run:
            if printer:
                printer.print(rows)
            if shows_bar:
                rate = (run.done - before) / (time.perf_counter() - began)
                listener.progress("Predicting", run.done, run.total or 0, images_per_second=rate)
    except BaseException:
        if output and run.done:
            listener.say(hint(output))
        raise


class _Json:
    """One object a line, flushed batch by batch."""

    def print(self, rows: Iterable["Row"]) -> None:
        for row in rows:
            named = [{"class": unique, "name": name, "probability": p} for unique, name, p in row.best]
            found = dict(error=row.error) if row.error else dict(predictions=named)
            out.file.write(json.dumps(dict(path=row.place) | found) + "\n")
        out.file.flush()


class _Table:
    """Columns that begin where they began before, but move to the right for a longer path."""

    def __init__(self) -> None:
        self.width, self.headed = len("picture"), False

    def print(self, rows: Iterable["Row"]) -> None:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=not self.headed)
        texts = [(r.show(), r.error or "  ".join(f"{name} {p:.1%}" for _, name, p in r.best)) for r in rows]
        self.headed, self.width = True, max([self.width, *(len(path) for path, _ in texts)])
        table.add_column("picture", overflow="fold", min_width=min(self.width, out.width // 2))
        table.add_column("named", overflow="fold")
        for text in texts:
            table.add_row(*text)
        out.print(table, soft_wrap=False)
        out.file.flush()

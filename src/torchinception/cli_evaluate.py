"""The command `inception evaluate`."""

import json
import os
import shlex
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from torchinception.cli_predict import Device
from torchinception.console import Screen, err, out, print_table
from torchinception.progress import Listener

if TYPE_CHECKING:
    import torch

    from torchinception.classifier import Classifier
    from torchinception.evaluation import Evaluation
    from torchinception.training.ranks import Ranks

MOST_ROWS, WORST, BEST = 30, 10, 10  # classes in the printed table
SILENCE_SECONDS = 600  # a batch of 144 crops through several networks takes minutes on a slow machine


def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL", help="Model files, runs, or names from: inception models --weights")
    ],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="As for train; its test or else val pictures if it has such.")
    ],
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write report.html, evaluation.json and tables here.")
    ] = None,
    batch: Batch = "auto",
    bad_images: Annotated[
        Literal["refuse", "skip"], typer.Option(help="Files that cannot be used: refuse all, or skip and tell.")
    ] = "refuse",
    crops: Annotated[int, typer.Option(help="Crops of each picture, averaged: 1, 10 or GoogLeNet's 144.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures, for each model.")] = 0,
    device: Device = "auto",
    engine: EngineName = "auto",
    threads: Threads = None,
    tier: Tier = "default",
    no_tune: NoTune = False,
    precision: Precision = "fp32",
    calibrate: Calibrate = None,
    max_loss: MaxLoss = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Count how often a model is right on pictures whose classes are known.

    Of several models the probabilities are averaged; torchrun shares the pictures among processes.
    """
    import torch

    from torchinception.classifier import load
    from torchinception.devices import resolve_device
    from torchinception.evaluation import measure, select
    from torchinception.training.reporting import as_plain, check_place, write_evaluation
    from torchinception.training.run_folder import check_apart

    place = resolve_device(device)
    check_options(engine, precision, calibrate, place, tier=tier, tune=not no_tune)
    with Screen() as screen, _processes(place) as ranks:
        listener = screen if ranks.rank == 0 else Listener()
        if folder:
            ranks.first(lambda: check_place(folder))
        if place.type == "cuda" and device in ("auto", "cuda") and not ranks.alone:
            place = torch.device("cuda", ranks.local_rank)
        loaded = [load(model, place, listener=listener) for model in models]
        scanned, samples, split = ranks.first(lambda: select(loaded, data, bad_images, listener))
        if folder:
            check_apart(folder, scanned)

        def ready(model: "Classifier") -> int:
            return use_engine(
                model,
                engine,
                batch=batch,
                threads=threads,
                tier=tier,
                tune=not no_tune,
                precision=precision,
                calibrate=calibrate,
                max_loss=max_loss,
                pictures=len(samples) * crops,
                alone=ranks.alone,
                listener=listener,
            )

        if calibrate and not ranks.alone:
            ranks.first(lambda: [ready(model) for model in loaded])  # the others find in the cache what it has made
        sizes = [ready(model) for model in loaded]
        found = measure(
            loaded,
            scanned,
            samples,
            split,
            batch=min(sizes),
            crops=crops,
            workers=workers,
            listener=listener,
            processes=ranks,
        )
    if ranks.rank:
        return
    if as_json:
        typer.echo(json.dumps(as_plain(found)))
    else:
        _print(found, models, loaded, data)
    if folder:
        write_evaluation(folder, found, models, loaded, scanned)
        (out if not as_json else err).print(f"\nLook at   {shlex.quote(str(folder))}/report.html")


def _print(found: "Evaluation", models: list[str], loaded: "list[Classifier]", data: str) -> None:
    from torchinception.data.file_systems import hide_secrets

    several = f", {found.crops} crops each" if found.crops > 1 else ""
    title = f"{hide_secrets(data)}, {found.split} pictures: {found.pictures}{several}"
    ranked = sorted(found.per_class.items(), key=lambda item: found.scores[item[0]].f1)
    shown = list(found.per_class.items())
    if len(shown) > MOST_ROWS:
        shown = [*ranked[:WORST], *ranked[-BEST:]]
        title += f"; the worst {WORST} and best {BEST} of {len(ranked)} classes, all with --json or --out FOLDER"
    rows = [_row(name, found) for name, _ in shown]
    headings = ("class", "named rightly", "precision", "F1", "pictures")
    print_table(title, headings, rows, " ".join(headings[2:]))
    if found.confused:
        worst = ", ".join(f"{pair.truth} as {pair.guess} ({pair.pictures})" for pair in found.confused[:5])
        out.print(f"\nmost confused: {worst}")
    if found.members:
        out.print()
        engines = [f"{each.engine.name} {each.engine.version}" for each in loaded]
        each = [
            (hide_secrets(model), f"{m.top1:.2%}", f"{m.top5:.2%}", f"{m.loss:.4f}", name)
            for model, m, name in zip(models, found.members, engines, strict=True)
        ]
        print_table("", ("model", "top-1", "top-5", "loss", "engine"), each, "top-1 top-5 loss")
    calibration, (low, high) = found.calibration, found.top1_interval
    by = f"{len(loaded)} models" if found.members else f"{loaded[0].engine.name} {loaded[0].engine.version}"
    out.print(
        f"\ntop-1 {found.top1:.2%}, top-5 {found.top5:.2%}, loss {found.loss:.4f}, "
        f"{found.images_per_second:.0f} images/s by {by}"
    )
    best = calibration.temperature
    cure = f"; a temperature of {best:.3f} has the least loss, {calibration.loss_then:.4f}" if best else ""
    out.print(f"95 % interval of top-1: {low:.2%} to {high:.2%}; calibration error {calibration.error:.2%}{cure}")


def _row(name: str, found: "Evaluation") -> tuple[str, ...]:
    score = found.scores[name]
    precision = "–" if score.precision is None else f"{score.precision:.1%}"
    return name, f"{score.recall:.1%}", precision, f"{score.f1:.1%}", str(score.pictures)


def _processes(place: "torch.device") -> "AbstractContextManager[Ranks]":
    """Those that torchrun or SLURM started; one alone need not wait for the imports that finding others takes."""
    from torchinception.training.ranks import Ranks, together

    if not any(name in os.environ for name in ("WORLD_SIZE", "SLURM_STEP_ID")):
        return nullcontext(Ranks())
    return together(place.type, SILENCE_SECONDS)

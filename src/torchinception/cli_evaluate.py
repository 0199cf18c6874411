"""The command `inception evaluate`."""

import json
from dataclasses import asdict, replace
from typing import Annotated, Literal

import typer

from torchinception.cli_engine import (
    Batch,
    Calibrate,
    EngineName,
    MaxLoss,
    Precision,
    Threads,
    check_options,
    use_engine,
)
from torchinception.cli_predict import Device, Model
from torchinception.console import Screen, out, print_table


def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(help="As for train; its test or else val pictures if it has such.")],
    batch: Batch = "auto",
    bad_images: Annotated[
        Literal["refuse", "skip"], typer.Option(help="Files that cannot be used: refuse all, or skip and tell.")
    ] = "refuse",
    crops: Annotated[int, typer.Option(help="Crops of each picture, averaged: 1, 10 or GoogLeNet's 144.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures.")] = 0,
    device: Device = "auto",
    engine: EngineName = "auto",
    threads: Threads = None,
    precision: Precision = "fp32",
    calibrate: Calibrate = None,
    max_loss: MaxLoss = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Count how often a model is right on pictures whose classes are known."""
    from torchinception.classifier import load
    from torchinception.data.file_systems import hide_secrets
    from torchinception.devices import resolve_device
    from torchinception.evaluation import measure, select

    place = resolve_device(device)
    check_options(engine, precision, calibrate, place)
    with Screen() as screen:
        loaded = load(model, place, listener=screen)
        folder, samples, split = select(loaded, data, bad_images, screen)
        size = use_engine(
            loaded,
            engine,
            batch=batch,
            threads=threads,
            precision=precision,
            calibrate=calibrate,
            max_loss=max_loss,
            pictures=len(samples) * crops,
            listener=screen,
        )
        found = measure(loaded, folder, samples, split, batch=size, crops=crops, workers=workers, listener=screen)
    if as_json:
        mistakes = [
            dict(picture=m.sample.place, truth=m.truth, guesses=m.guesses, probabilities=m.probabilities)
            for m in found.mistakes
        ]
        typer.echo(json.dumps(asdict(replace(found, mistakes=())) | dict(mistakes=mistakes)))
        return
    rows = ((name, f"{fraction:.1%}") for name, fraction in found.per_class.items())
    several = f", {crops} crops each" if crops > 1 else ""
    print_table(
        f"{hide_secrets(data)}, {found.split} pictures: {found.pictures}{several}", ("class", "named rightly"), rows
    )
    out.print(
        f"\ntop-1 {found.top1:.2%}, top-5 {found.top5:.2%}, loss {found.loss:.4f}, "
        f"{found.images_per_second:.0f} images/s by {loaded.engine.name} {loaded.engine.version}"
    )

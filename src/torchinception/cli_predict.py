"""The commands `inception evaluate` and `inception predict`."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from torchinception.console import Screen, err, out, print_table

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures at a time.")]
Model = Annotated[str, typer.Argument(help="A model file, a run, or a name from: inception models --weights")]


def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(help="As for train; its test or else val pictures if it has such.")],
    batch: Batch = 32,
    bad_images: Annotated[
        Literal["refuse", "skip"], typer.Option(help="Files that cannot be used: refuse all, or skip and tell.")
    ] = "refuse",
    crops: Annotated[int, typer.Option(help="Crops of each picture, averaged: 1, 10 or GoogLeNet's 144.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures.")] = 0,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Count how often a model is right on pictures whose classes are known."""
    from torchinception.classifier import load
    from torchinception.data.file_systems import hide_secrets
    from torchinception.devices import resolve_device
    from torchinception.evaluation import evaluate

    with Screen() as screen:
        loaded = load(model, resolve_device(device), listener=screen)
        found = evaluate(
            loaded, data, batch=batch, crops=crops, bad_images=bad_images, workers=workers, listener=screen
        )
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
        f"{found.images_per_second:.0f} images/s"
    )


def predict(
    model: Model,
    paths: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, globs in quotes.")],
    top: Annotated[int, typer.Option(min=1, help="Classes a picture.")] = 5,
    batch: Batch = 32,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write path, rank, class, name, probability, error.")
    ] = None,
    fast_decode: Annotated[
        bool, typer.Option("--fast-decode", help="Decode large JPEG files at a reduced scale: faster, almost the same.")
    ] = False,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Name pictures. A bad one gets a row with its error, and exit code 65 at the end."""
    from torchinception.classifier import load
    from torchinception.data.walk import show
    from torchinception.devices import resolve_device
    from torchinception.prediction import check_csv, find_pictures, predict_files, write_csv

    if csv:
        check_csv(csv)
    rows, bad = [], 0
    with Screen() as screen:
        files = find_pictures(paths, screen)
        loaded = load(model, resolve_device(device), listener=screen)
        for done, row in enumerate(predict_files(loaded, files, top=top, batch=batch, fast=fast_decode), 1):
            screen.progress("Predicting", done, len(files))
            bad += row.prediction is None
            rows.append(row)
            if as_json:
                named = [{"class": unique, "name": name, "probability": p} for unique, name, p in row.best]
                found = dict(error=row.error) if row.error else dict(predictions=named)
                typer.echo(json.dumps(dict(path=str(row.path)) | found))
    if csv:
        write_csv(csv, rows)
    if not as_json and not csv:
        texts = ((show(r.path), r.error or "  ".join(f"{name} {p:.1%}" for _, name, p in r.best)) for r in rows)
        print_table("", ("picture", "named"), texts)
    if bad:
        err.print(f"error: {bad} of {len(files)} pictures could not be read")
        raise typer.Exit(65)

"""The command `inception predict`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from torchinception.console import Screen, err, print_table

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures at a time.")]
Model = Annotated[str, typer.Argument(help="A model file, a run, or a name from: inception models --weights")]


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

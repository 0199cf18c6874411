"""The command `inception explain`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torchinception.cli_predict import Device, Model
from torchinception.console import Screen, err, out, print_table

if TYPE_CHECKING:
    from torchinception.explaining import Explanation

Methods = Annotated[
    str,
    typer.Option(help="gradcam, integrated-gradients, occlusion or layer-activations (where a stage sees anything)."),
]


def explain(
    model: Model,
    images: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, globs in quotes.")],
    method: Methods = "gradcam",
    label: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="What to look for. Default: the likeliest.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Where gradcam and layer-activations look. Default: the last with places.")
    ] = None,
    sheet: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="PNG, a row a picture; from 21 on also FILE-2.png and so on.")
    ] = Path("sheet.png"),
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line too.")] = False,
) -> None:
    """Show where a model looks. A bad picture gets a line with its error, and exit code 65 at the end."""
    from torchinception.classifier import load
    from torchinception.data.walk import show
    from torchinception.devices import resolve_device
    from torchinception.errors import ImageError, UsageError
    from torchinception.explaining import explain
    from torchinception.explaining.sheet import MOST, check_sheet, draw_sheet
    from torchinception.files import write_atomically
    from torchinception.prediction import find_pictures

    check_sheet(sheet)
    written: list[Path] = []
    rows: list[tuple[str, Explanation]] = []
    shown: list[tuple[str, ...]] = []

    def write() -> None:
        place = sheet.with_stem(f"{sheet.stem}-{len(written) + 1}") if written else sheet
        check_sheet(place)
        write_atomically(place, draw_sheet([found for _, found in rows], [title for title, _ in rows]))
        written.append(place)
        rows.clear()

    bad = 0
    with Screen() as screen:
        files = [path for path in find_pictures(images, screen) if isinstance(path, Path)]
        if not files:
            raise UsageError("only shards by URL are named; explain takes pictures that are files here")
        loaded = load(model, resolve_device(device), listener=screen)
        for done, path in enumerate(files, 1):
            try:
                found = explain(loaded, path, method, target=label, stage=stage, listener=screen)
            except ImageError as error:
                bad += 1
                screen.say(f"error: {show(path)}: {error.reason}; {error.advice}")
                if as_json:
                    typer.echo(json.dumps(dict(path=str(path), error=f"{error.reason}; {error.advice}")))
            else:
                rows.append((show(path), found))
                shown.append((show(path), found.name, f"{found.probability:.1%}", "{}, {}".format(*found.peak)))
                if as_json:
                    typer.echo(json.dumps(dict(path=str(path)) | _as_record(found)))
            screen.progress("Explaining", done, len(files))
            if len(rows) == MOST or (rows and done == len(files)):
                write()
    if not as_json:
        print_table("", ("picture", "class", "probability", "peak"), shown, "probability peak")
        out.print("\nLook at   " + "  ".join(show(path) for path in written) if written else "")
    if bad:
        err.print(f"error: {bad} of {len(files)} pictures could not be read")
        raise typer.Exit(65)


def _as_record(found: "Explanation") -> dict[str, Any]:
    """The numbers behind a row; `peak` is column and row in the part of the picture that the network sees."""

    def guesses(prediction: Any) -> list[dict[str, Any]]:
        every = zip(prediction.classes, prediction.names, prediction.probabilities, strict=True)
        return [{"class": unique, "name": name, "probability": p} for unique, name, p in every]

    return {
        "method": found.method,
        "stage": found.stage,
        "class": found.label,
        "name": found.name,
        "probability": found.probability,
        "peak": found.peak,
        "size": len(found.heat),
        "gap": found.gap,
        "predictions": guesses(found.best),
        "heads": {stage: guesses(opinion) for stage, opinion in found.heads.items()},
    }

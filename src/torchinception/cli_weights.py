"""`inception convert`, and the list of published weights."""

from pathlib import Path
from typing import Annotated

import typer

from torchinception.console import Screen, out, print_table
from torchinception.errors import MissingInputError, UsageError


def convert(
    file: Annotated[str, typer.Argument(help="Another library's file, published weights, a model file, a run.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Where to write; an older file is replaced.")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="SOURCE", help="What FILE is from, where its keys fit several.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Put the weights into this network; its shapes have to be the same.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(metavar="NAMES.txt", help="What the outputs mean: a name a line, in order.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Write for another library instead: torchvision, timm or keras-npz.")
    ] = None,
) -> None:
    """Turn another library's weights into a model file, or a model file into another library's."""
    from torchinception.classifier import load
    from torchinception.weights.export import export

    names = None if classes is None else _read_names(classes)
    with Screen() as screen:
        model = load(file, source=source, network=network, names=names, listener=screen)
    spec, look = model.spec, model.preprocess
    if to:
        export(model.network, target, to)
    else:
        model.save(target)
    heads = ", with auxiliary heads" if spec.aux else ""
    sure = "name" in spec.origin  # published weights
    called = f" ({'' if sure else 'taken for '}ImageNet's{'' if sure else '; others: --classes'})" if spec.names else ""
    home = f" from {spec.origin['source']}" if "source" in spec.origin else ""
    out.print(
        f"{target}: {spec.network}{home}, {len(spec.classes)} classes{called}{heads}{f', for {to}' if to else ''}"
    )
    mean, std = (" ".join(f"{value:.4g}" for value in values) for values in (look.mean, look.std))
    out.print(f"Pictures: {look.size} px, {look.resize}, {look.interpolation}; (x - ({mean})) / ({std}), RGB of 0 to 1")


def list_weights(*, as_json: bool) -> None:
    """Every published checkpoint with its accuracies as published."""
    from torchinception.weights.catalogue import entries

    if as_json:
        out.print_json(data=[entry.model_dump(mode="json") for entry in entries().values()])
        return
    rows = []
    for name, entry in entries().items():
        figures = ("" if value is None else f"{value:.2f}" for value in (entry.top1, entry.top5))
        rows.append((name, entry.network, *figures, entry.accuracy_source or ""))
    print_table("", ("weights", "network", "top-1", "top-5", "figures from"), rows, "top-1 top-5")


def _read_names(path: Path) -> tuple[str, ...]:
    try:
        names = tuple(line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip())
    except FileNotFoundError:
        raise MissingInputError(f"no file of class names at {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as names, one a line, in UTF-8: {error}") from error
    if not names:
        raise UsageError(f"{path} is empty; a class name a line is expected")
    return names

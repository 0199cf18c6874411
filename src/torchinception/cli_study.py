"""The command `inception study`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from torchinception.console import Screen, out, print_table


def study(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|all", help="auxiliary, reduction, batchnorm, factorization, ladder, residual, or all of them."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Pictures as train takes them, such as torchvision:CIFAR10; else the sample."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each variant; below 3 no claim can show.")] = 3,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each run, instead of the study's own.")] = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for NAME.json and NAME.svg.")] = Path("runs/studies"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Put a claim of the papers to the test in a small experiment; run it again to go on where it was stopped."""
    from torchinception.studies import page
    from torchinception.studies.catalogue import STUDIES, find_study
    from torchinception.studies.running import run_study

    found = []
    with Screen() as screen:
        for each in STUDIES if name == "all" else (name,):
            result = run_study(each, data=data, seeds=seeds, steps=steps, out=folder, listener=screen)
            found.append(result)
            if not as_json:
                described, verdicts = find_study(each), page.verdicts(find_study(each), result)
                head = page.headings(described)
                print_table(f"\n{described.title}\n", head, page.rows(described, result))
                rows = ((v.claim.text, v.finding, v.figures) for v in verdicts)
                print_table("", ("claim", "verdict", "figures"), rows)
                out.print(f"\n{folder / each}.json holds every run, {folder / each}.svg shows them")
    if as_json:
        typer.echo(json.dumps([page.describe(result) for result in found]))

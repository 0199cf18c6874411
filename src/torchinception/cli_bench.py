"""The command `inception bench`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from torchinception.cli_engine import NoTune, Tier
from torchinception.console import Screen, out, print_table
from torchinception.errors import UsageError

LEAST = 7  # rounds, below which a range says nothing


def bench(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL|NETWORK",
            help="Model files, runs, published weights, or networks, which then have random weights; "
            "else googlenet and inception_v3.",
        ),
    ] = None,
    batch: Annotated[str, typer.Option(metavar="N,N...", help="Pictures a call: one number or several.")] = "1",
    threads: Annotated[str, typer.Option(metavar="N,N...", help="Threads: one number or several.")] = "1",
    tier: Tier = "default",
    no_tune: NoTune = False,
    peers: Annotated[
        bool, typer.Option("--peers", help="Also torchvision's or timm's network with the same weights.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=LEAST, help="How often every side has its turn.")] = LEAST,
    folder: Annotated[Path, typer.Option("--out", help="Folder for bench.json and bench.png.")] = Path("runs/bench"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure how fast networks run here, in every engine: side by side, answers checked first."""
    counts, numbers = _numbers("--batch", batch), _numbers("--threads", threads)
    from torchinception.bench import table
    from torchinception.bench.measure import NETWORKS, measure
    from torchinception.bench.results import check_folder, describe, write_cases

    check_folder(folder)
    cases = []
    with Screen() as screen:
        names = targets or NETWORKS
        for case in measure(
            names,
            batches=counts,
            threads=numbers,
            tier=tier,
            tune=not no_tune,
            peers=peers,
            rounds=rounds,
            listener=screen,
        ):
            cases.append(case)
            write_cases(folder, cases)
            if not as_json:
                print_table(table.title(case), table.HEADINGS, table.lines(case), table.NUMBERS)
                out.print("\n".join(table.remarks(case)) + "\n")
    if as_json:
        typer.echo(json.dumps(describe(cases)))
    else:
        out.print(f"{folder / 'bench.json'} holds every round, {folder / 'bench.png'} shows them")


def _numbers(option: str, text: str) -> list[int]:
    """Numbers from 1, separated by commas."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UsageError(f"{option} {text}: expected whole numbers from 1, separated by commas, such as 1,8")
    return [int(part) for part in parts]

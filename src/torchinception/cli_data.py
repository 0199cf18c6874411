"""The command `inception data check`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torchinception.console import Screen, out, print_table

if TYPE_CHECKING:
    from torchinception.data.checked import Checked
    from torchinception.data.findings import Finding

SHOWN = 20  # classes, and items of each finding; all are in check.json
TOGETHER = 4  # pictures of an item

data_app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


@data_app.callback()
def data() -> None:
    """Look at data before training on it."""


@data_app.command(
    epilog="Examples: inception data check flowers/   ·   inception data check torchvision:CIFAR10 --json"
)
def check(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Class folders, a table, shards, a URL, or torchvision:NAME.")
    ],
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write; NAME-check if not given.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures decoded at the same time; one per core if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Decode every picture, tell what is wrong, and draw a sheet of each class to look at.

    Errors, as a broken file or the same picture in train and val, end with exit code 65; remarks do not.
    """
    from torchinception.data.check import examine
    from torchinception.data.checked import RECORD

    with Screen() as screen:
        found = examine(data, folder, workers=workers, listener=screen)
    if as_json:
        typer.echo(json.dumps(found.record()))
    else:
        _print_classes(found)
        for finding in found.findings:
            _print_finding(finding)
        remarks = len(found.findings) - found.errors
        out.print(f"\n{_count(found.errors, 'error')}, {_count(remarks, 'remark')}; all of it in {found.out / RECORD}")
        if found.sheets:
            out.print(f"Look at the pictures: {found.out}/class-*.png")
    if found.errors:
        raise typer.Exit(65)


def _print_classes(found: "Checked") -> None:
    width, height = found.median_px
    formats = ", ".join(f"{name} {number:,}" for name, number in found.formats.most_common())
    named = "picture", "pictures"
    print_table(
        f"{found.data}: {_count(found.counts.total(), *named)} ({formats}), {width} x {height} px usually",
        ("class", *found.splits),
        [(name, *(f"{found.counts[split, name]:,}" for split in found.splits)) for name in found.classes[:SHOWN]],
        " ".join(found.splits),
    )
    if len(found.classes) > SHOWN:
        out.print(f"… and {len(found.classes) - SHOWN:,} more classes")


def _print_finding(finding: "Finding") -> None:
    level = "Error" if finding.error else "Remark"
    out.print(f"\n{level}: {finding.what}: {len(finding.items):,}. {finding.advice}.")
    for item in finding.items[:SHOWN]:
        more = len(item.places) - TOGETHER
        places = [*item.places[:TOGETHER], *([f"{more:,} more"] if more > 0 else [])]
        out.print(f"  {' and '.join(places)}{': ' if item.why else ''}{item.why}")
    if len(finding.items) > SHOWN:
        out.print(f"  … and {len(finding.items) - SHOWN:,} more")


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"

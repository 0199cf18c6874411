"""What the command line shows: lines, progress bars, tables."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from torchinception.progress import Listener

if sys.stdout is None:  # closed by the shell
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115, for the life of the process
WIDE = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160  # columns of a table that goes into a pipe
out = Console(highlight=False, markup=False, soft_wrap=True, width=WIDE)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
FORMATS = {"loss": "loss {:.3f}", "accuracy": "acc {:.1%}", "images_per_second": "{:.0f} images/s"}


def process_rank() -> int:
    """Which of several processes of one run this is, as torchrun or SLURM say; 0 speaks for all."""
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0")


class Screen(Listener):
    """Draws on the error stream, so that what a command prints can go into a pipe; use it in a `with`."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self._bars = Progress(*columns, TimeRemainingColumn(), console=err)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tasks:
            self._bars.stop()  # without a bar it would print an empty line

    def say(self, text: str) -> None:
        """Above the bars."""
        self._bars.console.print(text)

    def progress(self, task: str, done: int, total: int, **figures: float) -> None:
        """A bar a task."""
        text = "  ".join(FORMATS[name].format(value) for name, value in figures.items())
        if task not in self._tasks:
            self._bars.start()
            self._tasks[task] = self._bars.add_task(task, total=total or None, text=text)
        self._bars.update(self._tasks[task], completed=done, text=text)


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]], numbers: str = "") -> None:
    """Print a table; `numbers` are the headings of right-aligned columns, separated by blanks."""
    if title:
        out.print(title)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        right = heading in numbers.split()
        table.add_column(heading, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    out.print(table, soft_wrap=False)

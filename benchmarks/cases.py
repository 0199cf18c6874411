"""What benchmarks of networks share: their options, and cases that are told and written once they are measured."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from run import RESULTS

from torchinception.bench import table
from torchinception.bench.measure import ROUNDS
from torchinception.bench.records import Case
from torchinception.bench.results import write_cases
from torchinception.console import out, print_table


def options(about: str | None, networks: Sequence[str]) -> argparse.ArgumentParser:
    """Which networks, how many rounds, and where to."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=networks)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


def tell(cases: Iterable[Case], folder: Path, name: str) -> list[Case]:
    """A table of each, and `name`.json and .png anew with it."""
    found: list[Case] = []
    for case in cases:
        found.append(case)
        print_table(table.title(case), table.HEADINGS, table.lines(case), table.NUMBERS)
        out.print("\n".join(table.remarks(case)) + "\n")
        write_cases(folder, found, name)
    return found

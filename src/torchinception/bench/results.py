"""The folder of a benchmark: every round as JSON, and the bars."""

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchinception.bench.plot import plot
from torchinception.bench.records import Case
from torchinception.engines.remembered import describe_machine
from torchinception.errors import SaveError
from torchinception.files import write_atomically


def describe(cases: Sequence[Case]) -> dict[str, Any]:
    """What is written: the machine, and every case with each side's times."""
    return dict(machine=describe_machine(), system=platform.platform(), cases=[case.to_json() for case in cases])


def write_cases(folder: Path, cases: Sequence[Case], name: str = "bench") -> None:
    """`bench.json` and `bench.png`, or of another name, anew with every case that is done.

    Raises:
        SaveError: one of them could not be written.
    """
    write_atomically(folder / f"{name}.json", json.dumps(describe(cases), indent=1) + "\n")
    write_atomically(folder / f"{name}.png", plot(cases))


def check_folder(folder: Path) -> None:
    """Make it, and try to write there, ahead of what takes half an hour.

    Raises:
        SaveError: it cannot be.
    """
    trial = folder / ".trial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise SaveError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from error

"""The library built in another way, and what native/check.cpp says of it; it needs no Python."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from test_native_layers import TOLERANCES

NATIVE = Path(__file__).parents[1] / "native"


def needs(*programs: str) -> pytest.MarkDecorator:
    """Who only uses the package need not have a second compiler or an emulator; `.ci/run` installs them all."""
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


class Level(NamedTuple):
    """GFLOP/s of multiply-adds in registers and of the matrix product, and each algorithm's largest error."""

    peak: float
    product: float
    errors: dict[str, float]

    def check(self, algorithms: tuple[str, ...]) -> None:
        """All of them were tried, and are as exact as in the tests of layers."""
        assert tuple(self.errors) == algorithms
        for algorithm, error in self.errors.items():
            assert error <= TOLERANCES.get(algorithm, 2e-5), algorithm


def build_check(folder: Path, **definitions: str) -> Path:
    """The program, with the library beside it."""
    options = [f"-D{name}={value}" for name, value in definitions.items()]
    for command in (
        ["cmake", "-S", str(NATIVE), "-B", str(folder), *options],
        ["cmake", "--build", str(folder), "--parallel", "2", "--target", "check"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "check"


def run_check(*command: str | Path) -> dict[int, Level]:
    """Each instruction set by its number."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    parts = re.split(r"^level (\d): peak (\S+) GFLOP/s, matrix product (\S+)\n", done.stdout, flags=re.MULTILINE)[1:]
    found = {}
    for number, peak, product, lines in zip(*(parts[place::4] for place in range(4)), strict=True):
        pairs = [line.split() for line in lines.splitlines()]
        found[int(number)] = Level(float(peak), float(product), {name: float(error) for name, error in pairs})
    return found

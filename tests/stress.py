"""`pytest --full`, which is `make stress`: as many injected faults as there should be, and how many were survived."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

RESULTS = Path("stress.json")
COUNTS = pytest.StashKey[Counter[str]]()
BEGAN = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="as many faults as make stress injects")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTS], config.stash[BEGAN] = Counter(), time.monotonic()


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("full"))


@pytest.fixture(scope="session")
def survived(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """`survived(fault)` counts one more of a kind of fault; told at the end of a full run."""
    return lambda fault: pytestconfig.stash[COUNTS].update([fault])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("full"):
        return
    passed, failed = (len(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed"))
    minutes = round((time.monotonic() - config.stash[BEGAN]) / 60, 1)
    counts = dict(sorted(config.stash[COUNTS].items()))
    results = dict(tests_passed=passed, tests_failed=failed, minutes=minutes, survived=counts)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    terminalreporter.write_line(f"\n{passed} tests passed, {failed} failed, in {minutes} minutes; see {RESULTS}\n")
    for row in ("fault | survived", "---|---", *(f"{fault} | {number:,}" for fault, number in counts.items())):
        terminalreporter.write_line(f"| {row} |")

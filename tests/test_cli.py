import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from child import At
from conftest import SHORT, Result

from torchinception.cli import app
from torchinception.models import NETWORKS

Inception = Callable[..., Result]
FROZEN = Path(__file__).parent / "frozen" / "help"
COMMANDS = sorted([*typer.main.get_command(app).commands, "recipes show"])  # type: ignore[attr-defined]
HEAVY = {"PIL", "lightning", "matplotlib", "numpy", "pydantic", "safetensors", "torch", "torchmetrics", "torchvision"}


def imported(*command: str | Path) -> set[str]:
    """The packages that a fresh process imports."""
    env = os.environ | dict(PYTHONPROFILEIMPORTTIME="1")
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_says_what_it_said_before(inception: Inception, command: str) -> None:
    """Meant to change? `REFRESH_FROZEN=1 make test` writes the files anew; look at the difference."""
    result = inception(*command.split(), "--help")
    text = "".join(f"{line.rstrip()}\n" for line in result.out.splitlines())
    frozen = FROZEN / f"{command or 'inception'}.txt"
    if os.environ.get("REFRESH_FROZEN") == "1":
        frozen.write_text(text)
    assert (result.code, text) == (0, frozen.read_text())


def test_no_help_is_frozen_of_a_command_that_is_gone() -> None:
    assert {path.stem for path in FROZEN.iterdir()} == {"inception", *COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(inception: Inception, command: str) -> None:
    assert re.search(rf"Examples?: inception {command}", inception(*command.split(), "-h").out)


@pytest.mark.parametrize(
    "command",
    [[Path(sys.executable).with_name("inception"), "--help"], [sys.executable, "-m", "torchinception", "--help"]],
    ids=["inception", "python -m torchinception"],
)
def test_help_waits_for_nothing_heavy(command: list[str | Path]) -> None:
    modules = imported(*command)
    assert (modules & HEAVY, "typer" in modules) == (set(), True)


def test_importing_the_package_imports_nothing_heavy() -> None:
    modules = imported(sys.executable, "-c", "import torchinception")
    assert (modules & HEAVY, "torchinception" in modules) == (set(), True)


def test_python_m_is_the_same_command(inception: Inception) -> None:
    done = subprocess.run([sys.executable, "-m", "torchinception", "--help"], capture_output=True, text=True)
    said = " ".join(done.stdout.split()).replace("python -m torchinception", "inception")
    assert said == " ".join(inception("--help").out.split())


def test_without_arguments_comes_the_help(inception: Inception) -> None:
    result = inception()
    assert "inception demo" in result.out + result.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["trian"], "train"),
        (["summary", "googlenett"], "did you mean googlenet?"),
        (["summary", "googlenet", "--size", "20"], "20"),
        (["predict", "RUN", "VAL", "--top", "0"], "--top"),
        (["predict", "RUN", "VAL", "--device", "gpu"], "expected auto, cpu, cuda, cuda:N or mps"),
        (["evaluate", "RUN", "VAL", "--device", "cuda:99"], "cuda:99"),
        (["evaluate", "RUN", "VAL", "--batch", "0"], "--batch"),
        (["predict", "RUN"], "paths"),
        (["models", "--bogus"], "--bogus"),
    ],
)
def test_misuse_exits_with_2_and_tells(
    inception: Inception, finished: Path, split: Path, arguments: list[str], told: str
) -> None:
    result = inception(*({"RUN": finished, "VAL": split / "val"}.get(a, a) for a in arguments))
    assert (result.code, result.out) == (2, "")
    assert told.lower() in result.err.lower()


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "MISSING", "VAL"],
        ["predict", "RUN", "MISSING"],
        ["predict", "RUN", "MISSING/*.png"],
        ["evaluate", "MISSING", "VAL"],
        ["evaluate", "RUN", "MISSING"],
    ],
)
def test_missing_input_exits_with_66_and_names_it(
    inception: Inception, finished: Path, split: Path, arguments: list[str]
) -> None:
    places = {"RUN": finished, "VAL": split / "val"}
    result = inception(*(places.get(a, a) for a in arguments))
    assert (result.code, result.out) == (66, "")
    assert re.search("^error: no.* at MISSING", result.err, re.MULTILINE)


@pytest.mark.parametrize("order", [["--debug", "predict", "nothing", "x"], ["predict", "nothing", "--debug", "x"]])
def test_debug_shows_where_a_users_mistake_was_noticed(inception: Inception, order: list[str]) -> None:
    result = inception(*order)
    assert (result.code, "Traceback" in result.err) == (66, True)


def test_without_debug_nobody_sees_a_traceback(inception: Inception) -> None:
    result = inception("predict", "nothing", "x")
    assert (result.code, "Traceback" in result.err) == (66, False)


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_an_internal_error_exits_with_70_and_asks_for_a_report(
    inception: Inception, split: Path, debug: list[str]
) -> None:
    result = inception("train", split, *SHORT, *debug, at=(At("*.png", error=ZeroDivisionError("planted")),))
    assert (result.code, "planted" in result.err, "report" in result.err) == (70, True, True)
    assert ("Traceback" in result.err) == bool(debug)


def test_models_lists_every_network_in_the_table_and_in_json(inception: Inception) -> None:
    found, shown = json.loads(inception("models", "--json").out), inception("models").out
    assert [row["name"] for row in found] == list(NETWORKS)
    lines = [line.split() for line in shown.splitlines()]
    assert [line[0] for line in lines if line and line[0] in NETWORKS] == list(NETWORKS)
    assert all([row["name"], f"{row['parameters'] / 1e6:.1f}"] in [line[:2] for line in lines] for row in found)


def test_summary_shows_every_stage_in_the_table_and_in_json(inception: Inception) -> None:
    found = json.loads(inception("summary", "googlenet", "--json").out)
    shown = inception("summary", "googlenet").out
    assert found["parameters"] == 6_998_552  # reference/facts.json, googlenet_caffe
    assert "6,998,552 parameters (13,378,280 with auxiliary heads), 1,582,671,872 multiply-adds" in shown
    stages = [row["stage"] for row in found["rows"]]
    assert [line.split()[0] for line in shown.splitlines() if line and line.split()[0] in stages] == stages


def test_doctor_prints_json(inception: Inception) -> None:
    assert json.loads(inception("doctor", "--json").out)["problems"] == []

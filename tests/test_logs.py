"""Loggers keep the rows of `metrics.csv`: once each, through an interruption, where their own readers find them."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
from child import At
from conftest import SHORT, Result, record

from torchinception.errors import UsageError
from torchinception.training.logs import LOGS, check_logs

Inception = Callable[..., Result]
Rows = list[tuple[int, float]]


@pytest.fixture(scope="module")
def run(inception: Inception, split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Killed after the first epoch's row was logged, before any checkpoint held it; then resumed with all loggers."""
    for name in LOGS:
        for package in LOGS[name][1]:
            pytest.importorskip(package)
    out = tmp_path_factory.mktemp("logs") / "run"
    loggers = [word for name in LOGS for word in ("--logger", name)]
    command = ("train", split, *SHORT, "--out", out, *loggers)
    assert inception(*command, at=(At("*/train/*", 26, SIGKILL),)).code == -SIGKILL
    result = inception(*command, "--resume")
    assert (result.code, "Resuming from" in result.err) == (0, True), result.err
    return out


def written(run: Path, name: str = "train_loss") -> Rows:
    return [(int(row["step"]), float(row[name])) for row in record(run)]


def test_tensorboard_shows_every_row_once(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "tensorboard")).Reload()
    assert {*record(run)[0], "seconds"} == set(found.Tags()["scalars"])
    events = [(event.step, event.value) for event in found.Scalars("train_loss")]
    assert events == [(step, pytest.approx(value, rel=1e-6)) for step, value in written(run)]  # TensorBoard's float32
    assert b"network = " in found.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]


def test_mlflow_shows_every_row_once(run: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{run / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("torchinception")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.status, found.info.run_name) == ("FINISHED", "run")
    assert {*record(run)[0], "seconds"} == set(found.data.metrics)
    history = client.get_metric_history(found.info.run_id, "train_loss")
    assert [(metric.step, metric.value) for metric in history] == written(run)
    assert found.data.params["network"] == '"tiny_inception"'


def test_wandb_goes_on_with_one_offline_run(run: Path) -> None:
    parts = sorted((run / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(parts) == 2
    assert len({path.name for path in parts}) == 1, "the parts have different ids"
    # wandb ships no reader of its files, but they are not compressed; the last part holds every row
    text = parts[-1].read_bytes()
    found = [float(loss) for loss in dict.fromkeys(re.findall(rb"train_loss[^0-9]+([0-9.]+)", text))]
    assert found == [pytest.approx(value) for _, value in written(run)]


def test_overwriting_a_run_begins_its_logs_anew(inception: Inception, split: Path, run: Path, tmp_path: Path) -> None:
    command = ("train", split, *SHORT, "--out", tmp_path / "run", "--logger", "tensorboard")
    assert inception(*command).code == 0
    [first] = (tmp_path / "run" / "tensorboard").iterdir()
    assert inception(*command, "--overwrite").code == 0
    [second] = (tmp_path / "run" / "tensorboard").iterdir()
    assert first != second


def test_an_unknown_logger_is_told_the_known_ones(inception: Inception, split: Path, tmp_path: Path) -> None:
    result = inception("train", split, *SHORT, "--out", tmp_path / "run", "--logger", "comet")
    assert (result.code, "no logger named comet; loggers: tensorboard, mlflow, wandb" in result.err) == (2, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "package"), [("mlflow", "sqlalchemy"), ("wandb", "wandb")])
def test_a_missing_package_is_named_with_its_command(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "torchinception.training.logs.find_spec", lambda wanted: None if wanted == package else find("json")
    )
    with pytest.raises(UsageError, match=rf"needs {package}; pip install 'torchinception\[track\]'$"):
        check_logs([name])

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, SHORT, Result, digest, outcome, record
from data_fixtures import listing

import torchinception as ti
from torchinception.errors import UsageError
from torchinception.progress import Listener

Inception = Callable[..., Result]
RUN = ["checkpoints", "metrics.csv", "metrics.json", "model.safetensors", "recipe.toml", "report.html"]
SETTINGS = {"network": "tiny_inception", "epochs": 2, "batch": 8}  # as SHORT says it


def state() -> dict[str, Any]:
    """What a caller may have set and `train` must leave."""
    return dict(
        torch=torch.get_rng_state().tolist(),
        python=random.getstate(),
        numpy=np.random.get_state()[1].tolist(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        warn_only=torch.is_deterministic_algorithms_warn_only_enabled(),
        benchmark=torch.backends.cudnn.benchmark,
        interrupt=signal.getsignal(signal.SIGINT),
        terminate=signal.getsignal(signal.SIGTERM),
    )


@pytest.fixture(scope="module")
def trained(split: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ti.Classifier, Path, dict[str, Any]]:
    """A run in this process, with the state before it in which it differs from the one after it."""
    import lightning.pytorch  # noqa: F401, its import alone draws from `random`

    out = tmp_path_factory.mktemp("trained") / "run"
    torch.manual_seed(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = True
    before = state()  # after `manual_seed`: no draw of the run can go unseen
    model = ti.train(split, settings=SETTINGS, out=out)
    after = state()
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False
    return model, out, {key: value for key, value in before.items() if value != after[key]}


def test_the_callers_random_numbers_and_signals_stay_as_they_were(
    trained: tuple[ti.Classifier, Path, dict[str, Any]],
) -> None:
    assert trained[2].keys() & {"torch", "python", "numpy", "interrupt", "terminate"} == set()


def test_the_callers_switches_of_torch_stay_as_they_were(trained: tuple[ti.Classifier, Path, dict[str, Any]]) -> None:
    assert trained[2].keys() & {"deterministic", "warn_only", "benchmark"} == set()


def test_the_library_trains_what_the_command_line_trains(
    trained: tuple[ti.Classifier, Path, dict[str, Any]], finished: Path
) -> None:
    assert digest(trained[1]) == digest(finished)


def test_a_new_process_gives_the_same_probabilities_bit_for_bit_without_lightning(
    trained: tuple[ti.Classifier, Path, dict[str, Any]], split: Path
) -> None:
    model, out, _ = trained
    files = sorted(split.glob("val/*/*.png"))
    command = [sys.executable, "-X", "importtime", "-m", "torchinception", "predict", out, *files, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = [[b["probability"] for b in json.loads(line)["predictions"]] for line in done.stdout.splitlines()]
    assert found == [list(prediction.probabilities) for prediction in model.predict(files)]
    assert re.findall(r"\| +(torchmetrics|lightning)\n", done.stderr) == []


def test_a_run_writes_its_own_files_and_nothing_else(inception: Inception, split: Path, tmp_path: Path) -> None:
    before = listing(split)
    assert inception("train", split, *SHORT, cwd=tmp_path).code == 0
    run = Path("runs/clothes")
    expected = {Path("runs"), run, *(run / name for name in RUN)}
    kept = {"manifest.json", "step-000000003.ckpt", "step-000000006.ckpt"}
    expected |= {run / "checkpoints" / name for name in kept}
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} == expected
    assert listing(split) == before


def test_a_run_warns_of_nothing(inception: Inception, split: Path, tmp_path: Path) -> None:
    assert "arning" not in inception("train", split, *SHORT, "--out", tmp_path / "run").err


def test_the_same_seed_gives_the_same_weights_and_record(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    inception("train", split, *SHORT, "--out", tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(finished)


def test_another_seed_gives_other_weights(inception: Inception, finished: Path, split: Path, tmp_path: Path) -> None:
    inception("train", split, *SHORT, "--seed", 1, "--out", tmp_path / "run")
    assert digest(tmp_path / "run") != digest(finished)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_result(
    inception: Inception, finished: Path, split: Path, tmp_path: Path, workers: int
) -> None:
    result = inception("train", split, *SHORT, "--workers", workers, "--out", tmp_path / "run")
    assert result.code == 0, result.err
    assert outcome(tmp_path / "run") == outcome(finished)


def test_a_runs_recipe_trains_the_same_again(inception: Inception, finished: Path, split: Path, tmp_path: Path) -> None:
    inception("train", split, "--recipe", finished / "recipe.toml", "--out", tmp_path / "run")
    assert digest(tmp_path / "run") == digest(finished)


def test_the_record_has_every_epoch_once_and_the_loss_falls(finished: Path) -> None:
    rows = record(finished)
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "3"), ("2", "6")]
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])


def test_metrics_recipe_model_and_record_tell_the_same(finished: Path) -> None:
    metrics, spec = json.loads((finished / "metrics.json").read_text()), ti.load(finished).spec
    recipe = tomllib.loads((finished / "recipe.toml").read_text())
    assert spec.metrics == metrics
    assert (spec.classes, metrics["train_pictures"], metrics["val_pictures"]) == (CLASSES, 24, 12)
    assert {spec.network, metrics["network"], recipe["network"]} == {"tiny_inception"}
    assert spec.recipe["optimizer"] == recipe["optimizer"]
    # the same 12 of 12 pictures, divided in float32 here and in float64 there
    assert metrics["val_top1"] == pytest.approx(float(record(finished)[-1]["val_top1"]), abs=1e-7)


def test_the_report_needs_no_network_and_shows_classes_and_curves(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)|url\((?!#|["']?data:)|@import""", page) == []
    assert page.count("<svg") == 5  # loss, accuracy, learning rate, confusion, calibration
    assert all(text in page for text in (*CLASSES, "Learning rate", "Confusion matrix", "tiny_inception on clothes"))


def test_overwrite_replaces_the_runs_own_files_only(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    (run / "notes.txt").write_text("mine")
    (run / "metrics.json").write_text("old")
    inception("train", split, *SHORT, "--out", run, "--overwrite", "--seed", 1)
    assert sorted(p.name for p in run.iterdir()) == sorted([*RUN, "notes.txt"])
    assert (json.loads((run / "metrics.json").read_text())["epochs"], (run / "notes.txt").read_text()) == (2, "mine")
    assert digest(run) != digest(finished)


def test_overwrite_never_takes_the_pictures_for_checkpoints(pictures: Path, tmp_path: Path) -> None:
    data = pictures.rename(tmp_path / "checkpoints")
    before = listing(data)
    with pytest.raises(UsageError):
        ti.train(data, settings=SETTINGS, out=tmp_path, overwrite=True)
    assert listing(data) == before


def test_without_options_large_pictures_train_googlenet_bn(
    inception: Inception, large_pictures: Path, tmp_path: Path
) -> None:
    result = inception("train", large_pictures, "--epochs", 1, "--batch", 3, "--out", tmp_path / "run")
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert (result.code, recipe["network"], recipe["size"]) == (0, "googlenet_bn", 128)
    assert ti.load(tmp_path / "run").spec.network == "googlenet_bn"


def test_a_listener_hears_of_every_step(split: Path, tmp_path: Path) -> None:
    heard = []

    class Notes(Listener):
        def progress(self, task: str, done: int, total: int, **figures: float) -> None:
            if task == "Training":
                heard.append((done, total, *figures))

    ti.train(split, settings=SETTINGS | {"epochs": 1}, out=tmp_path / "run", listener=Notes())
    assert heard == [(step, 3, "loss", "accuracy", "images_per_second") for step in (1, 2, 3)]

"""Resuming is exact with every optimizer, schedule, average, mix and sampler, and between the batches of a step."""

from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
from child import At
from conftest import SHORT, Result, outcome
from safetensors.torch import load_file

from torchinception.weights.bundle import tensors_sha256

Inception = Callable[..., Result]
COMBINATIONS = {
    "rmsprop, ema, staircase, clipping, accumulation": (
        "optimizer.name=rmsprop",
        "optimizer.eps=1.0",
        "optimizer.clip_norm=2.0",
        "average.name=ema",
        "schedule.name=step",
        "schedule.every_epochs=1",
        "accumulate=2",
    ),
    "adamw, polyak, one-cycle, mixup, cutmix, balanced sampler": (
        "optimizer.name=adamw",
        "optimizer.lr=0.001",
        "average.name=polyak",
        "schedule.name=one-cycle",
        "schedule.warmup_epochs=0.5",
        "mix.mixup=0.4",
        "mix.cutmix=1.0",
        "sampler=balanced",
    ),
    "sgd, polynomial, class weights": ("schedule.name=polynomial", "loss.class_weights=balanced"),
}


@pytest.mark.parametrize("settings", COMBINATIONS.values(), ids=COMBINATIONS)
def test_resuming_equals_never_stopping_in_every_combination(
    inception: Inception, split: Path, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    chosen = [word for setting in settings for word in ("--set", setting)]
    command = ("train", split, *SHORT, *chosen, "--checkpoint-every", 1, "--out")
    assert inception(*command, tmp_path / "whole").code == 0
    killed = inception(*command, tmp_path / "run", at=(At("*/train/*", 42, SIGKILL),))  # in the second epoch
    assert killed.code == -SIGKILL
    resumed = inception(*command, tmp_path / "run", "--resume")
    assert (resumed.code, "Resuming from" in resumed.err) == (0, True), resumed.err
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    raw = [tmp_path / run / "raw.safetensors" for run in ("run", "whole")]
    assert raw[0].exists() == raw[1].exists() == ("average" in " ".join(settings))
    if raw[0].exists():
        found, expected = (tensors_sha256(load_file(path)) for path in raw)
        assert found == expected


def test_accumulated_batches_make_one_step_each(inception: Inception, split: Path, tmp_path: Path) -> None:
    result = inception("train", split, *SHORT, "--set", "accumulate=2", "--out", tmp_path / "run")
    assert result.code == 0, result.err
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["1", "2"], ["2", "4"]]  # 3 batches an epoch: 2 and 1


def test_the_recorded_loss_does_not_depend_on_accumulation(inception: Inception, split: Path, tmp_path: Path) -> None:
    found = []
    for accumulate in (1, 2):  # at a rate that changes no weight, so that both see the same network
        run = tmp_path / str(accumulate)
        chosen = ("--set", f"accumulate={accumulate}", "--set", "optimizer.lr=1e-30")
        assert inception("train", split, *SHORT, *chosen, "--out", run).code == 0
        rows = [row.split(",") for row in (run / "metrics.csv").read_text().splitlines()]
        found.append([dict(zip(rows[0], row, strict=True))["train_loss"] for row in rows[1:]])
    assert found[0] == found[1]

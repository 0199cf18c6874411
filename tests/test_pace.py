"""Batches and epochs that fit the machine. Times are the machine's, so what is asserted holds for any of them."""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
import torch
from child import At
from conftest import Result
from store_fixtures import Notes

from torchinception.errors import UsageError
from torchinception.network import Inception
from torchinception.progress import Listener
from torchinception.training import pace
from torchinception.training.pace import find_batch, fit_epochs, parse_duration, search
from torchinception.training.recipe import Recipe, load_recipe

CPU = torch.device("cpu")


def recipe(**settings: object) -> Recipe:
    """As `choose` resolves it."""
    resolved = dict(network="tiny_inception", size=28, crop=1.0, batch=8, precision="fp32")
    return load_recipe("default", resolved | {"loss.aux_weight": 0.0} | settings)


def fit(seconds: float, listener: Listener, train: int = 64, val: int = 16, read: float | None = None) -> int:
    return fit_epochs(recipe(), train, val, val, 3, read, seconds, CPU, listener)


@pytest.mark.parametrize(
    ("rates", "asked", "chosen"),
    [
        ([10, 20, 40, 80, 160, 320, 640], 7, 256),  # grows to the end
        ([10, 20, 30, 30.5, 99, 99, 99], 4, 16),  # the doubling to 32 gains too little
        ([10, 20, 20.7, 21.4, 21.5, 99, 99], 5, 16),  # 20.7 is within 5 % of 21.5, 20 is not
        ([10, 20, None, 99, 99, 99, 99], 3, 8),  # no memory for 16
        ([10, 8, 99, 99, 99, 99, 99], 2, 4),
        ([None, 99, 99, 99, 99, 99, 99], 1, 2),
    ],
)
def test_the_smallest_batch_near_the_fastest_is_chosen(
    rates: list[float | None], asked: int, chosen: int, notes: Notes
) -> None:
    known, heard = dict(zip(pace.BATCHES, rates, strict=True)), []

    def rate(batch: int) -> float | None:
        heard.append(batch)
        return known[batch]

    assert search(pace.BATCHES, rate, notes) == chosen
    assert heard == list(pace.BATCHES[:asked])
    assert len(notes.said) == asked + 1
    assert f"Chose batches of {chosen}:" in notes.said[-1]


def test_a_found_batch_is_no_larger_than_the_pictures_are_many(notes: Notes) -> None:
    assert find_batch(recipe(), 3, 9, CPU, notes) in (4, 8)
    assert find_batch(recipe(), 3, 3, CPU, notes) == 2
    assert notes.said[0].startswith("Batch 4: ")


def test_a_batch_that_memory_does_not_suffice_for_is_not_tried(monkeypatch: pytest.MonkeyPatch, notes: Notes) -> None:
    memory = dict(VmRSS=100, VmHWM=200, MemAvailable=199)  # what took 100 would take 200 if doubled
    monkeypatch.setattr(pace, "_memory_bytes", lambda file, key: memory[key])

    assert find_batch(recipe(), 3, 256, CPU, notes) == 2
    assert "memory does not suffice" in notes.said[0]


def test_a_batch_that_runs_out_of_memory_ends_the_search(monkeypatch: pytest.MonkeyPatch, notes: Notes) -> None:
    true = pace._Machine.step

    def step(machine: pace._Machine, batch: int) -> float:
        if batch == 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return true(machine, batch)

    monkeypatch.setattr(pace._Machine, "step", step)

    assert find_batch(recipe(), 3, 256, CPU, notes) == 4
    assert "Batch 8: memory does not suffice" in notes.said


def test_any_other_error_of_a_step_is_an_error(monkeypatch: pytest.MonkeyPatch, notes: Notes) -> None:
    def step(*_: object) -> float:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(pace._Machine, "step", step)

    with pytest.raises(RuntimeError, match="illegal"):
        find_batch(recipe(), 3, 256, CPU, notes)


def test_epochs_fill_the_time_and_reading_counts(notes: Notes) -> None:
    long, slow = fit(600, notes), fit(600, notes, read=10.0)  # 64 + 16 pictures: 8 s an epoch for reading alone

    assert 1 <= slow <= 67  # 600 s * 0.9 / 8 s
    assert long > slow
    assert notes.said[0].startswith(f"Chose {long} epochs: one takes about ")


def test_a_step_takes_what_was_measured(notes: Notes) -> None:
    epochs = fit(600, notes)
    start = time.perf_counter()
    with pace._measuring(recipe(), 3, CPU) as machine:
        for _ in range(8):
            machine.step(8)

    # a whole epoch's steps, on a machine that others may slow down or leave: a factor of 4 either way
    assert 540 / epochs / 4 < time.perf_counter() - start < 540 / epochs * 4


def test_a_time_that_no_epoch_fits_into_is_refused_with_what_one_takes(notes: Notes) -> None:
    begun = time.perf_counter()

    with pytest.raises(UsageError, match=r"not one epoch fits into 2 s: one takes about .* h .*; allow more time, or"):
        fit(2, notes, train=10_000_000)
    assert time.perf_counter() - begun < 2  # 0.2 s and the first steps


@pytest.mark.parametrize("average", ["none", "ema"])
def test_measuring_leaves_no_trace(average: str) -> None:
    state, networks = torch.get_rng_state(), alive()

    gc.disable()
    try:
        find_batch(recipe(**{"average.name": average, "mix.mixup": 0.2}), 3, 8, CPU, Listener())
        fit(60, Listener())
        left = alive()
    finally:
        gc.enable()

    assert torch.equal(torch.get_rng_state(), state)
    assert left == networks


def test_every_precision_and_auxiliary_heads_can_be_measured(notes: Notes) -> None:
    headed = recipe(network="googlenet_torch", size=32, batch=2, precision="bf16", **{"loss.aux_weight": 0.3})

    assert fit_epochs(headed, 4, 2, 2, 3, None, 600, CPU, notes) >= 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", 600), ("90s", 90), ("1h30m", 5400), ("600", 600), ("1.5h", 5400), ("1h1m1s", 3661), ("0.5", 0.5)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0m", "-5m", "ten", "10 m", "5d", "30m1h", "1h30", "inf", "nan", "1e3", "9" * 400]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected hours, minutes or seconds, as 10m"):
        parse_duration(text)


def alive() -> int:
    return sum(issubclass(type(thing), Inception) for thing in gc.get_objects())


def test_a_budget_becomes_epochs_that_a_resumed_run_keeps(
    inception: Callable[..., Result], split: Path, tmp_path: Path
) -> None:
    command = ("train", split, "--network", "tiny_inception", "--batch", 8, "--budget", "6s", "--out", tmp_path / "run")
    killed = inception(*command, at=(At("*/step-*.ckpt", 1, SIGKILL, event="os.rename"),))
    assert (killed.code, "Chose" in killed.err) == (-SIGKILL, True), killed.err
    recipe = (tmp_path / "run" / "recipe.toml").read_text()
    result = inception(*command, "--resume")
    assert result.code == 0, result.err
    assert (tmp_path / "run" / "recipe.toml").read_text() == recipe
    refused = inception(*command[:-1], tmp_path / "other", "--epochs", 3)
    assert (refused.code, "--budget chooses the epochs" in refused.err) == (2, True)

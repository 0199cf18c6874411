"""What people ran into, each named after what must not happen again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Result
from data_fixtures import tiny_classifier

from torchinception.data.folder import scan
from torchinception.data.module import Pictures, ResumableLoader
from torchinception.data.transforms import Preprocess
from torchinception.errors import DataError, UsageError
from torchinception.models import create
from torchinception.summary import summarize
from torchinception.weights.bundle import ModelSpec, save_model

Inception = Callable[..., Result]
SHORT = ("--network", "tiny_inception", "--epochs", "1")


def test_a_table_is_not_written_over_a_picture(inception: Inception, finished: Path, split: Path) -> None:
    picture = next(split.glob("val/*/*.png"))
    before = picture.read_bytes()
    result = inception("predict", finished, picture, "--csv", picture)
    assert (result.code, picture.read_bytes() == before) == (2, True)


def test_a_failing_overwrite_keeps_the_old_model(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = (run / "model.safetensors").read_bytes()
    result = inception("train", split, *SHORT, "--out", run, "--overwrite", "--set", "optimizer.lr=1e30")
    assert (result.code, "not finite" in result.err) == (65, True)
    assert (run / "model.safetensors").read_bytes() == before


def test_a_run_that_lost_its_model_gets_it_back_by_resuming(
    inception: Inception, finished: Path, split: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = json.loads((run / "metrics.json").read_text())
    (run / "model.safetensors").unlink()
    result = inception("train", split, "--out", run, "--resume")
    assert result.code == 0, result.err
    assert json.loads((run / "metrics.json").read_text())["val_loss"] == before["val_loss"]


def test_the_demo_does_not_replace_a_run_of_ones_own(inception: Inception, finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = sorted(path.name for path in run.rglob("*"))
    result = inception("demo", "--out", run)
    assert (result.code, sorted(path.name for path in run.rglob("*"))) == (2, before)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_breaks_after_the_check_is_named(split: Path, tmp_path: Path, workers: int) -> None:
    data = shutil.copytree(split, tmp_path / "data")
    folder = scan(data)
    loader = ResumableLoader(
        Pictures(folder.splits["train"], Preprocess(size=28, crop=1), None, 0), 4, workers, train=False
    )
    broken = folder.splits["train"][5].path
    broken.write_bytes(b"no picture")
    with pytest.raises(DataError, match=f"no longer: {broken}"):
        list(loader)


def test_a_spec_of_another_network_is_not_saved(tmp_path: Path) -> None:
    net = create("tiny_inception", classes=2, bn_eps=0.5)
    spec = ModelSpec(network="tiny_inception", classes=("a", "b"), preprocess=Preprocess(size=28))
    with pytest.raises(UsageError, match="bn_eps"):
        save_model(tmp_path / "m.safetensors", net, spec)
    assert not (tmp_path / "m.safetensors").exists()


def test_the_count_with_heads_does_not_depend_on_the_size_looked_at() -> None:
    assert summarize("googlenet", 128).parameters_with_aux == 13_378_280


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 1, 28, 28)])
def test_a_tensor_of_another_shape_is_refused_in_words(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"takes pictures \(N, 3, H, W\)"):
        create("tiny_inception")(torch.zeros(shape))


def test_no_class_at_all_cannot_be_asked_for() -> None:
    with pytest.raises(UsageError, match="top must be at least 1"):
        tiny_classifier("a", "b").predict([], top=0)


@pytest.mark.parametrize("value", ["size=100000", "crop=1e-9", "augment.area=[1, 0.1]", "epochs=2\nbatch=3"])
def test_an_impossible_setting_is_refused_before_pictures_are_read(
    inception: Inception, split: Path, tmp_path: Path, value: str
) -> None:
    result = inception("train", split, "--out", tmp_path / "run", "--set", value)
    assert (result.code, "Checking" in result.err, (tmp_path / "run").exists()) == (2, False, False)

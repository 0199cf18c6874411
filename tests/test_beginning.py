"""What a run begins with: other libraries' files, with and without a classifier, read and noted once."""

from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
import torch
from child import At
from conftest import Result, outcome
from torch import Tensor

import torchinception as ti
from torchinception.models import create
from torchinception.weights.export import export

Inception = Callable[..., Result]
PROBE = ("--size", 32, "--epochs", 2, "--batch", 8, "--set", "features.cached=true")


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torchvision's GoogLeNet for seven classes, in torchvision's own layout."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("theirs") / "seven.pth"
    export(create("googlenet_torch", 7), path, "torchvision")
    return path


@pytest.fixture(scope="module")
def headless(seven: Path) -> Path:
    tensors = torch.load(seven, weights_only=True)
    path = seven.with_name("headless.pth")
    torch.save({name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}, path)
    return path


def trunk(model: ti.Classifier) -> dict[str, Tensor]:
    return model.network.trunk.state_dict()


def test_a_file_without_classifier_is_enough_to_begin_with(
    inception: Inception, headless: Path, split: Path, tmp_path: Path
) -> None:
    result = inception("train", split, "--weights", headless, *PROBE, "--out", tmp_path / "run")
    assert result.code == 0, result.err
    assert "has no classifier, so that a fresh one is trained" in result.err
    begun, trained = ti.load(headless, classes=3), ti.load(tmp_path / "run")
    assert all(torch.equal(value, trunk(trained)[name]) for name, value in trunk(begun).items())
    assert trained.spec.origin == begun.spec.origin
    assert trained.spec.origin["source"] == "torchvision_googlenet"


def test_another_librarys_file_is_read_once_and_what_there_is_to_note_is_noted_once(
    inception: Inception, seven: Path, split: Path, tmp_path: Path
) -> None:
    result = inception("train", split, "--weights", seven, *PROBE, "--out", tmp_path / "run")
    assert (result.code, result.err.count("does not say what its 7 outputs mean")) == (0, 1), result.err
    assert result.err.count("Fresh weights, for these classes: classifier") == 1


@pytest.mark.filterwarnings("ignore:.*does not say what its 7 outputs mean")
def test_a_run_begun_by_a_relative_path_goes_on_from_another_folder(
    inception: Inception, seven: Path, split: Path, tmp_path: Path
) -> None:
    command = ("train", split, "--weights", seven.name, *PROBE)
    whole = inception(*command, "--out", tmp_path / "whole", cwd=seven.parent)
    assert whole.code == 0, whole.err
    at = At("*/metrics.csv", 1, SIGKILL, event="os.rename")  # after the first epoch's checkpoint
    assert inception(*command, "--out", tmp_path / "run", cwd=seven.parent, at=(at,)).code == -SIGKILL
    result = inception("train", split, "--out", tmp_path / "run", "--resume", cwd=tmp_path)
    assert (result.code, "does not say" in result.err) == (0, False), result.err
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    assert ti.load(tmp_path / "run").spec.origin["file"] == seven.name

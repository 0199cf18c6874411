"""Dreams of a small network that was trained on the embedded sample."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from torchinception.classifier import Classifier, load
from torchinception.cli_dream import dream as command
from torchinception.dreaming import MOST_PIXELS, Ascent, contact_sheet, dream, dream_channels
from torchinception.errors import UsageError
from torchinception.training.run import train
from torchinception.weights.bundle import tensors_sha256

app = typer.Typer()
app.command()(command)
QUICK = Ascent(octaves=2, steps=3)


@pytest.fixture(scope="module")
def run(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of the demonstration, a few seconds."""
    out = tmp_path_factory.mktemp("dream") / "run"
    train(sample, recipe="demo", settings={"epochs": 2}, out=out, device="cpu")
    return out


@pytest.fixture(scope="module")
def model(run: Path) -> Classifier:
    return load(run)


def invoke(*arguments: object) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output, result.exception


@pytest.mark.parametrize("name", ["bag/000.png", "sandal/003.png", "trouser/001.png"])
def test_two_epochs_are_enough_for_a_dream_to_double_the_activation_of_the_last_stage(
    model: Classifier, sample: Path, name: str
) -> None:
    found = dream(model, sample / "test" / name, "inception_3b")
    assert found.after >= 2 * found.before > 0  # measured 2.5 and 3.6; after 18 epochs, 6.1 to 10.6


def test_dreaming_raises_a_channel_five_times_over_noise(model: Classifier) -> None:
    dreams = dream_channels(model, None, "inception_3b", range(12))
    raised = [found.after >= 5 * found.before and found.after > 0 for found in dreams]
    assert sum(raised) >= 6, [(found.before, found.after) for found in dreams]


def test_a_channel_that_nothing_excites_finds_a_way_out(model: Classifier) -> None:
    silent = [d for d in dream_channels(model, None, "inception_2b", range(40), ascent=QUICK) if d.before == 0]
    assert silent
    assert any(found.after > 0 for found in silent)


def test_the_activation_told_is_that_of_the_picture_told(model: Classifier, sample: Path) -> None:
    found = dream(model, sample / "test/bag/000.png", "inception_2a", 3, ascent=QUICK)
    again = dream(model, found.picture, "inception_2a", 3, ascent=QUICK)
    assert again.before == found.after


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(model: Classifier) -> None:
    first, second, other = (dream(model, None, "inception_3a", ascent=QUICK, seed=seed).png() for seed in (1, 1, 2))
    assert first == second != other


def test_the_network_is_left_as_it_was(model: Classifier) -> None:
    before = tensors_sha256(model.network.state_dict())
    dream(model, None, "inception_3a", 1, ascent=QUICK)
    assert tensors_sha256(model.network.state_dict()) == before
    assert all(value.grad is None and value.requires_grad for value in model.network.parameters())


@pytest.mark.parametrize(("size", "shape"), [(None, (40, 90, 3)), (45, (20, 45, 3)), (180, (80, 180, 3))])
def test_a_picture_keeps_its_shape_at_any_size(model: Classifier, size: int | None, shape: Sequence[int]) -> None:
    picture = np.full((40, 90, 3), 90, np.uint8)
    assert dream(model, picture, "inception_1a", size=size, ascent=QUICK).picture.shape == shape


def test_twelve_megapixels_are_shrunk(model: Classifier) -> None:
    picture = np.full((3000, 4000, 3), 90, np.uint8)
    height, width, _ = dream(model, picture, "conv_1", ascent=Ascent(octaves=1, steps=1)).picture.shape
    assert 0.99 * MOST_PIXELS < height * width <= MOST_PIXELS
    assert width / height == pytest.approx(4 / 3, rel=0.01)


def test_what_cannot_be_dreamt_is_refused_with_what_can(model: Classifier) -> None:
    with pytest.raises(UsageError, match="no stage named mixed_9z in tiny_inception; stages: conv_1"):
        dream(model, None, "mixed_9z")
    with pytest.raises(UsageError, match="conv_1 of tiny_inception has channels 0 to 23, not 24"):
        dream(model, None, "conv_1", 24)
    with pytest.raises(UsageError, match="at least 7 px a side, not 6x6"):
        dream(model, None, "conv_1", size=6)
    with pytest.raises(UsageError, match="at most 1,000,000 pixels, not 1001x1001"):
        dream(model, None, "conv_1", size=1001)


def test_the_sheet_shows_every_dream(model: Classifier) -> None:
    dreams = dream_channels(model, None, "conv_1", range(5), ascent=QUICK)
    with Image.open(io.BytesIO(contact_sheet(dreams, list("abcde")))) as page:
        tile = 28 * 4
        assert page.size == (4 * (tile + 8) + 8, 2 * (tile + 28) + 8)
        corner = page.crop((8, 8 + tile + 28, 8 + tile, 8 + tile + 28 + tile)).resize(
            (28, 28), Image.Resampling.NEAREST
        )
        assert np.array_equal(np.array(corner), dreams[4].picture)


def test_the_command_writes_the_picture_and_tells_the_activations(run: Path, tmp_path: Path) -> None:
    short = ("--octaves", 1, "--steps", 2, "--device", "cpu")
    for name in ("a.png", "b.png"):
        code, text, _ = invoke(run, "noise", "--stage", "inception_1a", "--out", tmp_path / name, *short)
        assert code == 0
        assert "inception_1a: activation 0." in text
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    sheet = tmp_path / "sheet.png"
    assert invoke(run, "noise", "--stage", "conv_1", "--channels", "2:5", "--out", sheet, *short)[0] == 0
    with Image.open(sheet) as page:
        assert page.width == 3 * (112 + 8) + 8


@pytest.mark.parametrize(
    "options", [("--channels", "5"), ("--channels", "5:2"), ("--channels", "0:4", "--channel", 1), ("--out", "a.jpg")]
)
def test_the_command_refuses_options_that_cannot_be(run: Path, options: tuple[object, ...]) -> None:
    assert isinstance(invoke(run, "noise", "--stage", "conv_1", *options)[2], UsageError)

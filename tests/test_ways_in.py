"""What the command line lets in: bad files left out on request, TIFF on request, large photos decoded small."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import SHORT, Result, outcome
from PIL import Image
from shard_fixtures import files_of, write_tar

import torchinception as ti
from torchinception.data.images import load_image
from torchinception.prediction import predict_files

Inception = Callable[..., Result]


@pytest.fixture
def spoilt(split: Path, tmp_path: Path) -> Path:
    """`split` and three files that are no pictures."""
    root = Path(shutil.copytree(split, tmp_path / "clothes"))
    (root / "train/bag/a.png").write_bytes(b"")
    (root / "train/bag/b.jpg").write_text("<html>")
    (root / "val/sneaker/c.png").write_bytes((root / "val/sneaker/000.png").read_bytes()[:99])
    return root


def test_bad_files_are_refused_all_at_once_and_named(inception: Inception, spoilt: Path, tmp_path: Path) -> None:
    result = inception("train", spoilt, *SHORT, "--out", tmp_path / "run")
    assert result.code == 65
    for name, why in (("bag/a.png", "empty"), ("bag/b.jpg", "not a picture"), ("sneaker/c.png", "broken")):
        assert any(name in line and why in line for line in result.err.splitlines()), result.err
    assert "--bad-images skip" in result.err
    assert not (tmp_path / "run").exists()


def test_skipped_files_are_told_recorded_and_replaced_by_nothing(
    inception: Inception, spoilt: Path, split: Path, tmp_path: Path
) -> None:
    run, clean = tmp_path / "run", tmp_path / "clean"
    result = inception("train", spoilt, *SHORT, "--bad-images", "skip", "--out", run)
    assert (result.code, "Skipped 3 files that cannot be used" in result.err) == (0, True), result.err
    lines = (run / "skipped.txt").read_text().splitlines()
    assert [Path(line.partition(": ")[0]).name for line in lines] == ["a.png", "b.jpg", "c.png"]
    assert inception("train", split, *SHORT, "--out", clean).code == 0
    assert outcome(run) == outcome(clean)  # as if they had never been there
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (run, clean)]
    assert [found["skipped_files"] for found in metrics] == [3, 0]
    assert not (clean / "skipped.txt").exists()
    assert inception("train", spoilt, "--out", run, "--resume").code == 0  # the recipe says it


def test_an_evaluation_skips_on_request_too(inception: Inception, finished: Path, spoilt: Path) -> None:
    assert inception("evaluate", finished, spoilt).code == 65
    result = inception("evaluate", finished, spoilt, "--bad-images", "skip", "--json")
    assert (result.code, json.loads(result.out)["pictures"]) == (0, 12), result.err


def test_tiff_is_read_behind_any_command_if_asked_for(inception: Inception, finished: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "a.tif")
    assert inception("predict", finished, tmp_path).code == 65  # no pictures there
    refused = inception("predict", finished, tmp_path / "a.tif")
    assert (refused.code, "--tiff" in refused.out) == (65, True)
    result = inception("predict", finished, tmp_path, "--tiff", "--json")
    assert (result.code, len(json.loads(result.out)["predictions"])) == (0, 3), result.err


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A smooth picture of 1200 x 900 pixels as JPEG."""
    ramp = np.linspace(0, 255, 1200)[None, :, None] * np.linspace(0.2, 1, 900)[:, None, None]
    Image.fromarray((ramp * (1, 0.7, 0.4)).astype(np.uint8)).save(tmp_path / "photo.jpg", quality=90)
    return tmp_path / "photo.jpg"


def test_fast_decoding_gives_nearly_the_same_answer(inception: Inception, finished: Path, photo: Path) -> None:
    exact, fast = (
        json.loads(inception("predict", finished, photo, "--json", *option).out)["predictions"]
        for option in ((), ("--fast-decode",))
    )
    assert exact[0]["class"] == fast[0]["class"]
    assert exact[0]["probability"] == pytest.approx(fast[0]["probability"], abs=0.02)  # of some grey levels


def test_fast_decoding_reads_large_photos_small(finished: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = ti.load(finished), []
    cut = type(model.preprocess).cut
    monkeypatch.setattr(type(model.preprocess), "cut", lambda self, image: seen.append(image.size) or cut(self, image))
    for fast in (False, True):
        assert [row.error for row in predict_files(model, [photo], fast=fast)] == [""]
    assert seen == [(1200, 900), (150, 113)]  # an eighth is still more than twice the side that is needed
    assert load_image(photo).shape == (900, 1200, 3)


def test_a_recipe_decodes_its_training_pictures_small_and_validates_on_whole_ones(
    inception: Inception, photo: Path, tmp_path: Path
) -> None:
    for number in range(4):
        for name in "ab":
            place = tmp_path / f"data/{name}/{number}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(photo) as image:
                image.rotate(40 * number + 10 * (name == "b")).save(place)
    command = ("train", tmp_path / "data", "--network", "tiny_inception", "--size", 32, "--epochs", 1, "--batch", 2)
    runs = [tmp_path / "exact", tmp_path / "fast"]
    for run, setting in zip(runs, ("false", "true"), strict=True):
        assert inception(*command, "--set", f"fast_decode={setting}", "--out", run).code == 0
    assert "fast_decode = true" in (runs[1] / "recipe.toml").read_text()
    assert outcome(runs[0]) != outcome(runs[1])


@pytest.mark.parametrize("kind", ["url", "table", "pattern"])
def test_a_run_is_never_written_among_the_pictures(
    inception: Inception, split: Path, tmp_path: Path, kind: str
) -> None:
    root = Path(shutil.copytree(split, tmp_path / "clothes"))
    data: object = f"file://{root}"
    if kind == "table":
        data = tmp_path / "table.csv"
        names = [path.relative_to(tmp_path) for path in sorted(root.glob("train/*/*.png"))]
        data.write_text("path,label\n" + "".join(f"{name},{name.parent.name}\n" for name in names))
    if kind == "pattern":
        write_tar(root / "train.tar", files_of(split / "train"))
        data = root / "*.tar"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    result = inception("train", data, *SHORT, "--out", root / "train/bag/run")
    assert (result.code, "never written to" in result.err) == (2, True), result.err
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before

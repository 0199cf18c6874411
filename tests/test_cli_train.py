import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from child import At
from conftest import SHORT, Result
from data_fixtures import listing
from PIL import Image

Inception = Callable[..., Result]


def resized(pictures: Path, side_px: int) -> Path:
    for path in pictures.glob("*/*.png"):
        with Image.open(path) as image:
            image.resize((side_px, side_px)).save(path)
    return pictures


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--network", "tiny_incepton"], "no network named tiny_incepton; did you mean tiny_inception?"),
        (["--recipe", "fast"], "no recipe named fast; recipes: bn-inception-2015, default, demo"),
        (["--set", "optimiser.lr=1"], "unknown key optimiser; did you mean optimizer?"),
        (["--set", "optimizer.momentun=1"], "did you mean momentum?"),
        (["--set", "epochs"], "--set epochs: expected KEY=VALUE"),
        (["--set", "optimizer.lr=-1"], "optimizer.lr = -1"),
        (["--set", "augment.aspect=[0, 1]"], "augment.aspect"),
        (["--set", "loss.aux_weight=0.3", "--network", "tiny_inception"], "auxiliary heads of tiny_inception"),
        (["--epochs", "0"], "epochs = 0"),
        (["--epochs", "many"], "--epochs"),
        (["--batch", "1"], "at least 2 pictures a step"),
        (["--size", "6", "--network", "tiny_inception"], "at least 7 px, not 6"),
        (["--seed", "-1"], "seed = -1"),
        (["--workers", "-1"], "workers at least 0"),
        (["--checkpoint-every", "0"], "at least 1 step"),
        (["--device", "gpu"], "expected auto, cpu, cuda, cuda:N or mps"),
        (["--precision", "fp8"], "no precision fp8"),
        (["--precision", "fp16", "--device", "cpu"], "no precision fp16 on cpu"),
        (["--resume", "--overwrite"], "choose one"),
        (["--out", "IN_DATA"], "never written to"),
        (["--out", "DATA"], "never written to"),
        (["--bogus"], "--bogus"),
    ],
)
def test_misuse_exits_with_2_before_anything_is_written(
    inception: Inception, flat: Path, tmp_path: Path, options: list[str], told: str
) -> None:
    before = listing(flat)
    places = {"IN_DATA": flat / "bag" / "run", "DATA": flat}
    result = inception("train", flat, *(places.get(o, o) for o in options), cwd=tmp_path)
    assert (result.code, result.out) == (2, "")
    assert told in " ".join(result.err.split())
    assert (list(tmp_path.iterdir()), listing(flat)) == ([], before)


def test_a_second_run_into_the_same_folder_needs_resume_or_overwrite(
    inception: Inception, finished: Path, split: Path
) -> None:
    before = listing(finished)
    result = inception("train", split, *SHORT, "--out", finished)
    assert (result.code, "--resume" in result.err, "--overwrite" in result.err) == (2, True, True)
    assert listing(finished) == before


@pytest.mark.parametrize("option", [[], ["--overwrite"], ["--resume"]])
def test_a_folder_that_is_no_run_is_refused_and_left_alone(
    inception: Inception, split: Path, tmp_path: Path, option: list[str]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "metrics.csv").write_text("years of work")
    before = listing(tmp_path)
    result = inception("train", split, *SHORT, "--out", tmp_path / "thesis", *option)
    assert (result.code, "is not a run folder" in result.err) == (2, True)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda d: (d / "bag/003.png").write_bytes((d / "bag/003.png").read_bytes()[:90]), ["bag/003.png: broken"]),
        (lambda d: (d / "bag/003.png").write_bytes(b""), ["bag/003.png: empty"]),
        (lambda d: (d / "bag/003.png").write_text("<html>"), ["bag/003.png: not a picture"]),
        (lambda d: (d / "bag/notes.txt").write_text("hi"), ["bag/notes.txt: not a picture"]),
        (lambda d: [(d / c / "x.png").write_bytes(b"") for c in ("bag", "trouser")], ["bag/x.png", "trouser/x.png"]),
        (lambda d: (d / "labels.csv").write_text("hi"), ["labels.csv: outside any class folder"]),
        (lambda d: (d / "hat").mkdir(), ["class hat in", "has no pictures"]),
        (lambda d: [shutil.rmtree(d / c) for c in ("bag", "trouser")], ["one class (sneaker)"]),
        (lambda d: [shutil.rmtree(d / c) for c in ("bag", "trouser", "sneaker")], ["no pictures in"]),
        (
            lambda d: [p.unlink() for p in (d / "bag").iterdir() if p.stem != "000"],
            ["class bag has one distinct picture"],
        ),
    ],
    ids=["broken", "empty file", "html", "text", "two", "stray", "empty class", "one class", "none", "one picture"],
)
def test_bad_data_exits_with_65_names_the_files_and_writes_nothing(
    inception: Inception, pictures: Path, tmp_path: Path, harm: Callable[[Path], object], told: list[str]
) -> None:
    harm(pictures)
    before = listing(tmp_path)
    result = inception("train", pictures, cwd=tmp_path)
    assert (result.code, result.out) == (65, "")
    assert [text for text in told if text not in result.err] == []
    assert listing(tmp_path) == before


def test_bad_data_spares_the_run_that_it_would_have_replaced(
    inception: Inception, finished: Path, pictures: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (pictures / "bag" / "000.png").write_bytes(b"")
    before = listing(tmp_path)
    assert inception("train", pictures, "--out", run, "--overwrite").code == 65
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["MISSING"], "no folder at MISSING"),
        (["DATA", "--recipe", "r.toml"], "no recipe file at r.toml"),
        (["DATA", "--resume", "--out", "MISSING"], "no run at MISSING to resume"),
    ],
)
def test_missing_input_exits_with_66_and_writes_nothing(
    inception: Inception, flat: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    result = inception("train", *(flat if a == "DATA" else a for a in arguments), cwd=tmp_path)
    assert (result.code, result.out, told in result.err) == (66, "", True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["file/run", "/proc/run"])
def test_a_place_that_cannot_be_written_exits_with_74(
    inception: Inception, split: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    before = listing(tmp_path)
    result = inception("train", split, *SHORT, "--out", out, cwd=tmp_path)
    assert (result.code, f"cannot write {out}" in result.err) == (74, True)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("side_px", "told"),
    [(28, "small_inception at 28 px"), (64, "small_inception at 64 px"), (65, "googlenet_bn at 128 px")],
)
def test_the_network_is_chosen_by_the_pictures_and_said(
    inception: Inception, pictures: Path, side_px: int, told: str
) -> None:
    result = inception(
        "train", resized(pictures, side_px), "--batch", 1
    )  # refused after the choice: saves the training
    assert f"Chose {told}" in result.err
    assert f"median {side_px} px" in result.err
    assert "--network" in result.err


def test_options_reach_the_recipe(inception: Inception, flat: Path, tmp_path: Path) -> None:
    options = ["--recipe", "demo", "--network", "small_inception", "--epochs", 1, "--batch", 6, "--size", 32]
    options += ["--seed", 7, "--set", "optimizer.lr=0.03", "--set", "augment.flip=0.25"]
    moment = At("*.png", error=ZeroDivisionError())  # as soon as the recipe is written
    inception("train", flat, *options, "--out", tmp_path / "run", at=(moment,))
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert [recipe[key] for key in ("network", "epochs", "batch", "size", "seed")] == ["small_inception", 1, 6, 32, 7]
    assert (recipe["optimizer"]["lr"], recipe["augment"]["flip"], recipe["augment"]["area"]) == (0.03, 0.25, [0.7, 1])


def test_what_was_chosen_is_said_and_stands_in_the_recipe(inception: Inception, flat: Path, tmp_path: Path) -> None:
    moment = At("*.png", error=ZeroDivisionError())
    result = inception("train", flat, "--out", tmp_path / "run", at=(moment,))
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert recipe.keys() >= {"network", "size", "crop", "epochs", "batch", "seed"}
    assert f"Chose {recipe['network']} at {recipe['size']} px" in result.err
    assert f"{recipe['epochs']} epochs" in result.err

"""Every recipe of the package: its resolved form is frozen, and it takes two steps."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Result
from PIL import Image
from test_contracts import frozen

import torchinception as ti
from torchinception.classifier import Classifier
from torchinception.data.transforms import Preprocess
from torchinception.models import create, find_spec
from torchinception.training.recipe import load_recipe, recipe_names, recipe_text, to_toml
from torchinception.weights.bundle import ModelSpec

Inception = Callable[..., Result]
PAPERS = [name for name in recipe_names() if name not in ("default", "demo", "small-fashion")]


@pytest.fixture(scope="module")
def four(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 classes of 2 pictures to train on and 1 to validate on."""
    root = tmp_path_factory.mktemp("four") / "pictures"
    for name in ("bag", "trouser"):
        for split, source, count in (("train", "train", 2), ("val", "test", 1)):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                with Image.open(sample / source / name / f"{number:03}.png") as image:
                    image.save(root / split / name / f"{number}.png")
    return root


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_resolves_to_its_frozen_text(name: str) -> None:
    text = to_toml(load_recipe(name))
    assert text == frozen(f"recipes/{name}.toml", text)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of other classes, for the recipes that begin with one."""
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    spec = ModelSpec(network="tiny_inception", classes=("cat", "dog"), preprocess=Preprocess(size=28))
    Classifier(create("tiny_inception", 2), spec).save(path)
    return path


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_takes_two_steps(four: Path, tmp_path: Path, weights: Path, name: str) -> None:
    network = load_recipe(name).network or "tiny_inception"
    spec = find_spec(network)
    settings = {"network": network, "epochs": 1, "batch": 2, "size": spec.min_size, "precision": "fp32"}
    if spec.aux and spec.aux_sizes.start > 224:
        settings["loss.aux_weight"] = 0.0  # at full size each step takes seconds; the heads are tested elsewhere
    elif spec.aux:
        settings["size"] = spec.aux_sizes.start
    if name in ("finetune", "linear-probe"):
        settings["weights"] = str(weights)
    model = ti.train(four, recipe=name, settings=settings, out=tmp_path / "run", workers=0, device="cpu")
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert lines[1].startswith("1,2,"), lines  # epoch 1, step 2
    heads = list(spec.aux) if spec.aux and settings.get("loss.aux_weight") is None else []
    columns = {f"train_{figure}_{head}" for head in heads for figure in ("loss", "top1")}
    assert columns | ({"train_loss_main"} if heads else set()) == {
        c for c in lines[0].split(",") if c.count("_") > 1
    }, lines[0]
    assert all(bool(torch.isfinite(p).all()) for p in model.network.parameters())
    assert model.spec.recipe["optimizer"]["name"] == load_recipe(name).optimizer.name
    assert (tmp_path / "run" / "raw.safetensors").exists() == (load_recipe(name).average.name != "none")


@pytest.mark.parametrize("name", PAPERS)
def test_the_header_says_the_command_what_to_expect_and_whether_it_was_run(name: str) -> None:
    text = recipe_text(name)
    assert f"inception train IMAGENET --recipe {name}" in text or f"--recipe {name}" in text.splitlines()[0]
    assert all(f"{word}: " in text for word in ("Source", "Expect", "Run by this project"))


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("googlenet-2014", {"schedule.every_epochs": 8, "schedule.factor": 0.96, "optimizer.momentum": 0.9}),
        ("googlenet-caffe-quick", {"schedule.power": 0.5, "epochs": 60, "batch": 32, "optimizer.weight_decay": 2e-4}),
        ("bn-inception-2015", {"optimizer.lr": 0.0015, "batch": 32}),
        (
            "inception-v3-2015",
            {
                "optimizer.name": "rmsprop",
                "optimizer.eps": 1.0,
                "optimizer.decay": 0.9,
                "optimizer.lr": 0.045,
                "optimizer.clip_norm": 2.0,
                "schedule.factor": 0.94,
                "schedule.every_epochs": 2,
                "loss.label_smoothing": 0.1,
                "epochs": 100,
            },
        ),
        ("inception-v4-2016", {"optimizer.eps": 1.0, "optimizer.lr": 0.045, "schedule.every_epochs": 2}),
        ("inception-resnet-2016", {"optimizer.eps": 1.0, "optimizer.lr": 0.045, "schedule.every_epochs": 2}),
        ("xception-2016", {"optimizer.lr": 0.045, "optimizer.weight_decay": 1e-5, "schedule.factor": 0.94}),
    ],
)
def test_what_the_paper_states_is_in_the_recipe_and_not_marked_as_ours(name: str, stated: dict[str, object]) -> None:
    recipe, marked = (
        load_recipe(name),
        {line.split(" = ")[0] for line in recipe_text(name).splitlines() if "not stated" in line and " = " in line},
    )
    for key, value in stated.items():
        found = recipe.model_dump()
        for part in key.split("."):
            found = found[part]
        assert found == value, key
    plain = {key.rpartition(".")[2] for key in stated}
    assert plain & marked <= {"momentum", "decay", "every_epochs", "factor"}  # names that stand in several tables


def test_recipes_are_listed_and_shown(inception: Inception) -> None:
    listed = inception("recipes")
    assert listed.code == 0
    assert all(name in listed.out for name in recipe_names())
    shown = inception("recipes", "show", "inception-v3-2015", "--set", "optimizer.lr=0.1")
    assert shown.code == 0
    assert "# Source: arXiv:1512.00567" in shown.out
    assert shown.out.endswith(to_toml(load_recipe("inception-v3-2015", {"optimizer.lr": 0.1})))


def test_an_unknown_recipe_to_show_is_refused_with_those_that_exist(inception: Inception) -> None:
    result = inception("recipes", "show", "inception-v5")
    assert (result.code, "no recipe named inception-v5; recipes: bn-inception-2015" in result.err) == (2, True)

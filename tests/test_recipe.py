import tomllib
from importlib import resources
from pathlib import Path

import pytest
from pydantic import ValidationError

from torchinception.errors import MissingInputError, UsageError
from torchinception.models import NETWORKS
from torchinception.training.recipe import Recipe, load_recipe, parse_settings, to_toml

BUILT_IN = sorted(
    path.name.removesuffix(".toml")
    for path in (resources.files("torchinception") / "recipes").iterdir()
    if path.name.endswith(".toml")
)
UNUSUAL = {
    "network": "googlenet",
    "size": 224,
    "crop": 0.5,
    "seed": 2**60 + 1,
    "loss.aux_weight": 0.0,
    "augment.area": [1 / 3, 1],
    "optimizer.lr": 1e-9,
    "optimizer.nesterov": False,
    "loss.class_weights": {"ankle boot": 2.0, "bag": 0.5},
    "mix.cutmix": 0.5,
}


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("settings", [{}, UNUSUAL], ids=["as it is", "with unusual values"])
def test_a_recipe_comes_back_from_its_toml(tmp_path: Path, name: str, settings: dict[str, object]) -> None:
    recipe = load_recipe(name, settings)
    (tmp_path / "r.toml").write_text(to_toml(recipe))
    assert load_recipe(tmp_path / "r.toml") == recipe


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_recipe_says_for_what_it_is_and_names_a_network_that_exists(name: str) -> None:
    text = (resources.files("torchinception") / "recipes" / f"{name}.toml").read_text("utf-8")
    assert text.startswith("# ")
    assert load_recipe(name).network in {None, *NETWORKS}


def test_what_a_recipe_leaves_open_is_left_out_of_its_toml() -> None:
    assert tomllib.loads(to_toml(Recipe())).keys() & {"network", "size", "crop"} == set()


def test_settings_lie_over_the_recipe_and_leave_the_rest() -> None:
    plain, changed = load_recipe("demo"), load_recipe("demo", {"epochs": 2, "optimizer.lr": 0.03})
    assert changed == plain.model_copy(
        update=dict(epochs=2, optimizer=plain.optimizer.model_copy(update=dict(lr=0.03)))
    )


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().epochs = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("pair", "parsed"),
    [
        ("epochs=5", {"epochs": 5}),
        ("optimizer.lr = 0.05", {"optimizer.lr": 0.05}),
        ("optimizer.nesterov=false", {"optimizer.nesterov": False}),
        ("augment.area=[0.5, 1.0]", {"augment.area": [0.5, 1.0]}),
        ("network=tiny_inception", {"network": "tiny_inception"}),
        ('network="tiny_inception"', {"network": "tiny_inception"}),
        ("network=a=b", {"network": "a=b"}),
    ],
)
def test_a_setting_is_toml_or_else_text(pair: str, parsed: dict[str, object]) -> None:
    assert parse_settings([pair]) == parsed


def test_the_last_of_equal_settings_counts() -> None:
    assert parse_settings(["epochs=1", "epochs=2"]) == {"epochs": 2}


@pytest.mark.parametrize("pair", ["epochs", "", "=5", " =5"])
def test_a_setting_without_key_or_value_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="expected KEY=VALUE"):
        parse_settings([pair])


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("epoch", "unknown key epoch; did you mean epochs?"),
        ("optimiser.lr", "unknown key optimiser; did you mean optimizer?"),
        ("optimizer.momentun", "unknown key optimizer.momentun; did you mean momentum?"),
        ("loss.xyz", "unknown key loss.xyz; known: label_smoothing, aux_weight"),
        ("optimizer.lr.x", "optimizer.lr.x: lr is a value, not a table"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe("default", {key: 1})
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", "many"),
        ("batch", -1),
        ("size", 0),
        ("crop", 0),
        ("crop", 1.1),
        ("seed", -1),
        ("augment.area", [-1, 1]),
        ("augment.area", [0.5, 1.5]),
        ("augment.area", [0.5]),
        ("augment.aspect", [0, 1]),
        ("augment.flip", 2),
        ("loss.label_smoothing", 1),
        ("loss.aux_weight", -0.3),
        ("optimizer.lr", 0),
        ("optimizer.lr", float("nan")),
        ("optimizer.lr", float("inf")),
        ("optimizer.momentum", 1),
        ("optimizer.weight_decay", -1e-4),
        ("optimizer.clip_norm", -1),
        ("optimizer.name", "adam"),
        ("optimizer.eps", 0),
        ("schedule.name", "linear"),
        ("schedule.warmup_epochs", -1),
        ("schedule.every_epochs", 0),
        ("schedule.factor", 1.1),
        ("average.decay", 1),
        ("mix.mixup", -0.2),
        ("accumulate", 0),
        ("sampler", "random"),
        ("loss.class_weights", "inverse"),
        ("loss.class_weights", {"bag": 0}),
        ("optimizer", "adam"),
    ],
)
def test_an_impossible_value_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(UsageError, match=key):
        load_recipe("default", {key: value})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"epochs = 0.*optimizer\.lr = -1"):
        load_recipe("default", {"epochs": 0, "optimizer.lr": -1})


def test_an_unknown_recipe_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=rf"no recipe named fast; recipes: {', '.join(BUILT_IN)}"):
        load_recipe("fast")


def test_a_recipe_file_that_is_missing_is_missing_input(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"r\.toml"):
        load_recipe(tmp_path / "r.toml")


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe", b"\x00"])
def test_a_recipe_file_that_is_not_toml_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"r\.toml is not TOML"):
        load_recipe(tmp_path / "r.toml")


def test_a_value_of_several_possible_kinds_is_refused_without_the_names_of_types() -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe("default", {"loss.class_weights": 3})
    assert "loss.class_weights = 3: input should be 'none' or 'balanced'" in str(caught.value)
    assert "[" not in str(caught.value)

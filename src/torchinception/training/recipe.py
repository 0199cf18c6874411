"""Recipes: everything that decides what a training run computes, as an immutable, checked setting."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from torchinception.data.augment import Augment
from torchinception.data.transforms import Interpolation, Preprocess
from torchinception.errors import MissingInputError, UsageError
from torchinception.network import Options, some_options

LOOK = ("size", "resize", "crop", "interpolation", "mean", "std")  # what a recipe says of `Preprocess`
FROZEN = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
FOLDER = resources.files("torchinception") / "recipes"
Beta = Annotated[float, Field(ge=0, lt=1)]
Triple = tuple[float, float, float]


class Loss(BaseModel):
    """Cross-entropy of the classifier plus `aux_weight` times that of each auxiliary head; targets alike in all.

    With label smoothing e the target is (1 - e) times the label plus e / K for each of K classes
    (arXiv:1512.00567, section 7). Class weights multiply the terms of their classes: `balanced` is in
    inverse proportion to the number of training pictures, with a mean of 1 over the pictures.
    """

    model_config = FROZEN

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    aux_weight: NonNegativeFloat | None = None  # None: as published, where the picture size allows; 0: no heads
    class_weights: Literal["none", "balanced"] | dict[str, PositiveFloat] = "none"


class Mix(BaseModel):
    """Pictures blended in pairs, and their labels with them; 0 is off. With both, each step takes one of the two."""

    model_config = FROZEN

    mixup: NonNegativeFloat = 0.0  # alpha of arXiv:1710.09412: all pixels, weighted
    cutmix: NonNegativeFloat = 0.0  # alpha of arXiv:1905.04899: a rectangle, by its area


class Optimizer(BaseModel):
    """How weights follow gradients; weight decay spares biases and batch norm."""

    model_config = FROZEN

    name: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    lr: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)  # sgd, rmsprop
    nesterov: bool = True  # sgd
    decay: float = Field(0.9, ge=0, lt=1)  # rmsprop: of the running square
    betas: tuple[Beta, Beta] = (0.9, 0.999)  # adamw
    eps: PositiveFloat = 1e-8  # rmsprop, adamw
    weight_decay: NonNegativeFloat = 5e-4
    clip_norm: NonNegativeFloat = 0.0  # longest gradient, all parameters together; 0: as it is


class Schedule(BaseModel):
    """The learning rate from step to step, in epochs; see `training.schedule`."""

    model_config = FROZEN

    name: Literal["cosine", "step", "polynomial", "one-cycle", "constant"] = "cosine"
    warmup_epochs: NonNegativeFloat = 0.0  # a straight rise first; at most half of the run
    every_epochs: PositiveFloat = 2.0  # step
    factor: float = Field(0.94, gt=0, le=1)  # step
    power: PositiveFloat = 0.5  # polynomial


class Average(BaseModel):
    """A running average of the weights, which is what the run's model then holds; see `training.average`."""

    model_config = FROZEN

    name: Literal["none", "ema", "polyak"] = "none"
    decay: float = Field(0.9999, ge=0, lt=1)  # ema


class Tune(BaseModel):
    """What moves, and how fast; see `training.tuning`. Stages by name, as `inception summary` lists them."""

    model_config = FROZEN

    batch_norm: Literal["train", "freeze-statistics", "freeze-all"] = "train"
    freeze_to: str | None = None  # this stage and all before it stay as they are
    head_epochs: NonNegativeInt = 0  # epochs at the beginning in which the classifier and auxiliary heads move alone
    lr_factors: dict[str, PositiveFloat] = {}  # by stage, `aux` or `classifier`; 1 elsewhere


class Features(BaseModel):
    """The linear probe: a classifier on features of a trunk that does not move; see `training.features`."""

    model_config = FROZEN

    cached: bool = False  # compute them once, before training
    views: NonNegativeInt = 0  # augmented views of each picture, taken in turn; 0: as in evaluation


class Recipe(BaseModel):
    """A whole recipe. What is None is chosen by the pictures when a run begins, and then stands in its recipe.toml."""

    model_config = FROZEN

    weights: str | None = None  # model file, run, other library's file or published name: what `load` takes
    weights_sha256: str | None = None  # of its tensors, noted when a run begins
    weights_origin: dict[str, str] | None = None  # the other library's file that they are from, noted likewise
    network: str | None = None
    size: int | None = Field(None, ge=1, le=4096)
    resize: Literal["shorter side", "stretch"] | None = None
    crop: float | None = Field(None, ge=0.05, le=1)
    interpolation: Interpolation | None = None
    mean: Triple | None = None  # of each channel, RGB from 0 to 1; normalized is (x - mean) / std
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    bn_eps: PositiveFloat | None = None  # None, here and below: as published
    bn_momentum: float | None = Field(None, gt=0, le=1)
    dropout: float | None = Field(None, ge=0, lt=1)
    start_size: int | None = Field(None, ge=1, le=4096)  # grow to `size` over the first two thirds of the epochs
    epochs: PositiveInt | None = None
    batch: PositiveInt | None = None
    patience: NonNegativeInt = 0  # stop after so many epochs without a better validation, keep the best; 0: never
    seed: NonNegativeInt = 0
    precision: str = "auto"  # fp32, bf16, fp16, or by the device
    accumulate: PositiveInt = 1  # batches a step; batch norm sees each by itself
    activation_checkpointing: bool = False  # by stage: less memory, a third more time, the same result
    bad_images: Literal["refuse", "skip"] = "refuse"  # skip: leave out files that cannot be used, and record them
    fast_decode: bool = False  # training's large JPEG files at a reduced scale: see `Augment.least`
    compile: bool = False  # by torch.compile: a slow start, then faster on most devices; rounds differently
    sampler: Literal["shuffled", "balanced"] = "shuffled"  # balanced: classes drawn equally often
    augment: Augment = Augment()
    mix: Mix = Mix()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    average: Average = Average()
    tune: Tune = Tune()
    features: Features = Features()

    @property
    def preprocess(self) -> Preprocess:
        """Of a resolved recipe."""
        return Preprocess.model_validate({name: getattr(self, name) for name in LOOK})

    @property
    def options(self) -> Options:
        """What `create` is asked for besides what is published."""
        return some_options(self)

    def size_at(self, epoch: int) -> int:
        """Side of training's pictures in an epoch, from 0: from `start_size` up to `size` in equal steps.

        >>> [Recipe(size=96, start_size=64, epochs=6).size_at(epoch) for epoch in range(6)]
        [64, 72, 80, 88, 96, 96]
        """
        assert self.size
        start, rise = self.start_size or self.size, (self.epochs or 1) * 2 / 3
        return start + int((self.size - start) * min(1.0, epoch / rise))


def recipe_names() -> list[str]:
    """The recipes of the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in FOLDER.iterdir() if entry.name.endswith(".toml"))


def recipe_text(name: str) -> str:
    """A recipe of the package as it is written, with its comments."""
    return (FOLDER / f"{name}.toml").read_text("utf-8")


def load_recipe(name: str | Path = "default", settings: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe of the package by name, or a TOML file, with `settings` (dotted keys) laid over it.

    >>> load_recipe("demo", {"optimizer.lr": 0.05}).optimizer.lr
    0.05

    Raises:
        UsageError: no such recipe, not TOML, an unknown key (the nearest is named) or an impossible value.
    """
    names = recipe_names()
    if str(name) in names:
        text = recipe_text(str(name))
    elif Path(name).is_file():
        text = Path(name).read_text("utf-8", errors="replace")  # what is no text is no TOML either
    elif str(name).endswith(".toml"):
        raise MissingInputError(f"no recipe file at {name}")
    else:
        raise UsageError(f"no recipe named {name}; recipes: {', '.join(names)}, or the path of a .toml file")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {name} is not TOML: {error}") from error
    for key, value in (settings or {}).items():
        *parents, last = key.split(".")
        inner = table
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise UsageError(f"{key}: {parent} is a value, not a table")
        inner[last] = value
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise UsageError(f"recipe {name}: " + "; ".join(map(_explain, error.errors()))) from None


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """`["optimizer.lr=0.05"]` -> `{"optimizer.lr": 0.05}`; values are TOML, or else plain text."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {pair}: expected KEY=VALUE, as --set optimizer.lr=0.05")
        try:
            table = tomllib.loads(f"value = {value}")
            if table.keys() != {"value"}:
                raise UsageError(f"--set {pair!r}: one value only; repeat --set for another")
            settings[key.strip()] = table["value"]
        except tomllib.TOMLDecodeError:
            settings[key.strip()] = value.strip()
    return settings


def to_toml(model: BaseModel) -> str:
    """The recipe as TOML; what is None is left out."""
    table = model.model_dump(exclude_none=True)
    plain = [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for name, inner in table.items():
        if isinstance(inner, dict):
            plain += ["", f"[{name}]"] + [f"{key} = {_value(value)}" for key, value in inner.items()]
    return "\n".join(plain) + "\n"


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Values by dotted key, as TOML writes them."""
    found: dict[str, str] = {}
    for key, value in table.items():
        inner = isinstance(value, dict) and key in Recipe.model_fields
        found |= flatten(value, f"{key}.") if inner else {f"{prefix}{key}": json.dumps(value)}
    return found


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def _explain(error: Any) -> str:
    *parents, last = (part for part in map(str, error["loc"]) if "[" not in part)  # not the names of types
    if error["type"] != "extra_forbidden":
        return f"{'.'.join([*parents, last])} = {error['input']!r}: {error['msg'].lower()}"
    fields = Recipe.model_fields
    for parent in parents:
        fields = fields[parent].annotation.model_fields  # type: ignore[union-attr]
    near = difflib.get_close_matches(last, fields, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(fields)}"
    return f"unknown key {'.'.join([*parents, last])}; {hint}"

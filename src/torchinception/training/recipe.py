"""Recipes: everything that decides what a training run computes, as an immutable, checked setting."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError

from torchinception.data.transforms import Augment
from torchinception.errors import MissingInputError, UsageError

FROZEN = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Loss(BaseModel):
    """Cross-entropy of the classifier plus `aux_weight` times that of each auxiliary head, labels smoothed in all."""

    model_config = FROZEN

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    aux_weight: NonNegativeFloat | None = None  # None: as published, where the picture size allows; 0: no heads


class Optimizer(BaseModel):
    """Stochastic gradient descent; weight decay spares biases and batch norm."""

    model_config = FROZEN

    lr: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: NonNegativeFloat = 5e-4
    warmup: float = Field(0.1, ge=0, lt=1)  # fraction of all steps in which the rate rises; then a cosine to 0


class Recipe(BaseModel):
    """A whole recipe. What is None is chosen by the pictures when a run begins, and then stands in its recipe.toml."""

    model_config = FROZEN

    network: str | None = None
    size: int | None = Field(None, ge=1, le=4096)
    crop: float | None = Field(None, ge=0.05, le=1)
    epochs: PositiveInt | None = None
    batch: PositiveInt | None = None
    seed: NonNegativeInt = 0
    precision: str = "auto"  # fp32, bf16, fp16, or by the device
    augment: Augment = Augment()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()


def load_recipe(name: str | Path = "default", settings: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe of the package by name, or a TOML file, with `settings` (dotted keys) laid over it.

    >>> load_recipe("demo", {"optimizer.lr": 0.05}).optimizer.lr
    0.05

    Raises:
        UsageError: no such recipe, not TOML, an unknown key (the nearest is named) or an impossible value.
    """
    folder = resources.files("torchinception") / "recipes"
    names = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if str(name) in names:
        text = (folder / f"{name}.toml").read_text("utf-8")
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
    plain = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for name, inner in table.items():
        if isinstance(inner, dict):
            plain += ["", f"[{name}]"] + [f"{key} = {json.dumps(value)}" for key, value in inner.items()]
    return "\n".join(plain) + "\n"


def _explain(error: Any) -> str:
    *parents, last = map(str, error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{'.'.join([*parents, last])} = {error['input']!r}: {error['msg'].lower()}"
    fields = Recipe.model_fields
    for parent in parents:
        fields = fields[parent].annotation.model_fields  # type: ignore[union-attr]
    near = difflib.get_close_matches(last, fields, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(fields)}"
    return f"unknown key {'.'.join([*parents, last])}; {hint}"

"""What others rely on, frozen as text under `frozen/`: a change is a difference to look at, never an accident.

Meant to change? `REFRESH_FROZEN=1 make test` writes the files anew; look at the difference.
"""

import itertools
import json
import os
import pkgutil
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

import torchinception
from torchinception.models import NETWORKS, create
from torchinception.training.recipe import Recipe

FROZEN = Path(__file__).parent / "frozen"
Tree = dict[str, Any]


def frozen(name: str, text: str) -> str:
    """What was frozen as `name`; `text`, once it is frozen anew."""
    if os.environ.get("REFRESH_FROZEN") == "1":
        (FROZEN / name).write_text(text, "utf-8")
    return (FROZEN / name).read_text("utf-8")


def tree(keys: Iterable[str]) -> Tree:
    """`a.b`, `a.c` -> `{a: {b: {}, c: {}}}`, in order."""
    root: Tree = {}
    for key in keys:
        node = root
        for part in key.split("."):
            node = node.setdefault(part, {})
    return root


def braces(node: Tree) -> list[str]:
    """A tree in the shell's notation, neighbours with the same children together: `{conv_1,conv_2}.{weight,bias}`."""
    alike = itertools.groupby(node, key=lambda name: joined(braces(node[name])))
    return [".".join(filter(None, (joined(names), children))) for children, names in alike]


def joined(names: Iterable[str]) -> str:
    text = ",".join(listed := list(names))
    return text if len(listed) < 2 else f"{{{text}}}"


def without_words(schema: Any) -> Any:
    """A JSON schema without titles and descriptions, which may change freely."""
    if isinstance(schema, list):
        return [without_words(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    words = {key for key in ("title", "description") if isinstance(schema.get(key), str)}
    return {key: without_words(value) for key, value in schema.items() if key not in words}


def test_the_keys_of_state_dicts_are_what_they_were() -> None:
    lines = []
    for name in NETWORKS:
        with torch.device("meta"):
            parts = tree(create(name, aux=True).state_dict())
        lines += [name, *(f"    {part}.{stages}" for part, node in parts.items() for stages in braces(node))]
    text = "".join(f"{line}\n" for line in lines)

    assert text == frozen("state_dicts.txt", text)


def test_the_public_names_are_what_they_were() -> None:
    text = "".join(f"{name}\n" for name in torchinception.__all__)

    assert text == frozen("public_names.txt", text)


def test_the_schema_of_recipes_is_what_it_was() -> None:
    text = json.dumps(without_words(Recipe.model_json_schema()), indent=1) + "\n"

    assert text == frozen("recipe_schema.json", text)


@pytest.mark.parametrize("name", torchinception.__all__)
def test_a_public_name_is_not_that_of_a_module(name: str) -> None:
    """Once `torchinception.train` had been imported as a module, it would hide the function."""
    assert name not in {module.name for module in pkgutil.iter_modules(torchinception.__path__)}
    assert getattr(torchinception, name) is not None


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module torchinception has no attribute inception_v9"):
        torchinception.inception_v9  # noqa: B018


def test_neighbours_with_the_same_children_are_frozen_together() -> None:
    assert braces(tree(["a.0.w", "a.0.b", "a.1.w", "a.1.b", "c.w"])) == ["a.{0,1}.{w,b}", "c.w"]


def test_the_readme_shows_a_real_run() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert re.search(r"On 1000 pictures it never saw: top-1 8[4-9]\.\d%", text)

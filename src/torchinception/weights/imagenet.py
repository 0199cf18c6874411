"""The 1000 classes of ImageNet (ILSVRC 2012): WordNet ids, which are unique, and names, of which two pairs repeat.

Source: `imagenet_classes.txt`, whose head says where order and words are from. Files that begin with a background
class (TF-slim's 1001) have it in front of these.
"""

import difflib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from torchinception.errors import UsageError


@cache
def _rows() -> tuple[tuple[str, str], ...]:
    text = files(__package__).joinpath("imagenet_classes.txt").read_text("utf-8")
    lines = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple((wordnet_id, name) for wordnet_id, name in lines)


def classes() -> tuple[str, ...]:
    """The WordNet ids in the order of the outputs.

    >>> classes()[0], names()[0]
    ('n01440764', 'tench')
    """
    return tuple(wordnet_id for wordnet_id, _ in _rows())


def names() -> tuple[str, ...]:
    """What to call each class, in the order of the outputs; "crane" and "maillot" stand there twice."""
    return tuple(name for _, name in _rows())


def match_class(label: str, classes: Sequence[str], names: Sequence[str]) -> int:
    """The position of the class with this id, or else with this name if only one has it.

    >>> match_class("tench", classes(), names())
    0

    Raises:
        UsageError: no class is called so (the nearest are named), or several are (their ids are).
    """
    if label in classes:
        return list(classes).index(label)
    found = [position for position, name in enumerate(names) if name == label]
    if len(found) > 1:
        ids = ", ".join(f"{classes[position]} (output {position})" for position in found)
        raise UsageError(f"{label} is the name of {len(found)} classes; say which by its id: {ids}")
    if not found:
        near = difflib.get_close_matches(label, (*names, *classes), 3)
        hint = (
            f"did you mean {', '.join(dict.fromkeys(near))}?" if near else "take an id or a name of the model's classes"
        )
        raise UsageError(f"no class is called {label}; {hint}")
    return found[0]

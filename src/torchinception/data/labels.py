"""Classes by name, never by position: an id that is unique, and what people call it, which may not be."""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from torchinception.errors import DataError

MOST_SHOWN = 20


def match_classes(labels: Iterable[str], classes: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """The position of each label's class: that of its id, or else of its name if only one class has it.

    >>> match_classes(["n2", "tench"], ["n1", "n2"], ["tench", "goldfish"])
    {'n2': 1, 'tench': 0}

    Raises:
        DataError: no class is called so, or several are, or two labels mean the same; they are named.
    """
    by_id = {name: i for i, name in enumerate(classes)}
    by_name: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        by_name.setdefault(name, []).append(i)
    labels = sorted(set(labels))
    unknown = [label for label in labels if label not in by_id and label not in by_name]
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(dict.fromkeys((*by_name, *by_id))), 3)
        known = f"nearest to {unknown[0]}: {', '.join(near)}; " if near else ""
        raise DataError(
            f"the model does not know the class{'es' * (len(unknown) > 1)} {_some(unknown)}; {known}"
            f"it knows {_some(classes)}"
        )
    found = {}
    for label in labels:
        places = [by_id[label]] if label in by_id else by_name[label]
        if len(places) > 1:
            ids = ", ".join(classes[i] for i in places)
            raise DataError(f"{len(places)} classes are called {label}; say which by its id: {ids}")
        found[label] = places[0]
    for label, other in pairwise(sorted(found, key=lambda label: (found[label], label))):
        if found[label] == found[other]:
            raise DataError(f"{label} and {other} are the same class, {classes[found[label]]}; put them together")
    return found


def readable(classes: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """What to call each class, all different: its name, with the id behind one that repeats.

    >>> readable(["n1", "n2", "n3"], ["crane", "crane", "tench"])
    ('crane (n1)', 'crane (n2)', 'tench')
    """
    times = Counter(names)
    pairs = zip(names, classes, strict=True)
    return tuple(name if times[name] == 1 else f"{name} ({unique})" for name, unique in pairs)


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_SHOWN
    return ", ".join(names[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")

"""The 1000 classes of ImageNet (ILSVRC 2012): WordNet ids, which are unique, and names, of which two pairs repeat.

Source: `imagenet_classes.txt`, whose head says where order and words are from. Files that begin with a background
class (TF-slim's 1001) have it in front of these.
"""

from functools import cache
from importlib.resources import files


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

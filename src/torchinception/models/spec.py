"""What is known of a network besides its weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torchinception.layers import Layer
from torchinception.network import Inception


@dataclass(frozen=True)
class Spec:
    """One network of the family. Sizes are sides of a square picture, in pixels.

    `aux` maps a stage to a function from the number of classes to its auxiliary head; each head's
    loss is weighted by `aux_weight`, and runs on the picture sizes `aux_sizes`. `crop` is the
    fraction of the shorter side that an evaluation looks at.
    """

    what: str
    paper: str
    stages: Mapping[str, Layer]
    initialize: Callable[[Inception], None]
    size: int
    min_size: int
    classes: int = 1000
    dropout: float = 0.0
    crop: float = 0.875
    aux: Mapping[str, Callable[[int], Layer]] = field(default_factory=dict)
    aux_weight: float = 0.0
    aux_sizes: range = range(0)

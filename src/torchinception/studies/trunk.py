"""The small networks that the studies vary: the papers' tables at about a quarter of their channels, for 28 px.

The first layers are cut to what 28 px allow; GoogLeNet's own grids of 14x14 and 7x7 remain.
"""

from collections.abc import Callable, Mapping

from torchinception.layers import ConvLayer, Layer, chain, dropout, fixed_pool, flatten, linear, max_pool, relu
from torchinception.models import Inception, Spec
from torchinception.models.googlenet import Module
from torchinception.models.initialization import he_truncated
from torchinception.network import UNBOUNDED

SIDE = 28  # pixels
HALVE = max_pool(3, stride=2, pad=0, ceil=True)


def small_spec(
    stages: Mapping[str, Layer],
    *,
    initialize: Callable[[Inception], None] = he_truncated,
    aux: Mapping[str, Callable[[int], Layer]] | None = None,
    dropout: float = 0.0,
) -> Spec:
    """A network for pictures of 28 px and more."""
    return Spec(
        what="a small network of a study",
        paper="",
        stages=stages,
        initialize=initialize,
        size=SIDE,
        min_size=SIDE,
        classes=10,
        crop=1.0,
        dropout=dropout,
        aux=aux or {},
        aux_sizes=range(SIDE, UNBOUNDED),
    )


def first_layers(conv: ConvLayer) -> dict[str, Layer]:
    """Up to a grid of 14x14."""
    return dict(
        conv_1=conv(16, 3),  #  16 x 28 x 28
        pool_1=HALVE,  #  16 x 14 x 14
        conv_2_reduce=conv(16),  #  16 x 14 x 14
        conv_2=conv(48, 3),  #  48 x 14 x 14
    )


def quarter_googlenet(conv: ConvLayer, inception: Module) -> dict[str, Layer]:
    """Table 1 of arXiv:1409.4842 with a quarter of its channels; on the right the output with `reduced` modules."""
    # fmt: off
    return first_layers(conv) | dict(
        inception_3a=inception(16, 24, 32,  4,  8,  8),   #  64 x 14 x 14
        inception_3b=inception(32, 32, 48,  8, 24, 16),   # 120 x 14 x 14
        pool_3=HALVE,                                     # 120 x  7 x  7
        inception_4a=inception(48, 24, 52,  4, 12, 16),   # 128 x  7 x  7
        inception_4b=inception(40, 28, 56,  6, 16, 16),   # 128 x  7 x  7
        inception_4c=inception(32, 32, 64,  6, 16, 16),   # 128 x  7 x  7
        inception_4d=inception(28, 36, 72,  8, 16, 16),   # 132 x  7 x  7
        inception_4e=inception(64, 40, 80,  8, 32, 32),   # 208 x  7 x  7
        pool_4=HALVE,                                     # 208 x  3 x  3
        inception_5a=inception(64, 40, 80,  8, 32, 32),   # 208 x  3 x  3
        inception_5b=inception(96, 48, 96, 12, 32, 32),   # 256 x  3 x  3
    )
    # fmt: on


def auxiliary(conv: ConvLayer) -> Callable[[int], Layer]:
    """Section 5's head with a quarter of its channels."""
    return lambda classes: chain(
        fixed_pool(4), conv(32), flatten(4 * 4), linear(256), relu(), dropout(0.7), linear(classes)
    )

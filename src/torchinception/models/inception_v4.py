"""Inception-v4, arXiv:1602.07261, "Inception-v4, Inception-ResNet and the impact of residual connections on learning".

Differs:
    - As released in TF-slim, timm and Cadene; the order of 1xn and nx1 is theirs, and was not compared with
      the figures.
    - Initial weights are TF-slim's default for convolutions, in the linear layers too (there Glorot's).
    - The auxiliary head is TF-slim's (timm and Cadene have none): as Inception-v3's, on the last 17x17 stage.
    - Dropout keeps 80 %, as the figure and TF-slim have it.
"""

from torchinception.layers import Layer, avg_pool, concat, conv, max_pool
from torchinception.models.inception_v3 import auxiliary
from torchinception.models.initialization import he_truncated
from torchinception.models.spec import Spec
from torchinception.network import UNBOUNDED


def stem() -> dict[str, Layer]:
    """Figure 3; on the right the output at 299 px."""
    return dict(
        conv_1a=conv(32, 3, stride=2, pad=0),  #   32 x 149 x 149
        conv_2a=conv(32, 3, pad=0),  #   32 x 147 x 147
        conv_2b=conv(64, 3),  #   64 x 147 x 147
        mixed_3a=concat([max_pool(3, stride=2, pad=0)], [conv(96, 3, stride=2, pad=0)]),  #  160 x  73 x  73
        mixed_4a=concat(  #  192 x  71 x  71
            [conv(64), conv(96, 3, pad=0)], [conv(64), conv(64, (1, 7)), conv(64, (7, 1)), conv(96, 3, pad=0)]
        ),
        mixed_5a=concat([conv(192, 3, stride=2, pad=0)], [max_pool(3, stride=2, pad=0)]),  #  384 x  35 x  35
    )


def block_a() -> Layer:
    """Figure 4, 35x35."""
    return concat([conv(96)], [conv(64), conv(96, 3)], [conv(64), conv(96, 3), conv(96, 3)], [avg_pool(), conv(96)])


def reduction_a(k: int, l: int, m: int, n: int) -> Layer:  # noqa: E741, the letters of table 1
    """Figure 7, 35x35 to 17x17; k, l, m and n are those of table 1."""
    return concat(
        [conv(n, 3, stride=2, pad=0)],
        [conv(k), conv(l, 3), conv(m, 3, stride=2, pad=0)],
        [max_pool(3, stride=2, pad=0)],
    )


def block_b() -> Layer:
    """Figure 5, 17x17."""
    return concat(
        [conv(384)],
        [conv(192), conv(224, (1, 7)), conv(256, (7, 1))],
        [conv(192), conv(192, (7, 1)), conv(224, (1, 7)), conv(224, (7, 1)), conv(256, (1, 7))],
        [avg_pool(), conv(128)],
    )


def reduction_b() -> Layer:
    """Figure 8, 17x17 to 8x8."""
    return concat(
        [conv(192), conv(192, 3, stride=2, pad=0)],
        [conv(256), conv(256, (1, 7)), conv(320, (7, 1)), conv(320, 3, stride=2, pad=0)],
        [max_pool(3, stride=2, pad=0)],
    )


def block_c() -> Layer:
    """Figure 6, 8x8."""

    def spread() -> Layer:
        return concat([conv(256, (1, 3))], [conv(256, (3, 1))])

    return concat(
        [conv(256)],
        [conv(384), spread()],
        [conv(384), conv(448, (3, 1)), conv(512, (1, 3)), spread()],
        [avg_pool(), conv(256)],
    )


STAGES = stem() | dict(
    mixed_5b=block_a(),  #  384 x  35 x  35
    mixed_5c=block_a(),
    mixed_5d=block_a(),
    mixed_5e=block_a(),
    mixed_6a=reduction_a(192, 224, 256, 384),  # 1024 x  17 x  17
    mixed_6b=block_b(),  # 1024 x  17 x  17
    mixed_6c=block_b(),
    mixed_6d=block_b(),
    mixed_6e=block_b(),
    mixed_6f=block_b(),
    mixed_6g=block_b(),
    mixed_6h=block_b(),
    mixed_7a=reduction_b(),  # 1536 x   8 x   8
    mixed_7b=block_c(),  # 1536 x   8 x   8
    mixed_7c=block_c(),
    mixed_7d=block_c(),
)

INCEPTION_V4 = Spec(
    what="Inception-v4: one design throughout, without residual connections",
    paper="arXiv:1602.07261",
    stages=STAGES,
    initialize=he_truncated,
    size=299,
    min_size=75,
    dropout=0.2,
    aux=dict(mixed_6h=auxiliary()),
    aux_weight=0.4,
    aux_sizes=range(299, UNBOUNDED),
)

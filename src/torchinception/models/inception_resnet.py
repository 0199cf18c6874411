"""Inception-ResNet-v1 and v2, arXiv:1602.07261, sections 3.2 and 3.3.

A residual branch ends in a 1x1 convolution with bias and without batch norm or ReLU, is scaled by 0.17
(35x35), 0.10 (17x17) or 0.20 (8x8), added, and the sum goes through ReLU. The paper scales by 0.1 to 0.3
because residual networks of more than 1000 filters "died" early in training without it.

Differs:
    - `inception_resnet_v2` is the released network (TF-slim, timm, Cadene, Keras): Inception-v3's first
      layers and one more block (320 channels), 10, 20 and 10 blocks, widths 320, 1088 and 2080, a 1x1
      convolution to 1536, and a last block that is neither scaled nor followed by ReLU.
    - `inception_resnet_v2_paper` is the figures': Inception-v4's first layers, 5, 10 and 5 blocks. Its
      widths are what the wiring gives, 384, 1152 and 2144; the figures label them 384, 1154 and 2048.
    - `inception_resnet_v1` is facenet's release with a classifier in place of its embedding: its last
      block, a sixth one of 8x8, is neither scaled nor followed by ReLU. No ImageNet weights are published.
    - The auxiliary head of v2 is TF-slim's: as Inception-v3's, on the last 17x17 stage.
"""

from dataclasses import replace
from functools import partial

from torchinception.layers import Layer, avg_pool, chain, concat, conv, max_pool, project, residual
from torchinception.models.inception_v3 import auxiliary
from torchinception.models.inception_v3 import stem as v3_stem
from torchinception.models.inception_v4 import reduction_a
from torchinception.models.inception_v4 import stem as v4_stem
from torchinception.models.initialization import glorot_uniform
from torchinception.models.spec import Spec
from torchinception.network import UNBOUNDED


def block_35(width: int, c: int, d: int, *, scale: float = 0.17) -> Layer:
    """Figures 10 and 16, 35x35: v1 has c = d = 32, v2 48 and 64."""
    return residual(
        concat([conv(32)], [conv(32), conv(32, 3)], [conv(32), conv(c, 3), conv(d, 3)]),
        project(width),
        scale=scale,
        relu=True,
    )


def block_17(width: int, c1: int, c: int, d: int, e: int, *, scale: float = 0.10) -> Layer:
    """Figures 11 and 17, 17x17."""
    return residual(
        concat([conv(c1)], [conv(c), conv(d, (1, 7)), conv(e, (7, 1))]), project(width), scale=scale, relu=True
    )


def block_8(width: int, c: int, d: int, *, scale: float = 0.20, relu: bool = True) -> Layer:
    """Figures 13 and 19, 8x8."""
    return residual(
        concat([conv(192)], [conv(192), conv(c, (1, 3)), conv(d, (3, 1))]), project(width), scale=scale, relu=relu
    )


def reduction_b(c2: int, c3: int, c4: int) -> Layer:
    """Figures 12 and 18, 17x17 to 8x8."""
    return concat(
        [conv(256), conv(384, 3, stride=2, pad=0)],
        [conv(256), conv(c2, 3, stride=2, pad=0)],
        [conv(256), conv(c3, 3), conv(c4, 3, stride=2, pad=0)],
        [max_pool(3, stride=2, pad=0)],
    )


def times(count: int, block: Layer) -> Layer:
    """The block, `count` times over."""
    return chain(*[block] * count)


_35, _17, _8 = (
    partial(block_35, c=48, d=64),
    partial(block_17, c1=192, c=128, d=160, e=192),
    partial(block_8, c=224, d=256),
)

V1 = v3_stem() | dict(
    conv_4b=conv(256, 3, stride=2, pad=0),  #  256 x  35 x  35
    block_35=times(5, block_35(256, 32, 32)),  #  256 x  35 x  35
    mixed_6a=reduction_a(192, 192, 256, 384),  #  896 x  17 x  17
    block_17=times(10, block_17(896, 128, 128, 128, 128)),  #  896 x  17 x  17
    mixed_7a=reduction_b(256, 256, 256),  # 1792 x   8 x   8
    block_8=times(5, block_8(1792, 192, 192)),  # 1792 x   8 x   8
    block_8_last=block_8(1792, 192, 192, scale=1.0, relu=False),
)
V2 = v3_stem() | dict(
    pool_5a=max_pool(3, stride=2, pad=0),  #  192 x  35 x  35
    mixed_5b=concat(  #  320 x  35 x  35
        [conv(96)], [conv(48), conv(64, 5)], [conv(64), conv(96, 3), conv(96, 3)], [avg_pool(), conv(64)]
    ),
    block_35=times(10, _35(320)),  #  320 x  35 x  35
    mixed_6a=reduction_a(256, 256, 384, 384),  # 1088 x  17 x  17
    block_17=times(20, _17(1088)),  # 1088 x  17 x  17
    mixed_7a=reduction_b(288, 288, 320),  # 2080 x   8 x   8
    block_8=times(9, _8(2080)),  # 2080 x   8 x   8
    block_8_last=_8(2080, scale=1.0, relu=False),
    conv_7b=conv(1536),  # 1536 x   8 x   8
)
V2_PAPER = v4_stem() | dict(
    block_35=times(5, _35(384)),  #  384 x  35 x  35
    mixed_6a=reduction_a(256, 256, 384, 384),  # 1152 x  17 x  17
    block_17=times(10, _17(1152)),  # 1152 x  17 x  17
    mixed_7a=reduction_b(288, 288, 320),  # 2144 x   8 x   8
    block_8=times(5, _8(2144)),  # 2144 x   8 x   8
)

INCEPTION_RESNET_V1 = Spec(
    what="Inception-ResNet-v1 as in facenet, with a classifier",
    paper="arXiv:1602.07261",
    stages=V1,
    initialize=glorot_uniform,
    size=299,
    min_size=75,
    dropout=0.2,
)
INCEPTION_RESNET_V2 = Spec(
    what="Inception-ResNet-v2 as released",
    paper="arXiv:1602.07261 as in TF-slim",
    stages=V2,
    initialize=glorot_uniform,
    size=299,
    min_size=75,
    dropout=0.2,
    aux=dict(block_17=auxiliary()),
    aux_weight=0.4,
    aux_sizes=range(299, UNBOUNDED),
)
INCEPTION_RESNET_V2_PAPER = replace(
    INCEPTION_RESNET_V1,
    what="Inception-ResNet-v2 as the paper draws it",
    paper="arXiv:1602.07261, figures 15 to 19",
    stages=V2_PAPER,
)

"""Inception-v2 and v3, arXiv:1512.00567, "Rethinking the Inception architecture for computer vision".

Differs:
    - The released Inception-v3 is not table 1: it has 1x1 to 80, 3x3 to 192 and a max pool where the
      table has three 3x3 (80, 192 of stride 2, 288), and 3, 4 and 2 blocks with reductions between.
      `inception_v2` is table 1 read literally, with the released blocks' filters; those of the paper's
      own network were never printed, so that its 24.4 M parameters cannot be checked.
    - Average pools of `inception_v3` and `inception_v3_fid` leave padding out of the mean, as TensorFlow
      did when the weights were trained; `inception_v3_torch` counts it, as torchvision and timm do.
    - `inception_v3_fid` is the graph of 2015-12-05 that FID is defined by: a max pool in the last block;
      its weights have 1008 outputs.
    - The paper counts 42 layers; the longest path of weights here has 48. It states 5 G multiply-adds
      (4.8 in table 3); the released network has 5.7.
    - One auxiliary head, with batch norm and a 5x5 convolution, on the last 17x17 stage. No head of the
      paper has a 7x7 convolution: "factorized 7x7" is the first layers', of GoogLeNet's 7x7.
    - Initial weights are TF-slim's, of `inception_v3_torch` too (torchvision: sigma 0.1).
    - Dropout 0.2 as in TF-slim (torchvision 0.5, Keras 0). Auxiliary weight 0.4 as there; the paper
      states none.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torchinception.layers import Layer, avg_pool, chain, concat, conv, fixed_pool, flatten, linear, max_pool
from torchinception.models.initialization import he_truncated
from torchinception.models.spec import Spec
from torchinception.network import UNBOUNDED


def block_a(average: Layer, pool: int) -> Layer:
    """Figure 5, 35x35, with the 5x5 that the release kept in one branch."""
    return concat([conv(64)], [conv(48), conv(64, 5)], [conv(64), conv(96, 3), conv(96, 3)], [average, conv(pool)])


def reduction_a() -> Layer:
    """35x35 to 17x17, in the way of figure 10."""
    return concat(
        [conv(384, 3, stride=2, pad=0)],
        [conv(64), conv(96, 3), conv(96, 3, stride=2, pad=0)],
        [max_pool(3, stride=2, pad=0)],
    )


def block_b(average: Layer, c: int) -> Layer:
    """Figure 6 with n = 7, 17x17."""
    return concat(
        [conv(192)],
        [conv(c), conv(c, (1, 7)), conv(192, (7, 1))],
        [conv(c), conv(c, (7, 1)), conv(c, (1, 7)), conv(c, (7, 1)), conv(192, (1, 7))],
        [average, conv(192)],
    )


def reduction_b() -> Layer:
    """17x17 to 8x8."""
    return concat(
        [conv(192), conv(320, 3, stride=2, pad=0)],
        [conv(192), conv(192, (1, 7)), conv(192, (7, 1)), conv(192, 3, stride=2, pad=0)],
        [max_pool(3, stride=2, pad=0)],
    )


def block_c(pool: Layer) -> Layer:
    """Figure 7, 8x8: expanded filter banks."""

    def spread() -> Layer:
        return concat([conv(384, (1, 3))], [conv(384, (3, 1))])

    return concat([conv(320)], [conv(384), spread()], [conv(448), conv(384, 3), spread()], [pool, conv(192)])


def stem() -> dict[str, Layer]:
    """The released network's first layers, which the residual networks share; on the right the output at 299 px."""
    return dict(
        conv_1a=conv(32, 3, stride=2, pad=0),  #   32 x 149 x 149
        conv_2a=conv(32, 3, pad=0),  #   32 x 147 x 147
        conv_2b=conv(64, 3),  #   64 x 147 x 147
        pool_3a=max_pool(3, stride=2, pad=0),  #   64 x  73 x  73
        conv_3b=conv(80),  #   80 x  73 x  73
        conv_4a=conv(192, 3, pad=0),  #  192 x  71 x  71
    )


def stages(average: Layer, last_pool: Layer) -> dict[str, Layer]:
    """The released network, by TF-slim's names; on the right the output at 299 px."""
    return stem() | dict(
        pool_5a=max_pool(3, stride=2, pad=0),  #  192 x  35 x  35
        mixed_5b=block_a(average, 32),  #  256 x  35 x  35
        mixed_5c=block_a(average, 64),  #  288 x  35 x  35
        mixed_5d=block_a(average, 64),  #  288 x  35 x  35
        mixed_6a=reduction_a(),  #  768 x  17 x  17
        mixed_6b=block_b(average, 128),  #  768 x  17 x  17
        mixed_6c=block_b(average, 160),  #  768 x  17 x  17
        mixed_6d=block_b(average, 160),  #  768 x  17 x  17
        mixed_6e=block_b(average, 192),  #  768 x  17 x  17
        mixed_7a=reduction_b(),  # 1280 x   8 x   8
        mixed_7b=block_c(average),  # 2048 x   8 x   8
        mixed_7c=block_c(last_pool),  # 2048 x   8 x   8
    )


def table_1() -> dict[str, Layer]:
    """Table 1 of the paper, literally: its convolutions ahead of the blocks, and the released blocks."""
    head = stem() | dict(
        conv_3b=conv(80, 3, pad=0),  #   80 x  71 x  71
        conv_4a=conv(192, 3, stride=2, pad=0),  #  192 x  35 x  35
        conv_5a=conv(288, 3),  #  288 x  35 x  35
    )
    blocks = stages(avg_pool(), avg_pool())
    return head | {name: layer for name, layer in blocks.items() if name.startswith("mixed")}


def auxiliary(kernel: int = 5) -> Callable[[int], Layer]:
    """The BN-auxiliary head of section 4: average pool 5x5 of stride 3, 1x1 to 128, `kernel` to 768, linear."""
    return lambda classes: chain(
        avg_pool(5, stride=3, pad=0),
        conv(128),
        conv(768, kernel, pad=(kernel - 5) // 2),
        fixed_pool(1),
        flatten(1),
        linear(classes),
    )


INCEPTION_V2 = Spec(
    what="Inception-v2 by table 1, read literally: factorized 1xn and nx1",
    paper="arXiv:1512.00567, table 1",
    stages=table_1(),
    initialize=he_truncated,
    size=299,
    min_size=75,
    dropout=0.2,
)


INCEPTION_V3 = Spec(
    what="Inception-v3 as trained: average pools leave padding out",
    paper="arXiv:1512.00567",
    stages=stages(avg_pool(), avg_pool()),
    initialize=partial(he_truncated, sigmas={"aux.*.2.conv": 0.01, "aux.*.5": 0.001}),  # inception_v3.py
    size=299,
    min_size=75,
    dropout=0.2,
    aux=dict(mixed_6e=auxiliary()),
    aux_weight=0.4,
    aux_sizes=range(299, UNBOUNDED),
)
INCEPTION_V3_TORCH = replace(
    INCEPTION_V3,
    what="Inception-v3 of torchvision and timm: average pools count padding",
    stages=stages(avg_pool(count_padding=True), avg_pool(count_padding=True)),
)
INCEPTION_V3_FID = replace(
    INCEPTION_V3,
    what="Inception-v3 of 2015-12-05, which FID is defined by: max pool in the last block",
    stages=stages(avg_pool(), max_pool()),
    initialize=he_truncated,
    classes=1008,
    aux={},
    aux_weight=0.0,
    aux_sizes=range(0),
)

"""TF-slim's graphs of 2016, evaluated plainly in float64 with variables by slim's names and in TensorFlow's layout.

Written after tensorflow/models, research/slim/nets/inception_{v1,v2,v3,v4,resnet_v2,utils}.py, and after nothing of
ours: layers, padding, pools and tables are its own.
"""

from collections.abc import Mapping, Sequence

import torch
from slim_early_graphs import V1, V1_LOGITS, V2, V2_LOGITS
from tensorflow_ops import (
    CLASSES,
    Made,
    Step,
    Two,
    Variables,
    average_pool,
    conv,
    dense,
    fork,
    max_pool,
    mixed,
    plain,
    residual,
    row,
    scoped,
    whole_mean,
)
from torch import Tensor


def valid(name: str, channels: int, kernel: Two | None = None, stride: int = 2) -> Step:
    return conv(name, channels, kernel, stride, "VALID")


SHRINK = max_pool(stride=2, padding="VALID")
STEM = row(  # of v3 and Inception-ResNet-v2
    valid("Conv2d_1a_3x3", 32),
    valid("Conv2d_2a_3x3", 32, stride=1),
    conv("Conv2d_2b_3x3", 64),
    SHRINK,
    valid("Conv2d_3b_1x1", 80, stride=1),
    valid("Conv2d_4a_3x3", 192, stride=1),
    SHRINK,
)


def v3_a(pool: int, five: tuple[str, str] = ("Conv2d_0a_1x1", "Conv2d_0b_5x5")) -> Step:
    return mixed(
        [conv("Conv2d_0a_1x1", 64)],
        [conv(five[0], 48), conv(five[1], 64)],
        [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96), conv("Conv2d_0c_3x3", 96)],
        [average_pool(), conv("Conv2d_0b_1x1", pool)],
    )


def b_17(c1: int, two: Sequence[int], three: Sequence[int], pool: int) -> Step:
    """The 17x17 blocks of v3 and v4: a 1x1 of `c1`, rows of 1x7 and 7x1 of these widths, and a pool."""
    second, third = ("0a_1x1", "0b_1x7", "0c_7x1"), ("0a_1x1", "0b_7x1", "0c_1x7", "0d_7x1", "0e_1x7")
    return mixed(
        [conv("Conv2d_0a_1x1", c1)],
        [conv(f"Conv2d_{name}", width) for name, width in zip(second, two, strict=True)],
        [conv(f"Conv2d_{name}", width) for name, width in zip(third, three, strict=True)],
        [average_pool(), conv("Conv2d_0b_1x1", pool)],
    )


def v3_b(c: int) -> Step:
    return b_17(192, (c, c, 192), (c, c, c, c, 192), 192)


def b_reduction(c0: int, n0: int, c1: int, m1: int, n1: int) -> Step:
    """17x17 to 8x8 in v3 and v4."""
    return mixed(
        [conv("Conv2d_0a_1x1", c0), valid("Conv2d_1a_3x3", n0)],
        [conv("Conv2d_0a_1x1", c1), conv("Conv2d_0b_1x7", c1), conv("Conv2d_0c_7x1", m1), valid("Conv2d_1a_3x3", n1)],
        [SHRINK],
    )


def v3_c(column: str) -> Step:
    return mixed(
        [conv("Conv2d_0a_1x1", 320)],
        [conv("Conv2d_0a_1x1", 384), fork(conv("Conv2d_0b_1x3", 384), conv(column, 384))],
        [
            conv("Conv2d_0a_1x1", 448),
            conv("Conv2d_0b_3x3", 384),
            fork(conv("Conv2d_0c_1x3", 384), conv("Conv2d_0d_3x1", 384)),
        ],
        [average_pool(), conv("Conv2d_0b_1x1", 192)],
    )


V3_MIDDLE = row(
    STEM,
    scoped("Mixed_5b", v3_a(32)),
    scoped("Mixed_5c", v3_a(64, five=("Conv2d_0b_1x1", "Conv_1_0c_5x5"))),
    scoped("Mixed_5d", v3_a(64)),
    scoped(
        "Mixed_6a",
        mixed(
            [valid("Conv2d_1a_1x1", 384, (3, 3))],
            [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96), valid("Conv2d_1a_1x1", 96, (3, 3))],
            [SHRINK],
        ),
    ),
    *(scoped(f"Mixed_6{letter}", v3_b(c)) for letter, c in zip("bcde", (128, 160, 160, 192), strict=True)),
)
V3_END = row(
    scoped("Mixed_7a", b_reduction(192, 320, 192, 192, 192)),
    scoped("Mixed_7b", v3_c("Conv2d_0b_3x1")),
    scoped("Mixed_7c", v3_c("Conv2d_0c_3x1")),
)


def aux_logits(second: str, top: Step) -> Step:
    """Of v3, v4 and Inception-ResNet-v2, where 17x17 pixels become 5x5."""
    return scoped(
        "AuxLogits",
        average_pool(5, stride=3, padding="VALID"),
        conv("Conv2d_1b_1x1", 128),
        valid(second, 768, (5, 5), stride=1),
        top,
    )


V3_LOGITS = scoped("Logits", average_pool(8, padding="VALID"), plain("Conv2d_1c_1x1", CLASSES))


def a_reduction(k: int, l: int, m: int, n: int) -> Step:  # noqa: E741, the letters of arXiv:1602.07261
    return mixed(
        [valid("Conv2d_1a_3x3", n)],
        [conv("Conv2d_0a_1x1", k), conv("Conv2d_0b_3x3", l), valid("Conv2d_1a_3x3", m)],
        [SHRINK],
    )


V4_A = mixed(
    [conv("Conv2d_0a_1x1", 96)],
    [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96)],
    [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96), conv("Conv2d_0c_3x3", 96)],
    [average_pool(), conv("Conv2d_0b_1x1", 96)],
)
V4_C = mixed(
    [conv("Conv2d_0a_1x1", 256)],
    [conv("Conv2d_0a_1x1", 384), fork(conv("Conv2d_0b_1x3", 256), conv("Conv2d_0c_3x1", 256))],
    [
        conv("Conv2d_0a_1x1", 384),
        conv("Conv2d_0b_3x1", 448),
        conv("Conv2d_0c_1x3", 512),
        fork(conv("Conv2d_0d_1x3", 256), conv("Conv2d_0e_3x1", 256)),
    ],
    [average_pool(), conv("Conv2d_0b_1x1", 256)],
)
V4_MIDDLE = row(
    valid("Conv2d_1a_3x3", 32),
    valid("Conv2d_2a_3x3", 32, stride=1),
    conv("Conv2d_2b_3x3", 64),
    scoped("Mixed_3a", mixed([SHRINK], [valid("Conv2d_0a_3x3", 96)])),
    scoped(
        "Mixed_4a",
        mixed(
            [conv("Conv2d_0a_1x1", 64), valid("Conv2d_1a_3x3", 96, stride=1)],
            [
                conv("Conv2d_0a_1x1", 64),
                conv("Conv2d_0b_1x7", 64),
                conv("Conv2d_0c_7x1", 64),
                valid("Conv2d_1a_3x3", 96, stride=1),
            ],
        ),
    ),
    scoped("Mixed_5a", mixed([valid("Conv2d_1a_3x3", 192)], [SHRINK])),
    *(scoped(f"Mixed_5{letter}", V4_A) for letter in "bcde"),
    scoped("Mixed_6a", a_reduction(192, 224, 256, 384)),
    *(scoped(f"Mixed_6{x}", b_17(384, (192, 224, 256), (192, 192, 224, 224, 256), 128)) for x in "bcdefgh"),
)
V4_END = row(
    scoped("Mixed_7a", b_reduction(192, 192, 256, 320, 320)), *(scoped(f"Mixed_7{letter}", V4_C) for letter in "bcd")
)
DENSE_LOGITS = scoped("Logits", whole_mean, dense("Logits"))

BLOCK_35 = (
    [conv("Conv2d_1x1", 32)],
    [conv("Conv2d_0a_1x1", 32), conv("Conv2d_0b_3x3", 32)],
    [conv("Conv2d_0a_1x1", 32), conv("Conv2d_0b_3x3", 48), conv("Conv2d_0c_3x3", 64)],
)
BLOCK_17 = (
    [conv("Conv2d_1x1", 192)],
    [conv("Conv2d_0a_1x1", 128), conv("Conv2d_0b_1x7", 160), conv("Conv2d_0c_7x1", 192)],
)
BLOCK_8 = (
    [conv("Conv2d_1x1", 192)],
    [conv("Conv2d_0a_1x1", 192), conv("Conv2d_0b_1x3", 224), conv("Conv2d_0c_3x1", 256)],
)


def repeat(times: int, scope: str, scale: float, branches: Sequence[Sequence[Step]]) -> Step:
    """slim.repeat numbers from 1."""
    return row(*(scoped(f"{scope}_{i}", residual(scale, True, *branches)) for i in range(1, times + 1)))


RESNET_MIDDLE = row(
    STEM,
    scoped(
        "Mixed_5b",
        mixed(
            [conv("Conv2d_1x1", 96)],
            [conv("Conv2d_0a_1x1", 48), conv("Conv2d_0b_5x5", 64)],
            [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96), conv("Conv2d_0c_3x3", 96)],
            [average_pool(), conv("Conv2d_0b_1x1", 64)],
        ),
    ),
    repeat(10, "Repeat/block35", 0.17, BLOCK_35),
    scoped("Mixed_6a", a_reduction(256, 256, 384, 384)),
    repeat(20, "Repeat_1/block17", 0.10, BLOCK_17),
)
RESNET_END = row(
    scoped(
        "Mixed_7a",
        mixed(
            [conv("Conv2d_0a_1x1", 256), valid("Conv2d_1a_3x3", 384)],
            [conv("Conv2d_0a_1x1", 256), valid("Conv2d_1a_3x3", 288)],
            [conv("Conv2d_0a_1x1", 256), conv("Conv2d_0b_3x3", 288), valid("Conv2d_1a_3x3", 320)],
            [SHRINK],
        ),
    ),
    repeat(9, "Repeat_2/block8", 0.20, BLOCK_8),
    scoped("Block8", residual(1.0, False, *BLOCK_8)),
    conv("Conv2d_7b_1x1", 1536),
)

# scope -> up to the auxiliary head, on to the last pool, the head, the logits
GRAPHS: Mapping[str, tuple[Step, Step, Step | None, Step]] = {
    "InceptionV1": (V1, row(), None, V1_LOGITS),
    "InceptionV2": (V2, row(), None, V2_LOGITS),
    "InceptionV3": (V3_MIDDLE, V3_END, aux_logits("Conv2d_2a_5x5", plain("Conv2d_2b_1x1", CLASSES)), V3_LOGITS),
    "InceptionV4": (V4_MIDDLE, V4_END, aux_logits("Conv2d_2a", dense("Aux_logits")), DENSE_LOGITS),
    "InceptionResnetV2": (RESNET_MIDDLE, RESNET_END, aux_logits("Conv2d_2a_5x5", dense("Logits")), DENSE_LOGITS),
}


def evaluate(scope: str, variables: Variables, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Pictures (N, 3, H, W) of -1 to 1 -> logits (N, 1001), and those of the auxiliary head if there is one.

    Variables are asked for in the order in which slim creates them.
    """
    middle, end, head, logits = GRAPHS[scope]
    x = middle(variables, scope, x)
    y = end(variables, scope, x)
    aux = head(variables, scope, x).flatten(1) if head else None
    return logits(variables, scope, y).flatten(1), aux


def shapes(scope: str, size: int) -> dict[str, tuple[int, ...]]:
    """Every variable in order of creation, for pictures of that size."""
    made = Made()
    evaluate(scope, made, torch.empty(1, 3, size, size, dtype=torch.float64, device="meta"))
    return made.shapes

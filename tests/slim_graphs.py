"""TF-slim's graphs of 2016, evaluated plainly in float64 with variables by slim's names and in TensorFlow's layout.

Written after tensorflow/models, research/slim/nets/inception_{v1,v2,v3,v4,resnet_v2,utils}.py, and after nothing of
ours: layers, padding, pools and tables are its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

CLASSES = 1001
Two = tuple[int, int]


class Variables(Protocol):
    """Where a graph gets its variables; it says of which shape each has to be."""

    def __call__(self, name: str, *shape: int) -> Tensor: ...


class Given:
    """Variables at hand. `used` lists them in order of use."""

    def __init__(self, variables: Mapping[str, Tensor]) -> None:
        self.variables, self.used = variables, list[str]()

    def __call__(self, name: str, *shape: int) -> Tensor:
        found = self.variables[name]
        assert tuple(found.shape) == shape, f"{name}: {tuple(found.shape)} in place of {shape}"
        self.used.append(name)
        return found.double()


class Made:
    """Variables without values, for the names and shapes that a graph asks for, in order of creation."""

    def __init__(self) -> None:
        self.shapes = dict[str, tuple[int, ...]]()

    def __call__(self, name: str, *shape: int) -> Tensor:
        assert name not in self.shapes, f"{name} is created twice"
        self.shapes[name] = shape
        return torch.empty(shape, dtype=torch.float64, device="meta")


Step = Callable[[Variables, str, Tensor], Tensor]  # variables, scope, input -> output


# operations


def padded(x: Tensor, kernel: Two, stride: int, padding: str, value: float = 0.0) -> Tensor:
    """SAME: ceil(size / stride) cells, an odd pixel at the end. VALID: none."""
    if padding == "VALID":
        return x
    (top, bottom), (left, right) = (
        (total // 2, total - total // 2)
        for total in (
            max((-(-size // stride) - 1) * stride + length - size, 0)
            for size, length in zip(x.shape[2:], kernel, strict=True)
        )
    )
    return pad(x, (left, right, top, bottom), value=value)


def convolve(x: Tensor, kernel: Tensor, stride: int, padding: str) -> Tensor:
    """`kernel`: (height, width, in, out)."""
    height, width = kernel.shape[:2]
    return conv2d(padded(x, (height, width), stride, padding), kernel.permute(3, 2, 0, 1), stride=stride)


def conv(name: str, channels: int, kernel: Two | None = None, stride: int = 1, padding: str = "SAME") -> Step:
    """slim.conv2d with inception_arg_scope: batch norm without gamma, ReLU. The kernel is as the name ends."""

    def run(variables: Variables, scope: str, x: Tensor) -> Tensor:
        at = f"{scope}/{name}"
        height, width = kernel or named_kernel(name)
        y = convolve(x, variables(f"{at}/weights", height, width, x.shape[1], channels), stride, padding)
        beta, mean, variance = (
            variables(f"{at}/BatchNorm/{part}", channels)[:, None, None]
            for part in ("beta", "moving_mean", "moving_variance")
        )
        return ((y - mean) / (variance + 0.001).sqrt() + beta).relu()

    return run


def named_kernel(name: str) -> Two:
    height, width = name.rpartition("_")[2].split("x")
    return int(height), int(width)


def plain(name: str, channels: int) -> Step:
    """A 1x1 convolution with bias alone."""

    def run(variables: Variables, scope: str, x: Tensor) -> Tensor:
        kernel = variables(f"{scope}/{name}/weights", 1, 1, x.shape[1], channels)
        return convolve(x, kernel, 1, "SAME") + variables(f"{scope}/{name}/biases", channels)[:, None, None]

    return run


def dense(name: str) -> Step:
    """slim.fully_connected to the classes."""

    def run(variables: Variables, scope: str, x: Tensor) -> Tensor:
        flat = x.flatten(1)  # of one pixel: the order of its axes does not matter
        matrix = variables(f"{scope}/{name}/weights", flat.shape[1], CLASSES)
        return flat @ matrix + variables(f"{scope}/{name}/biases", CLASSES)

    return run


def separable(name: str, channels: int, kernel: int, multiplier: int, stride: int) -> Step:
    """slim.separable_conv2d, which inception_arg_scope leaves as it is: bias, no batch norm, ReLU."""

    def run(variables: Variables, scope: str, x: Tensor) -> Tensor:
        at, width = f"{scope}/{name}", x.shape[1]
        depthwise = variables(f"{at}/depthwise_weights", kernel, kernel, width, multiplier)
        each = [convolve(x[:, i : i + 1], depthwise[:, :, i : i + 1], stride, "SAME") for i in range(width)]
        pointwise = variables(f"{at}/pointwise_weights", 1, 1, width * multiplier, channels)
        y = convolve(torch.cat(each, 1), pointwise, 1, "SAME")
        return (y + variables(f"{at}/biases", channels)[:, None, None]).relu()

    return run


def max_pool(kernel: int = 3, stride: int = 1, padding: str = "SAME") -> Step:
    return lambda _variables, _scope, x: max_pool2d(
        padded(x, (kernel, kernel), stride, padding, -torch.inf), kernel, stride
    )


def average_pool(kernel: int = 3, stride: int = 1, padding: str = "SAME") -> Step:
    """The mean of the pixels that are there."""

    def run(_variables: Variables, _scope: str, x: Tensor) -> Tensor:
        ones = torch.ones(1, 1, kernel, kernel, dtype=x.dtype, device=x.device)
        total, count = (
            conv2d(padded(t.flatten(0, 1)[:, None], (kernel, kernel), stride, padding), ones, stride=stride)
            for t in (x, torch.ones_like(x))
        )
        return (total / count).reshape(*x.shape[:2], *total.shape[2:])

    return run


def row(*steps: Step) -> Step:
    def run(variables: Variables, scope: str, x: Tensor) -> Tensor:
        for step in steps:
            x = step(variables, scope, x)
        return x

    return run


def fork(*steps: Step) -> Step:
    """The same input to each, in the same scope; outputs joined along channels."""
    return lambda variables, scope, x: torch.cat([step(variables, scope, x) for step in steps], 1)


def scoped(name: str, *steps: Step) -> Step:
    return lambda variables, scope, x: row(*steps)(variables, f"{scope}/{name}", x)


def mixed(*branches: Sequence[Step]) -> Step:
    return fork(*(scoped(f"Branch_{i}", *branch) for i, branch in enumerate(branches)))


def residual(scale: float, relu: bool, *branches: Sequence[Step]) -> Step:
    def run(variables: Variables, scope: str, x: Tensor) -> Tensor:
        up = row(mixed(*branches), plain("Conv2d_1x1", x.shape[1]))
        total = x + scale * up(variables, scope, x)
        return total.relu() if relu else total

    return run


def whole_mean(_variables: Variables, _scope: str, x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


# networks


def v1_module(c1: int, r3: int, c3: int, r5: int, c5: int, proj: int, third: str = "Conv2d_0b_3x3") -> Step:
    return mixed(
        [conv("Conv2d_0a_1x1", c1)],
        [conv("Conv2d_0a_1x1", r3), conv("Conv2d_0b_3x3", c3)],
        [conv("Conv2d_0a_1x1", r5), conv(third, c5)],
        [max_pool(), conv("Conv2d_0b_1x1", proj)],
    )


V1 = row(
    conv("Conv2d_1a_7x7", 64, stride=2),
    max_pool(stride=2),
    conv("Conv2d_2b_1x1", 64),
    conv("Conv2d_2c_3x3", 192),
    max_pool(stride=2),
    scoped("Mixed_3b", v1_module(64, 96, 128, 16, 32, 32)),
    scoped("Mixed_3c", v1_module(128, 128, 192, 32, 96, 64)),
    max_pool(stride=2),
    scoped("Mixed_4b", v1_module(192, 96, 208, 16, 48, 64)),
    scoped("Mixed_4c", v1_module(160, 112, 224, 24, 64, 64)),
    scoped("Mixed_4d", v1_module(128, 128, 256, 24, 64, 64)),
    scoped("Mixed_4e", v1_module(112, 144, 288, 32, 64, 64)),
    scoped("Mixed_4f", v1_module(256, 160, 320, 32, 128, 128)),
    max_pool(2, stride=2),
    scoped("Mixed_5b", v1_module(256, 160, 320, 32, 128, 128, third="Conv2d_0a_3x3")),
    scoped("Mixed_5c", v1_module(384, 192, 384, 48, 128, 128)),
)
V1_LOGITS = scoped("Logits", average_pool(7, padding="VALID"), plain("Conv2d_0c_1x1", CLASSES))


def v2_module(c1: int, r3: int, c3: int, rd: int, cd: int, proj: int, pool: Step) -> Step:
    return mixed(
        [conv("Conv2d_0a_1x1", c1)],
        [conv("Conv2d_0a_1x1", r3), conv("Conv2d_0b_3x3", c3)],
        [conv("Conv2d_0a_1x1", rd), conv("Conv2d_0b_3x3", cd), conv("Conv2d_0c_3x3", cd)],
        [pool, conv("Conv2d_0b_1x1", proj)],
    )


def v2_reduction(r3: int, c3: int, rd: int, cd: int) -> Step:
    return mixed(
        [conv("Conv2d_0a_1x1", r3), conv("Conv2d_1a_3x3", c3, stride=2)],
        [conv("Conv2d_0a_1x1", rd), conv("Conv2d_0b_3x3", cd), conv("Conv2d_1a_3x3", cd, stride=2)],
        [max_pool(stride=2)],
    )


V2 = row(
    separable("Conv2d_1a_7x7", 64, 7, multiplier=8, stride=2),
    max_pool(stride=2),
    conv("Conv2d_2b_1x1", 64),
    conv("Conv2d_2c_3x3", 192),
    max_pool(stride=2),
    scoped("Mixed_3b", v2_module(64, 64, 64, 64, 96, 32, average_pool())),
    scoped("Mixed_3c", v2_module(64, 64, 96, 64, 96, 64, average_pool())),
    scoped("Mixed_4a", v2_reduction(128, 160, 64, 96)),
    scoped("Mixed_4b", v2_module(224, 64, 96, 96, 128, 128, average_pool())),
    scoped("Mixed_4c", v2_module(192, 96, 128, 96, 128, 128, average_pool())),
    scoped("Mixed_4d", v2_module(160, 128, 160, 128, 160, 96, average_pool())),
    scoped("Mixed_4e", v2_module(96, 128, 192, 160, 192, 96, average_pool())),
    scoped("Mixed_5a", v2_reduction(128, 192, 192, 256)),
    scoped("Mixed_5b", v2_module(352, 192, 320, 160, 224, 128, average_pool())),
    scoped("Mixed_5c", v2_module(352, 192, 320, 192, 224, 128, max_pool())),
)
V2_LOGITS = scoped("Logits", average_pool(7, padding="VALID"), plain("Conv2d_1c_1x1", CLASSES))


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

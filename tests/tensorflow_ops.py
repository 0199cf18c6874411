"""Operations of TensorFlow and TF-slim, plain, in float64, with variables by slim's names and in TensorFlow's layout.

They share nothing with our layers.
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

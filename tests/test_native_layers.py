"""Every algorithm of the native engine's convolutions against float64: any size, border, batch, number of channels."""

import random
import re
from collections.abc import Callable

import pytest
import torch
from native_bench import Bench
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from torchinception.engines.native_library import NOTHING, Context, Library, Segment, Weights
from torchinception.engines.operations import UNPADDED, Sides

pytest_plugins = ("native_fixtures",)

# Of the scale of the outputs. Direct float32 sums up to 800 products here; of the others' points, those of most outputs
# reach furthest from 1.
TOLERANCES = {
    "direct": 5e-6,
    "F(2x2,3x3)": 5e-6,
    "F(4x4,3x3)": 1e-5,
    "F(6x6,3x3)": 1e-4,
    "F(2x2,5x5)": 1e-5,
    "F(4x4,5x5)": 5e-5,
    "F(4x4,4x4)": 5e-5,
    "F(1x6,1x7)": 5e-5,
    "F(6x1,7x1)": 5e-5,
}
CASES = 2200  # over all algorithms, on each level
ADAPTIVE = ("adaptive", (1, 1), 1, UNPADDED, None, False)
KERNELS = [(1, 1), (1, 1), (3, 3), (5, 5), (1, 7), (7, 1), (1, 3), (2, 3), (7, 7)]


def case(dice: random.Random, algorithm: str) -> tuple[tuple[int, int], int, tuple[int, int], Sides]:
    """Kernel, stride, size of the input, and padding, uneven as TensorFlow's."""
    if algorithm == "direct":
        kernel, stride = dice.choice(KERNELS), dice.choice((1, 1, 2, 3))
    else:
        found = re.fullmatch(r"F\(.+,(\d)x(\d)\)(/2)?", algorithm)
        assert found
        kernel, stride = (int(found[1]), int(found[2])), 2 if found[3] else 1
    pad = Sides(*(dice.randint(0, side - 1) for side in (kernel[0], kernel[0], kernel[1], kernel[1])))
    height = dice.randint(max(1, kernel[0] - pad.top - pad.bottom), 19)
    width = dice.randint(max(1, kernel[1] - pad.left - pad.right), 19)
    return kernel, stride, (height, width), pad


def padded(x: Tensor, pad: Sides) -> Tensor:
    return F.pad(x, (pad.left, pad.right, pad.top, pad.bottom))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_convolution_is_that_of_float64(
    library: Library, level: str, threads: int, full: bool, survived: Callable[[str], None]
) -> None:
    context, worst = Context(library, level, threads), dict.fromkeys(library.algorithms, 0.0)
    count = CASES // 3 // len(library.algorithms)
    for algorithm in library.algorithms:
        for number in range(count if full else -(-count // 10)):
            dice = random.Random(f"{algorithm} {threads} {number}")
            torch.manual_seed(dice.randrange(1 << 30))
            kernel, stride, size, pad = case(dice, algorithm)
            channels, batch = dice.choice((1, 3, 8, 13, 16, 24, 50)), dice.choice((1, 1, 2, 3))
            segments = [dice.choice((1, 5, 16, 24, 40, 67)) for _ in range(dice.choice((1, 1, 2, 3)))]
            weight = torch.randn(sum(segments), channels, *kernel, dtype=torch.float64)
            weight /= (channels * kernel[0] * kernel[1]) ** 0.5
            bias = torch.randn(sum(segments), dtype=torch.float64) if dice.random() < 0.7 else None
            bench = Bench(context, batch, size, channels)
            beside = torch.randn(sum(segments), channels, 1, 1, dtype=torch.float64) / channels**0.5
            relus = [dice.random() < 0.5 for _ in segments]
            adding = dice.random() < 0.3

            def expected(x: Tensor) -> list[Tensor]:
                total = F.conv2d(padded(x, pad), weight, bias, stride)  # noqa: B023
                if adding:  # noqa: B023
                    total += F.conv2d(F.adaptive_avg_pool2d(x, total.shape[2:]), beside)  # noqa: B023
                parts = total.split(segments, 1)  # noqa: B023
                return [part.relu() if relu else part for part, relu in zip(parts, relus, strict=True)]  # noqa: B023

            rows, columns = expected(bench.pictures[0].double())[0].shape[2:]
            outputs = [bench.surrounded((rows, columns), width) for width in segments]
            terms = [NOTHING] * len(segments)
            if adding:
                pooled, terms = (
                    bench.plan.buffer(rows, columns, channels),
                    [bench.surrounded((rows, columns), width) for width in segments],
                )
                bench.plan.add("pool", bench.first, *ADAPTIVE, None, None, NOTHING, pooled, False)
                also = Weights(context, "direct", beside, None, segments)
                bench.plan.add("convolution", pooled, also, 1, UNPADDED, [*map(Segment, terms)])
            parts = [Segment(*part) for part in zip(outputs, terms, relus, strict=True)]
            weights = Weights(context, algorithm, weight, bias, segments)
            bench.plan.add("convolution", bench.input, weights, stride, pad, parts)
            error = bench.check(outputs, expected, TOLERANCES.get(algorithm, 2e-5))
            worst[algorithm] = max(worst[algorithm], error)
            survived(f"native convolution, {level}")
    print(level, threads, {name: f"{error:.1e}" for name, error in worst.items()})


def test_a_depthwise_convolution_is_that_of_float64(library: Library, level: str, full: bool) -> None:
    for number in range(300 if full else 30):
        dice = random.Random(number)
        torch.manual_seed(number)
        context = Context(library, level, dice.choice((1, 2)))
        kernel, stride, size, pad = case(dice, "direct")
        channels, batch = dice.choice((1, 3, 16, 40, 130)), dice.choice((1, 2))
        relu_first, relu = dice.random() < 0.5, dice.random() < 0.5
        weight = torch.randn(channels, 1, *kernel, dtype=torch.float64) / (kernel[0] * kernel[1]) ** 0.5
        bias = torch.randn(channels, dtype=torch.float64) if dice.random() < 0.5 else None
        bench = Bench(context, batch, size, channels)

        def expected(x: Tensor) -> list[Tensor]:
            read = padded(x.relu() if relu_first else x, pad)  # noqa: B023
            y = F.conv2d(read, weight, bias, stride, groups=channels)  # noqa: B023
            return [y.relu() if relu else y]  # noqa: B023

        out = expected(bench.pictures[0].double())[0].shape[2:]
        to = bench.surrounded((out[0], out[1]), channels)
        windows = ("filter", kernel, stride, pad, weight.flatten(1).T, relu_first)
        bench.plan.add("pool", bench.input, *windows, None, bias, NOTHING, to, relu)
        bench.check([to], expected, 3e-6)


@pytest.mark.parametrize("algorithm", ["direct", "F(4x4,3x3)", "F(2x2,3x3)/2"])
def test_the_bytes_do_not_depend_on_threads_or_batch(library: Library, level: str, algorithm: str) -> None:
    torch.manual_seed(0)
    weight, stride = torch.randn(70, 24, 3, 3, dtype=torch.float64), 2 if algorithm.endswith("/2") else 1
    pictures = torch.randn(5, 24, 17, 19)
    found = set()
    for threads in (1, 2, 3, 5):
        context = Context(library, level, threads)
        weights = Weights(context, algorithm, weight, None)
        for batch in (1, 2, 5):
            bench = Bench(context, batch, (17, 19), 24)
            to = bench.surrounded(((17 - 1) // stride + 1, (19 - 1) // stride + 1), 70)
            bench.plan.add("convolution", bench.input, weights, stride, Sides(1, 1, 1, 1), [Segment(to)])
            bench.plan.finish(to)
            results = [bench.run(part)[0] for part in pictures.split(batch)]
            found.add(torch.cat(results).contiguous().numpy().tobytes())
    assert len(found) == 1

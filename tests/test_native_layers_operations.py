"""The native engine's other operations against float64, and how plans share memory."""

import ctypes
import importlib.util
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from native_bench import Bench
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from torchinception.engines.native_library import NOTHING, POINT, Context, Library, Plan, Segment, View, Weights
from torchinception.engines.operations import UNPADDED, Sides

pytest_plugins = ("native_fixtures",)

ONE = torch.ones(3)
NATIVE = Path(__file__).parents[1] / "native"


def contexts(library: Library, level: str) -> list[Context]:
    return [Context(library, level, threads) for threads in (1, 3)]


def double(value: Tensor) -> Tensor:
    return value.float().double()


@pytest.mark.parametrize("kind", ["max", "average", "average with padding"])
def test_a_pool_is_pytorchs_with_either_padding_and_ceil(library: Library, level: str, kind: str) -> None:
    pair = contexts(library, level)
    for number in range(60):
        dice = random.Random(number)
        torch.manual_seed(number)
        kernel, stride, ceil = dice.randint(1, 5), dice.randint(1, 3), dice.random() < 0.5
        pad = dice.randint(0, kernel // 2)
        size, channels = (dice.randint(kernel, 15), dice.randint(kernel, 15)), dice.choice((1, 7, 16, 66, 130))
        bench = Bench(dice.choice(pair), dice.choice((1, 3)), size, channels)
        bias = torch.randn(channels, dtype=torch.float64) if dice.random() < 0.5 else None
        relu_first, relu = dice.random() < 0.5, dice.random() < 0.5

        def expected(x: Tensor) -> list[Tensor]:
            x = x.relu() if relu_first else x  # noqa: B023
            if kind == "max":
                y = F.max_pool2d(x, kernel, stride, pad, ceil_mode=ceil)  # noqa: B023
            else:
                y = F.avg_pool2d(x, kernel, stride, pad, ceil, count_include_pad=kind != "average")  # noqa: B023
            y = y if bias is None else y + double(bias)[:, None, None]  # noqa: B023
            return [y.relu() if relu else y]  # noqa: B023

        rows, columns = expected(bench.pictures[0])[0].shape[2:]
        to = bench.surrounded((rows, columns), channels)
        windows = (kind, (kernel, kernel), stride, Sides(pad, pad, pad, pad), None, relu_first)
        bench.plan.add("pool", bench.input, *windows, None, bias, NOTHING, to, relu)
        bench.check([to], expected, 1e-6)


def test_a_pool_pads_unevenly_as_tensorflow_does(library: Library, level: str) -> None:
    bench = Bench(Context(library, level), 2, (8, 10), 20)
    to = bench.surrounded((4, 5), 20)
    windows = ("max", (3, 3), 2, Sides(0, 1, 0, 1), None, False)
    bench.plan.add("pool", bench.input, *windows, None, None, NOTHING, to, False)
    bench.check([to], lambda x: [F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)], 0)


@pytest.mark.parametrize("cells", [(1, 1), (2, 3), (7, 7)])
def test_an_adaptive_pool_is_pytorchs(library: Library, level: str, cells: tuple[int, int]) -> None:
    for context in contexts(library, level):
        for size, channels in (((8, 8), 70), ((9, 11), 5), ((7, 7), 256)):
            bench = Bench(context, 2, size, channels)
            to = bench.surrounded(cells, channels)
            windows = ("adaptive", (1, 1), 1, UNPADDED, None, False)
            bench.plan.add("pool", bench.input, *windows, None, None, NOTHING, to, False)
            bench.check([to], lambda x: [F.adaptive_avg_pool2d(x, cells)], 1e-6)


@pytest.mark.parametrize("channels", [1, 15, 48, 83])
def test_pointwise_operations_are_those_of_float64(library: Library, level: str, channels: int) -> None:
    torch.manual_seed(channels)
    scale, shift = torch.randn(channels), torch.randn(channels)

    def by_channel(value: Tensor) -> Tensor:
        return value.double()[:, None, None]

    for context in contexts(library, level):
        bench = Bench(context, 3, (5, 7), channels)
        outputs = [bench.surrounded((5, 7), channels) for _ in range(5)]
        bench.plan.add("pool", bench.input, *POINT, scale, shift, NOTHING, outputs[0], True)
        bench.plan.add("pool", bench.input, *POINT, None, shift, NOTHING, outputs[1], False)
        bench.plan.add("pool", bench.input, *POINT, scale, None, NOTHING, outputs[2], False)
        bench.plan.add("pool", outputs[0], *POINT, scale, shift, bench.input, outputs[3], False)
        bench.plan.add("pool", bench.input, *POINT, None, None, outputs[1], outputs[4], True)

        def expected(x: Tensor) -> list[Tensor]:
            first, second = (x * by_channel(scale) + by_channel(shift)).relu(), x + by_channel(shift)
            sums = [first * by_channel(scale) + by_channel(shift) + x, (second + x).relu()]
            return [first, second, x * by_channel(scale), *sums]

        bench.check(outputs, expected, 1e-6)


@pytest.mark.parametrize(("size", "beta"), [(5, 0.75), (3, 0.5), (4, 0.75), (1, 1.0)])
def test_response_norm_is_pytorchs(library: Library, level: str, size: int, beta: float) -> None:
    for context in contexts(library, level):
        for channels in (size, 16, 64, 77):
            bench = Bench(context, 2, (6, 5), channels)
            to = bench.surrounded((6, 5), channels)
            bench.plan.add("response_norm", bench.input, size, 0.25, beta, 2.0, to)
            bench.check([to], lambda x: [F.local_response_norm(x, size, 0.25, beta, 2.0)], 3e-6)


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "uint8"])
def test_pictures_are_read_in_any_layout(library: Library, level: str, block: int, layout: str) -> None:
    torch.manual_seed(0)
    scale, shift, border = torch.rand(3), torch.randn(3), Sides(3, 2, 1, 2)
    for context in contexts(library, level):
        rows, columns = 9 + 5, 12 + 3
        plan = Plan(context, 4)
        to = plan.buffer(-(-rows // block), -(-columns // block), 3 * block * block)
        plan.add("pictures", to, (9, 12), border, block, scale, shift)
        plan.finish(to)
        for count in (4, 1):
            pictures = torch.randint(0, 256, (count, 3, 9, 12), dtype=torch.uint8)
            if layout == "uint8":
                given = pictures.permute(0, 2, 3, 1).contiguous()
                right = pictures.double() * double(scale)[:, None, None] + double(shift)[:, None, None]
            else:
                right = pictures.double()
                channels_last = layout == "NHWC"
                given = pictures.float()
                given = given.contiguous(memory_format=torch.channels_last) if channels_last else given
            right = F.pad(right, (1, 2 + columns % block, 3, 2 + rows % block))
            cut = right.view(count, 3, right.shape[2] // block, block, right.shape[3] // block, block)
            right = cut.permute(0, 3, 5, 1, 2, 4).reshape(count, -1, *cut.shape[2:6:2])
            found = plan.run(given)[0]
            assert float((found - right).abs().max()) < 1e-4


def small_network(context: Context, batch: int, classes: int = 10) -> tuple[Plan, list[View]]:
    """A stem, two branches that are joined, a residual sum, a classifier; outputs: logits, and the joined branches."""
    torch.manual_seed(1)

    def weights(outputs: int, inputs: int, side: int, algorithm: str = "direct") -> Weights:
        kernel = torch.randn(outputs, inputs, side, side, dtype=torch.float64) / (inputs * side * side) ** 0.5
        return Weights(context, algorithm, kernel, torch.randn(outputs, dtype=torch.float64))

    plan = Plan(context, batch)
    first = plan.buffer(23, 23, 3)
    plan.add("pictures", first, (23, 23), UNPADDED, 1, ONE / 255, ONE * 0)
    stem, joined = plan.buffer(11, 11, 20), plan.buffer(11, 11, 45)
    plan.add("convolution", first, weights(20, 3, 3), 2, UNPADDED, [Segment(stem, relu=True)])
    left, right = View(joined.buffer, 0, 25), View(joined.buffer, 25, 20)
    plan.add("convolution", stem, weights(25, 20, 3, "F(4x4,3x3)"), 1, Sides(1, 1, 1, 1), [Segment(left, relu=True)])
    plan.add("pool", stem, "max", (3, 3), 1, Sides(1, 1, 1, 1), None, False, None, None, NOTHING, right, False)
    total = plan.buffer(11, 11, 20)
    plan.add("convolution", joined, weights(20, 45, 1), 1, UNPADDED, [Segment(total, stem, relu=True)])
    pooled, logits = plan.buffer(1, 1, 20), plan.buffer(1, 1, classes)
    plan.add("pool", total, "average", (11, 11), 1, UNPADDED, None, False, None, None, NOTHING, pooled, False)
    plan.add("convolution", pooled, weights(classes, 20, 1), 1, UNPADDED, [Segment(logits)])
    return plan, [logits, joined]


def test_buffers_that_are_not_needed_together_share_memory(library: Library) -> None:
    def bytes_of(steps: int) -> int:
        plan = Plan(Context(library), 1)
        x = plan.buffer(64, 64, 16)
        plan.add("pictures", x, (64, 64), UNPADDED, 1, torch.ones(16), torch.zeros(16))
        for _ in range(steps):
            x, before = plan.buffer(64, 64, 16), x
            plan.add("pool", before, *POINT, None, None, NOTHING, x, True)
        plan.finish(x)
        return plan.bytes

    assert bytes_of(9) == bytes_of(3)
    assert bytes_of(3) - bytes_of(1) == 64 * 64 * 16 * 4  # the output is the caller's: one is needed, then two


def test_outputs_in_the_middle_are_kept_while_later_operations_run(library: Library, level: str) -> None:
    context = Context(library, level)
    alone, both = small_network(context, 2), small_network(context, 2)
    alone[0].finish(alone[1][0])
    both[0].finish(*both[1])
    for _ in range(2):
        pictures = torch.randn(2, 3, 23, 23)
        results = both[0].run(pictures)
        assert torch.equal(alone[0].run(pictures)[0], results[0])
        assert [tuple(result.shape) for result in results] == [(2, 10, 1, 1), (2, 45, 11, 11)]
        assert float(results[1].abs().max()) > 0.1


@pytest.mark.parametrize("threads", [1, 2])
def test_calls_from_four_threads_give_equal_bytes(library: Library, level: str, threads: int) -> None:
    context = Context(library, level, threads)
    plans = []
    for _ in range(2):
        plan, outputs = small_network(context, 3)
        plan.finish(*outputs)
        plans.append(plan)
    pictures = [torch.randn(3, 3, 23, 23) for _ in range(4)]
    right = [plans[0].run(each) for each in pictures]

    def call(number: int) -> bool:
        results = plans[number % 2].run(pictures[number % 4])
        return all(map(torch.equal, results, right[number % 4]))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(200)))


def test_a_forked_process_computes_too(library: Library, level: str) -> None:
    """Whatever other threads were computing when it was forked."""
    script = f"""
import os, signal, sys, threading, torch
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from torchinception.engines.native_library import Context, load
from test_native_layers_operations import small_network
plan, outputs = small_network(Context(load(Path({str(library.path)!r})), {level!r}, 3), 2)
plan.finish(*outputs)
pictures = torch.randn(2, 3, 23, 23)
right = plan.run(pictures)
def compute():
    return all(map(torch.equal, plan.run(pictures), right))
def keep_on():
    while compute():
        pass
    os._exit(1)
assert compute()
threading.Thread(target=keep_on, daemon=True).start()
for _ in range(50):
    if not (child := os.fork()):
        signal.alarm(60)
    same = compute()
    if not child:
        os._exit(0 if same else 1)
    if os.waitpid(child, 0)[1] or not same:
        os._exit(1)
os._exit(0)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=120).returncode == 0


def test_what_each_operation_took_is_told(library: Library, level: str) -> None:
    plan, outputs = small_network(Context(library, level), 1)
    plan.finish(*outputs)
    times = (ctypes.c_int64 * plan.operations)()
    plan.run(torch.randn(1, 3, 23, 23), nanoseconds=times)
    assert plan.operations == 7
    assert all(time > 0 for time in times)


def test_the_matrix_product_reaches_four_fifths_of_the_peak(library: Library, level: str) -> None:
    # A compiler that spills its sums reaches a third. What else runs can only slow either down: once is enough.
    rates = (library.measure(level, 192, 0.1) for _ in range(20))
    assert any(product >= 0.8 * peak for peak, product in rates)


def test_what_generate_writes_is_current() -> None:
    spec = importlib.util.spec_from_file_location("generate", NATIVE / "generate.py")
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name, text in generate.files().items():
        assert (NATIVE / "source" / name).read_text() == text, f"python native/generate.py would change {name}"


def test_what_a_plan_copies_is_counted(library: Library) -> None:
    def bytes_of(*filters: Tensor) -> int:
        plan = Plan(Context(library), 1)
        x = plan.buffer(8, 8, 48)
        plan.add("pictures", x, (8, 8), UNPADDED, 1, torch.ones(48), torch.zeros(48))
        for kernel in filters:
            windows = ("filter", (3, 3), 1, Sides(1, 1, 1, 1), kernel, False)
            plan.add("pool", x, *windows, None, torch.ones(48), NOTHING, plan.buffer(8, 8, 48), False)
        plan.finish(x)
        return plan.bytes

    kernel = torch.ones(9, 48)
    assert bytes_of(kernel) - bytes_of() == (8 * 8 + 9 + 1) * 48 * 4


def test_a_maximum_of_what_is_not_a_number_is_none(library: Library, level: str) -> None:
    plan = Plan(Context(library, level), 1)
    x, y = plan.buffer(1, 3, 20), plan.buffer(1, 1, 20)
    plan.add("pictures", x, (1, 3), UNPADDED, 1, torch.ones(20), torch.zeros(20))
    plan.add("pool", x, "max", (1, 3), 1, UNPADDED, None, False, None, None, NOTHING, y, False)
    plan.finish(y)
    for place in range(3):
        pictures = torch.randn(1, 20, 1, 3)
        pictures[:, ::2, 0, place] = torch.nan
        assert plan.run(pictures)[0].isnan().flatten().equal(torch.arange(20) % 2 == 0), place

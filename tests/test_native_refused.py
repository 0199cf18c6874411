"""What the native library refuses, and that it goes on well then."""

import ctypes
from pathlib import Path

import pytest
import torch
from torch import Tensor

from torchinception.engines.native_library import NOTHING, POINT, Context, Library, Plan, Segment, View, Weights, load
from torchinception.engines.operations import UNPADDED, Sides
from torchinception.errors import UsageError

pytest_plugins = ("native_fixtures",)
ONE = torch.ones(3)


def pool(plan: Plan, x: View, padding: Sides, to: View, kind: str = "max", kernel: Tensor | None = None) -> None:
    plan.add("pool", x, kind, (3, 3), 2, padding, kernel, False, None, None, NOTHING, to, False)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda plan, x: plan.buffer(0, 3, 3), "no buffer can be 2 x 0 x 3 x 3"),
        (lambda plan, x: plan.add("response_norm", x, 1, 1, 1, 1, View(9, 0, 3)), "no buffer 9, there are 1"),
        (lambda plan, x: plan.add("response_norm", x, 1, 1, 1, 1, View(0, 1, 3)), "no channels 1 to 4 in buffer 0"),
        (lambda plan, x: plan.add("response_norm", x, 1, 1, 1, 1, plan.buffer(8, 9, 3)), "keeps its size"),
        (
            lambda plan, x: plan.add("pool", x, *POINT, None, None, plan.buffer(9, 8, 3), x, False),
            "what is added is of another size",
        ),
        (
            lambda plan, x: plan.add("pool", x, *POINT, None, None, NOTHING, plan.buffer(9, 9, 4), False),
            "a pool keeps its channels",
        ),
        (lambda plan, x: pool(plan, x, UNPADDED, plan.buffer(6, 6, 3)), "all begin inside"),
        (lambda plan, x: pool(plan, x, Sides(3, 0, 0, 0), plan.buffer(4, 4, 3)), "padding that is not below"),
        (lambda plan, x: pool(plan, x, UNPADDED, plan.buffer(6, 6, 3), "filter", torch.ones(9, 3)), "all begin inside"),
        (
            lambda plan, x: pool(plan, x, UNPADDED, plan.buffer(3, 4, 3), "filter", torch.ones(9, 3)),
            "makes 4 x 4, not 3 x 4",
        ),
        (
            lambda plan, x: plan.add("pool", x, *POINT, None, None, NOTHING, plan.buffer(9, 8, 3), False),
            "a window over 9 x 9 makes 9 x 9, not 9 x 8",
        ),
        (
            lambda plan, x: pool(plan, x, UNPADDED, plan.buffer(4, 4, 5), "filter", torch.ones(9, 3)),
            "keeps its channels",
        ),
        (lambda plan, x: pool(plan, x, UNPADDED, plan.buffer(4, 4, 3), "filter"), "a filter has a kernel"),
        (lambda plan, x: pool(plan, x, UNPADDED, plan.buffer(4, 4, 3), "max", torch.ones(9, 3)), "no other pool has"),
        (lambda plan, x: plan.add("response_norm", x, 5, 1, 1, 1, plan.buffer(9, 9, 3)), "a response norm of 5 of 3"),
        (
            lambda plan, x: plan.add("pictures", x, (8, 9), UNPADDED, 1, ONE, ONE),
            "border are 8 x 9, in blocks of 1 not 9 x 9",
        ),
        (lambda plan, x: plan.finish(View(5, 0, 1)), "no buffer 5"),
        (lambda plan, x: plan.finish(plan.buffer(1, 1, 1)), "nothing writes buffer 1"),
        (lambda plan, x: plan.run(torch.zeros(1, 3, 9, 9)), "not finished"),
        (lambda plan, x: (plan.finish(x), plan.run(torch.zeros(3, 3, 9, 9))), "3 images in a plan for 1 to 2"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(library: Library, mistake, words: str) -> None:  # type: ignore[no-untyped-def]
    plan = Plan(Context(library), 2)
    x = plan.buffer(9, 9, 3)
    plan.add("pictures", x, (9, 9), UNPADDED, 1, ONE, ONE)
    with pytest.raises(UsageError, match=words):
        mistake(plan, x)


def test_finishing_may_be_tried_again(library: Library) -> None:
    plan = Plan(Context(library), 1)
    x = plan.buffer(9, 9, 3)
    plan.add("pictures", x, (9, 9), UNPADDED, 1, ONE, torch.zeros(3))
    with pytest.raises(UsageError, match="an output twice"):
        plan.finish(x, x)
    plan.finish(x)
    pictures = torch.randn(1, 3, 9, 9)
    assert plan.run(pictures)[0].equal(pictures)


def test_weights_and_convolutions_that_do_not_fit_are_refused(library: Library) -> None:
    context = Context(library)
    kernel = torch.zeros(4, 3, 3, 3)
    with pytest.raises(UsageError, match=r"F\(4x4,5x5\) does not do a kernel of 3 x 3"):
        Weights(context, "F(4x4,5x5)", kernel, None)
    with pytest.raises(UsageError, match="segments do not add up to 4 outputs"):
        Weights(context, "direct", kernel, None, (1, 2))
    plan = Plan(context, 1)
    x, y = plan.buffer(9, 9, 3), plan.buffer(9, 9, 4)
    direct, winograd = (Weights(context, name, kernel, None) for name in ("direct", "F(4x4,3x3)"))
    for weights, stride, padding, to, words in [
        (direct, 1, UNPADDED, y, "a window over 9 x 9 makes 7 x 7, not 9 x 9"),
        (direct, 0, UNPADDED, y, "a stride below 1"),
        (direct, 1, Sides(3, 0, 0, 0), y, "padding that is not below the kernel"),
        (direct, 1, Sides(1, 1, 1, 1), x, "segment 0 has 4 channels, not 3"),
        (winograd, 2, Sides(1, 1, 1, 1), y, "does not do a stride of 2"),
    ]:
        with pytest.raises(UsageError, match=words):
            plan.add("convolution", x, weights, stride, padding, [Segment(to)])


def test_an_instruction_set_that_is_not_there_is_refused(library: Library) -> None:
    assert library.call("has_level", 0) == 0
    with pytest.raises(UsageError, match="instruction set 0 is not compiled in"):
        library.call("context_create", 0, 1, ctypes.byref(ctypes.c_void_p()))
    with pytest.raises(UsageError, match="0 threads"):
        Context(library, threads=0)


def test_a_library_that_is_not_there_is_refused_in_so_many_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be loaded"):
        load(tmp_path / "libtorchinception.so")


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_refused_leaves_a_finished_plan_as_it_was(library: Library, threads: int) -> None:
    context = Context(library, threads=threads)
    plan = Plan(context, 1)
    x, y = plan.buffer(32, 32, 16), plan.buffer(32, 32, 16)
    plan.add("pictures", x, (32, 32), UNPADDED, 1, torch.ones(16), torch.zeros(16))
    direct = Weights(context, "direct", torch.randn(16, 16, 1, 1, dtype=torch.float64), None)
    plan.add("convolution", x, direct, 1, UNPADDED, [Segment(y)])
    plan.finish(y)
    pictures = torch.randn(1, 16, 32, 32)
    right, before = plan.run(pictures)[0], plan.bytes
    large = Weights(context, "F(6x6,3x3)", torch.randn(16, 16, 3, 3, dtype=torch.float64), None)
    with pytest.raises(UsageError, match="the plan is finished"):
        plan.add("convolution", x, large, 1, Sides(1, 1, 1, 1), [Segment(y)])
    assert plan.bytes == before
    assert plan.run(pictures)[0].equal(right)

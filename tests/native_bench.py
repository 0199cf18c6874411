"""Plans of one operation of the native engine, run in surroundings that show what is wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from torchinception.engines.native_library import NOTHING, POINT, Context, Plan, View
from torchinception.engines.operations import UNPADDED

NUMBER = 7.0  # what views are surrounded with, so that a write beside them shows


class Bench:
    """A plan of one operation, run twice, on other pictures.

    What it reads is surrounded by channels that are not numbers, what it writes by some that must stay as they are.
    """

    def __init__(self, context: Context, batch: int, size: tuple[int, int], channels: int) -> None:
        self.plan, self.size, self.batch = Plan(context, batch), size, batch
        self.pictures = [torch.randn(batch, channels, *size) for _ in range(2)]
        self.buffers: list[tuple[View, View]] = []
        self.first = self.plan.buffer(*size, channels)
        self.plan.add("pictures", self.first, size, UNPADDED, 1, torch.ones(channels), torch.zeros(channels))
        self.input = self.surrounded(size, channels)
        whole, count = self.buffers[0][0], self.buffers[0][0].channels
        self.plan.add("pool", whole, *POINT, None, torch.full((count,), torch.nan), NOTHING, whole, False)
        self.plan.add("pool", self.first, *POINT, None, None, NOTHING, self.input, False)

    def surrounded(self, size: tuple[int, int], channels: int, before: int = 3, behind: int = 2) -> View:
        """A view that lies between other channels."""
        whole = self.plan.buffer(*size, before + channels + behind)
        view = View(whole.buffer, before, channels)
        self.buffers.append((whole, view))
        return view

    def run(self, pictures: Tensor) -> list[Tensor]:
        """As `Plan.run`, into memory that is full of one number."""
        shapes = [self.plan.shapes[buffer] for buffer in self.plan.outputs]
        return self.plan.run(pictures, [torch.full((len(pictures), *shape), NUMBER) for shape in shapes])

    def check(self, outputs: list[View], expected: Callable[[Tensor], list[Tensor]], tolerance: float) -> float:
        """Both runs against float64; the largest error, by the scale of what is expected."""
        wholes = [next(whole for whole, view in self.buffers if view is output) for output in outputs]
        self.plan.finish(*wholes)
        worst = 0.0
        for pictures in self.pictures:
            results = self.run(pictures)
            for result, view, right in zip(results, outputs, expected(pictures.double()), strict=True):
                inside = result[:, view.offset : view.offset + view.channels]
                assert inside.shape == right.shape
                error = float((inside - right).abs().max() / right.abs().max().clamp(min=1))
                assert error <= tolerance, f"off by {error:.1e}"
                outside = torch.cat((result[:, : view.offset], result[:, view.offset + view.channels :]), 1)
                assert torch.equal(outside, torch.full_like(outside, NUMBER))
                worst = max(worst, error)
        return worst

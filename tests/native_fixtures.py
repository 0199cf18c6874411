"""The native library, built for the tests if it is not there, and plans of one operation."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from torchinception.engines.native_library import FLOAT_NCHW, Context, Library, Plan, View, load
from torchinception.engines.operations import UNPADDED

NATIVE = Path(__file__).parents[1] / "native"
LEVELS = ("avx2", "avx512", "neon")
NUMBER = 7.0  # what views are surrounded with, so that a write beside them shows


@pytest.fixture(scope="session")
def library() -> Library:
    if built := os.environ.get("TORCHINCEPTION_NATIVE"):  # with sanitizers, say
        return load(Path(built))
    if shutil.which("cmake") is None:
        pytest.skip("there is no CMake to build the native engine with")
    build = NATIVE / "build"
    for command in (["cmake", "-S", NATIVE, "-B", build], ["cmake", "--build", build, "--parallel"]):
        subprocess.run(command, check=True, capture_output=True)
    return load(build / "libtorchinception.so")


@pytest.fixture(params=LEVELS)
def level(library: Library, request: pytest.FixtureRequest) -> str:
    if request.param not in library.levels():
        pytest.skip(f"this processor, or this build, has no {request.param}")
    return str(request.param)


class Bench:
    """A plan of one operation, run twice, on other pictures.

    What it reads is surrounded by channels that are not numbers, what it writes by some that must stay as they are.
    """

    def __init__(self, context: Context, batch: int, size: tuple[int, int], channels: int) -> None:
        self.plan, self.size, self.batch = Plan(context, batch), size, batch
        self.pictures = [torch.randn(batch, channels, *size) for _ in range(2)]
        self.buffers: list[tuple[View, View]] = []
        self.first = self.plan.buffer(*size, channels)
        self.plan.pictures(self.first, size, UNPADDED, 1, torch.ones(channels), torch.zeros(channels))
        self.input = self.surrounded(size, channels)
        whole, count = self.buffers[0][0], self.buffers[0][0].channels
        self.plan.affine(whole, None, torch.full((count,), torch.nan), whole, relu=False)
        self.plan.affine(self.first, None, None, self.input, relu=False)

    def surrounded(self, size: tuple[int, int], channels: int, before: int = 3, behind: int = 2) -> View:
        """A view that lies between other channels."""
        whole = self.plan.buffer(*size, before + channels + behind)
        view = View(whole.buffer, before, channels)
        self.buffers.append((whole, view))
        return view

    def run(self, pictures: Tensor) -> list[Tensor]:
        """As `Plan.run`, into memory that is full of one number."""
        shapes = [self.plan.shapes[buffer] for buffer in self.plan.outputs]
        results = [torch.full((len(pictures), *shape), NUMBER) for shape in shapes]
        places = (ctypes.c_void_p * len(results))(*(result.data_ptr() for result in results))
        arguments = (self.plan.handle, len(pictures), FLOAT_NCHW, pictures.data_ptr(), places, None)
        self.plan.library.call("plan_run", *arguments)
        return [result.permute(0, 3, 1, 2) for result in results]

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

"""Networks that have learned from real pictures: the native engine names 500 others as float64 PyTorch does."""

import runpy
from pathlib import Path

import pytest
import torch
from engine_fixtures import error
from test_native_engine import TOLERANCE

from torchinception.data.sample import CLASSES, SIDE
from torchinception.engines.eager_engine import EagerEngine
from torchinception.engines.native_engine import NativeEngine, native_problem
from torchinception.layers import avg_pool, concat, conv, max_pool
from torchinception.models import Inception, create

pytestmark = pytest.mark.skipif(bool(native_problem()), reason=native_problem() or "it is there")

TRAINED = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "trained.py"))
PICTURES = 500
LEARNED = 0.5  # of the pictures named right; 0.62 and 0.68 were seen, and one in ten is chance
STEPS = {"tiny_inception": 100, "every kernel": 60}
RATE = 1e-2  # more than large networks bear


def every_kernel() -> Inception:
    """A convolution of each shape that an algorithm of Winograd's is for."""
    stages = dict(
        conv_1=conv(32, 3),
        mixed_2=concat([conv(32)], [conv(32), conv(32, (1, 7)), conv(32, (7, 1))], [conv(32), conv(32, 5)]),
        mixed_3=concat([conv(64, 3, stride=2, pad=0)], [max_pool(3, stride=2, pad=0)]),
        mixed_4=concat([conv(64, 3)], [conv(64), conv(64, (1, 3)), conv(64, (3, 1))], [avg_pool(), conv(64)]),
    )
    return Inception("every kernel", stages, len(CLASSES), min_size=7)


@pytest.mark.parametrize("name", STEPS)
def test_trained_networks_name_every_picture_as_in_float64(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = create(name, len(CLASSES)) if name != "every kernel" else every_kernel()
    TRAINED["train"](net, SIDE, STEPS[name], RATE)
    small, labels = TRAINED["sample"]("test", PICTURES)
    pictures = TRAINED["enlarge"](small, SIDE)
    right = EagerEngine(net, precision="fp64").run(pictures)
    assert (right.argmax(1) == labels).double().mean() >= LEARNED
    for tier, tolerance in TOLERANCE.items():
        answer = NativeEngine(net, threads=1, tier=tier, tune=False).run(pictures)
        assert error(answer, right) <= tolerance, tier
        assert answer.argmax(1).equal(right.argmax(1)), tier


def test_every_kernel_is_computed_by_an_algorithm_of_its_own() -> None:
    engine = NativeEngine(every_kernel(), threads=1, tune=False)
    engine.run(torch.zeros(1, 3, SIDE, SIDE))
    algorithms = {algorithm for _, algorithm in engine._weights}
    for kernel in ("3x3)", "5x5)", "1x7)", "7x1)", "1x3)", "3x1)"):
        assert any(algorithm.endswith(kernel) for algorithm in algorithms), kernel

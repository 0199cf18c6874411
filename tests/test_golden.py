"""Golden values: every network on formula weights and a formula picture, in float64, as frozen in `golden.json`.

Each stage is frozen as one weighted mean, the logits and those of the auxiliary heads as a handful of numbers. The
second half shows that mistakes which leave every shape and every count as it is do not leave these values as they are.

Meant to change? `REFRESH_FROZEN=1 make test` writes the file anew; look at the difference.
"""

import contextlib
import copy
import functools
import json
import math
import os
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from torchinception.layers import Residual, SamePad
from torchinception.models import NETWORKS, Inception, create

GOLDEN = Path(__file__).parent / "golden.json"
TOLERANCE = 1e-9  # float64 sums in another order (threads, instruction sets) move these values by up to 1e-12
NOTICED = 1e-6  # a mistake moves them by more than this: a thousand times the tolerance
PERIOD = 1_000_003  # prime, so that the formula never falls into step with a kernel or a row of pixels
# 139 px leave v3 and its kin a last grid of 3x3, on which wrong pools still show. 160 and, in Xception, 165 px make
# the grid even ahead of every pool of stride 2: on odd grids TensorFlow's padding and Caffe's rounding are the usual.
SIZES = {299: 139, 224: 160, 28: 28} | {"xception": 165, "xception_torch": 165}


@functools.cache
def noise() -> Tensor:
    """PERIOD numbers in [-1, 1), repeated beyond the largest kernel, by integer arithmetic: alike on every machine."""
    bits = torch.arange(PERIOD)
    for factor, shift in ((0x45D9F3B, 16), (0x119DE1F3, 15)):
        bits = bits * factor % 2**31
        bits = bits ^ (bits >> shift)
    return (bits.double() / 2**30 - 1).repeat(16)


def formula(name: str, shape: torch.Size, centre: float = 0.0, spread: float = 1.0) -> Tensor:
    """Value i is `centre + spread * noise[crc32(name) + i]`."""
    start = zlib.crc32(name.encode()) % PERIOD
    return noise()[start : start + math.prod(shape)].mul(spread).add_(centre).view(shape)


class Run(NamedTuple):
    """A network, what each of its stages was given, and the values that are frozen of it."""

    net: Inception
    given: dict[str, Tensor]
    values: dict[str, float]


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest) -> Run:
    net, spec = build(request.param), NETWORKS[request.param]
    size = SIZES.get(net.name, SIZES.get(spec.size))
    given, values = {}, {}
    x = formula("picture", torch.Size((1, 3, size, size)))
    for name, stage in net.trunk.named_children():
        given[name] = x
        x = stage(x)
        values[name] = weighted_mean(name, x)
    values |= handful("logits", net.classifier(x.mean((2, 3))))
    for name, head in net.aux.items():
        width = next(module.in_channels for module in head.modules() if isinstance(module, nn.Conv2d))
        side = {224: 14, 299: 17}[spec.size]  # of the grid that the head is made for
        values |= handful(f"aux {name}", head(formula(f"aux {name}", torch.Size((1, width, side, side)), 1.0)))
    return Run(net, given, values)


def build(network: str) -> Inception:
    """Kernels as wide as He has them, so that activations neither fade nor explode; all else is near 0 or 1."""
    with torch.device("meta"):
        net = create(network, aux=True)
    values = {}
    for name, value in net.state_dict().items():
        if value.ndim > 1:
            centre, spread = 0.0, math.sqrt(6 / value[0].numel())
        else:
            centre, spread = (1.0, 0.5) if name.endswith(("bn.weight", "bn.running_var")) else (0.0, 0.1)
        values[name] = formula(name, value.shape, centre, spread)
    net.load_state_dict(values, assign=True)
    return net.eval().requires_grad_(False)


def weighted_mean(name: str, x: Tensor) -> float:
    """Each cell with a weight of its own between 0 and 2, so that none can take another's place."""
    return (x * formula(name, x.shape, 1.0)).mean().item()


def handful(name: str, logits: Tensor) -> dict[str, float]:
    return {f"{name} {index}": value for index, value in enumerate(logits[0, :5].tolist())}


def golden(network: str) -> dict[str, float]:
    return json.loads(GOLDEN.read_text())[network]


@pytest.mark.parametrize("run", NETWORKS, indirect=True, scope="module")
def test_values_are_the_frozen_ones(run: Run) -> None:
    if os.environ.get("REFRESH_FROZEN") == "1":
        frozen = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
        frozen[run.net.name] = {name: float(f"{value:.12g}") for name, value in run.values.items()}
        GOLDEN.write_text(json.dumps({name: frozen[name] for name in NETWORKS if name in frozen}, indent=1) + "\n")

    assert run.values == pytest.approx(golden(run.net.name), rel=TOLERANCE)


class Mistake(NamedTuple):
    what: str
    befalls: Callable[[Any], bool]
    wrong: Callable[[Any], nn.Module]
    networks: Collection[str]


def transposed(conv: nn.Conv2d) -> nn.Module:
    wrong = copy.deepcopy(conv)
    wrong.weight = nn.Parameter(conv.weight.transpose(2, 3).contiguous(), requires_grad=False)
    return changed(wrong, kernel_size=conv.kernel_size[::-1], padding=conv.padding[::-1])


def slipped(conv: nn.Conv2d) -> nn.Module:
    top, left = conv.padding
    sides = (left + 1, left - 1) if left else (0, 0), (top + 1, top - 1) if top else (0, 0)
    return nn.Sequential(nn.ZeroPad2d((*sides[0], *sides[1])), changed(conv, padding=(0, 0)))


def changed(module: nn.Module, **attributes: object) -> nn.Module:
    wrong = copy.copy(module)
    vars(wrong).update(attributes)
    return wrong


AVERAGE, MAX, CONV = nn.AvgPool2d, nn.MaxPool2d, nn.Conv2d
NORMALIZED = NETWORKS.keys() - {"googlenet", "googlenet_naive"}
SCALED = {"inception_resnet_v1", "inception_resnet_v2", "inception_resnet_v2_paper"}
V3 = {"inception_v2", "inception_v3", "inception_v3_torch", "inception_v3_fid", "inception_v4"}
AVERAGING = {"bn_inception", "bn_inception_slim", "inception_resnet_v2"} | V3
CEILED = {"googlenet", "googlenet_bn", "googlenet_torch", "googlenet_naive"}
# fmt: off
MISTAKES = (
    Mistake("1x7 for 7x1", lambda m: isinstance(m, CONV) and m.kernel_size[0] != m.kernel_size[1],
            transposed, V3 | SCALED),
    Mistake("padding slips by a pixel", lambda m: isinstance(m, CONV) and any(m.padding), slipped, NETWORKS),
    Mistake("average for max", lambda m: isinstance(m, MAX),
            lambda m: AVERAGE(m.kernel_size, m.stride, m.padding, m.ceil_mode), NETWORKS),
    Mistake("max for average", lambda m: isinstance(m, AVERAGE),
            lambda m: MAX(m.kernel_size, m.stride, m.padding), AVERAGING),
    Mistake("padding counted or not", lambda m: isinstance(m, AVERAGE) and bool(m.padding),
            lambda m: changed(m, count_include_pad=not m.count_include_pad), AVERAGING),
    Mistake("rounded down", lambda m: isinstance(m, MAX) and m.ceil_mode and m.kernel_size == 3,
            lambda m: changed(m, ceil_mode=False), CEILED),
    Mistake("symmetric for SAME", lambda m: isinstance(m, SamePad) and m.kernel % 2 == 1,
            lambda m: nn.ConstantPad2d(m.kernel // 2, m.value), {"googlenet_slim", "bn_inception_slim", "xception"}),
    Mistake("zeros around a max pool", lambda m: isinstance(m, SamePad) and m.value < 0,
            lambda m: changed(m, value=0.0), {"xception"}),  # elsewhere a ReLU comes first
    Mistake("residual scale", lambda m: isinstance(m, Residual), lambda m: changed(m, scale=1.1 * m.scale), SCALED),
    Mistake("last ReLU", lambda m: isinstance(m, Residual), lambda m: changed(m, relu=not m.relu), SCALED),
    Mistake("ReLU missing", lambda m: isinstance(m, nn.ReLU), lambda m: nn.Identity(), NETWORKS),
    Mistake("batch norm's eps", lambda m: isinstance(m, nn.BatchNorm2d),
            lambda m: changed(m, eps={1e-3: 1e-5, 1e-5: 1e-3}[m.eps]), NORMALIZED),
)
# fmt: on
MADE = [pytest.param(name, m, id=f"{name}-{m.what}") for name in NETWORKS for m in MISTAKES if name in m.networks]


@pytest.mark.parametrize(("run", "mistake"), MADE, indirect=["run"], scope="module")
def test_a_mistake_in_any_stage_shows_there_and_in_the_logits(run: Run, mistake: Mistake) -> None:
    trunk, right = run.net.trunk, golden(run.net.name)
    stages = [name for name, stage in trunk.named_children() if any(map(mistake.befalls, stage.modules()))]

    found = {}
    for stage in stages:
        with made(mistake, trunk, stage):
            x = trunk.get_submodule(stage)(run.given[stage].clone())
        found[stage] = weighted_mean(stage, x)
    for stage in list(run.given)[list(run.given).index(stages[-1]) + 1 :]:
        x = trunk.get_submodule(stage)(x)
    logits = handful("logits", run.net.classifier(x.mean((2, 3))))

    assert [stage for stage in stages if found[stage] == pytest.approx(right[stage], rel=NOTICED)] == []
    assert logits != pytest.approx({name: right[name] for name in logits}, rel=NOTICED)


@contextlib.contextmanager
def made(mistake: Mistake, trunk: nn.Module, stage: str) -> Iterator[None]:
    """The first module of a stage that the mistake can befall, replaced for a while."""
    name = next(n for n, m in trunk.named_modules() if f"{n}.".startswith(f"{stage}.") and mistake.befalls(m))
    parent, _, leaf = name.rpartition(".")
    right = trunk.get_submodule(name)
    setattr(trunk.get_submodule(parent), leaf, mistake.wrong(right))
    yield
    setattr(trunk.get_submodule(parent), leaf, right)

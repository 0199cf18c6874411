"""The quickest algorithm for each convolution of a network: timed inside of the network, and remembered."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ctypes import c_int64
from pathlib import Path

import torch
from torch import Tensor

from torchinception.engines.native_library import FLOATS, VERSION, Library, Plan
from torchinception.engines.native_plan import Layer, Lowering
from torchinception.errors import SaveError
from torchinception.files import cache_folder, write_atomically
from torchinception.layers import Pair
from torchinception.machine import processor_name

Algorithms = Mapping[str, str]  # by the key of a layer; of others the rule says which
Lower = Callable[[Algorithms], Lowering]
GAIN = 1.03  # what another algorithm has to gain on that of the rule, and all of them together
RUNS = 5


def tuned(lower: Lower, rule: Callable[[Layer], str], tier: str, shape: tuple[int, ...], context: Pair) -> Plan:
    """The plan for pictures of this shape with the algorithms that are quickest on this machine.

    They are measured once, in some seconds, for layers of these shapes, whatever their weights. `context`: how many
    threads, and the number of the instruction set.
    """
    lowering = lower({})
    library, layers = lowering.plan.loaded, list(lowering.layers.values())
    of = [(layer.key, layer.stride, layer.size) for layer in layers]
    about = (VERSION, processor_name(), context, tier, library.algorithms, shape, of)
    path = cache_folder() / "engines" / f"native-{hashlib.sha256(repr(about).encode()).hexdigest()[:32]}.json"
    found = _read(path, library.algorithms)
    if found is None:
        candidates = {layer.key: _candidates(layer, rule(layer), tier, library) for layer in layers}
        pictures = torch.rand(shape, generator=torch.Generator().manual_seed(0), **FLOATS)
        found = _measure(lower, candidates, pictures)
        with suppress(SaveError):  # then it is measured again
            write_atomically(path, json.dumps(found))
    return lower(found).plan if found else lowering.plan


def _measure(lower: Lower, candidates: Mapping[str, Sequence[str]], pictures: Tensor) -> dict[str, str]:
    """Plan after plan, each with another algorithm for every layer that has more to try.

    What was the quickest in these may not be in a plan of its own, so that plan has to gain as much on the rule's.
    """
    found, times = dict[str, str](), dict[str, float]()
    for turn in range(max(map(len, candidates.values()), default=0)):
        tried = {key: names[turn] for key, names in candidates.items() if turn < len(names)}
        lowering = lower(tried)
        took = _profile(lowering.plan, pictures)
        for number, layer in lowering.layers.items():
            if layer.key in tried and took[number] < times.get(layer.key, float("inf")):
                times[layer.key] = took[number] if turn else took[number] / GAIN
                found[layer.key] = tried[layer.key]
    ruled = {key: names[0] for key, names in candidates.items()}
    before, after = (sum(_profile(lower(each).plan, pictures)) for each in (ruled, found))
    return found if after * GAIN < before else ruled


def _candidates(layer: Layer, first: str, tier: str, library: Library) -> list[str]:
    shape = (*layer.kernel.shape[2:], layer.stride)
    fits = [name for i, name in enumerate(library.algorithms) if library.call("algorithm_fits", i, *shape)]
    return [first, *(x for x in fits if x != first and tier != "direct" and (tier == "fast" or not is_fast(x)))]


def is_fast(algorithm: str) -> bool:
    """Whether its errors are for the tier of that name alone, as choice.cpp has it: six outputs a side."""
    return "6" in algorithm.partition(",")[0]


def _profile(plan: Plan, pictures: Tensor) -> list[int]:
    """Nanoseconds of each operation: the least of some runs."""
    runs = [(c_int64 * plan.operations)() for _ in range(RUNS)]
    for nanoseconds in runs:
        plan.run(pictures, nanoseconds=nanoseconds)
    return [min(each) for each in zip(*runs, strict=True)]


def _read(path: Path, algorithms: Sequence[str]) -> dict[str, str] | None:
    """What was found before; None if nothing was, or it is damaged."""
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict) and all(name in algorithms for name in found.values()):
            return found
    return None

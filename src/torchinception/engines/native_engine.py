"""The native engine: our own library, which computes fewer multiplications than others (docs/native.md)."""

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version

import torch
from torch import Tensor

from torchinception.engines.graph import Graph, to_graph
from torchinception.engines.memory import growth_bytes, resident_bytes
from torchinception.engines.native_library import FLOATS, TIERS, Context, Plan, Weights, load
from torchinception.engines.native_plan import REWRITES, Layer, Lowering, check_operations
from torchinception.engines.native_tuning import tuned
from torchinception.engines.rewrite import rewrite
from torchinception.errors import UsageError
from torchinception.layers import Pair
from torchinception.network import Inception

KEPT = 2  # plans
PIXELS = 2 * 224**2  # at a time; more are no quicker, and take memory: only of small pictures many pay


def native_problem() -> str:
    """Why there is no native engine here; empty if there is."""
    try:
        return "" if load().levels() else "the native engine needs a processor with AVX2 and FMA"
    except UsageError as error:
        return str(error)


def describe_native() -> str:
    """Which instructions the native engine uses here, or why there is none."""
    return native_problem() or f"with {load().levels()[-1]}"


class NativeEngine:
    """A network's answers and features, computed by the native library; the network is not kept, nor changed.

    The first call of each size makes a plan, for a second at most; the last two are kept. What an engine answers for a
    picture depends on no other one. Without `tune` it does not depend on the number of threads either, only on `batch`.

    Args:
        net: what to run, in evaluation mode whatever its own is.
        mean: of `run_uint8`'s pictures, each channel of 0 to 1, as in `Preprocess`; None: 0.5.
        std: likewise.
        batch: how many pictures are computed at a time, at most; of large ones it is one.
        threads: how many a call uses; None: as many as PyTorch.
        tier: "direct", "default" or "fast": of the algorithms, those without Winograd's, those whose errors are of
            the order of these, or all.
        tune: find the quickest algorithm for each layer, once for a network on a machine, some seconds for each size;
            else a rule says which one it should be.

    Raises:
        UsageError: a module that is no part of the family, or that the library has not; it is not there, no such tier,
            or not one mean or deviation for each channel.
    """

    name = "native"
    precision = "fp32"

    def __init__(
        self,
        net: Inception,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        batch: int = 1,
        threads: int | None = None,
        tier: str = "default",
        tune: bool = True,
    ) -> None:
        if tier not in TIERS:
            raise UsageError(f"no tier {tier}; expected {', '.join(TIERS)}")
        self._before, self.version = resident_bytes(), version("torchinception")
        self.threads, self.tier = torch.get_num_threads() if threads is None else threads, tier
        self._context = Context(load(), threads=self.threads)
        self.graph = rewrite(to_graph(net), REWRITES).to(torch.float32)
        check_operations(self.graph)
        self.channels, self._batch, self._tune = net.channels, batch, tune
        self._mean, self._std = (torch.tensor(each or [0.5] * net.channels, **FLOATS) for each in (mean, std))
        if not len(self._mean) == len(self._std) == net.channels:
            raise UsageError(f"{len(self._mean)} means and {len(self._std)} deviations for {net.channels} channels")
        self._scaling = (1 / (255 * self._std), -self._mean / self._std)
        self._plans = dict[tuple[str | None, Pair], Plan]()
        self._locks = dict[int, threading.Lock]()  # by process: a fork may find its parent's taken
        self._weights: weakref.WeakValueDictionary[tuple[str, str], Weights] = weakref.WeakValueDictionary()
        self.memory_bytes = growth_bytes(self._before)

    def run(self, pictures: Tensor) -> Tensor:
        """Float32 (N, C, H, W), as `Preprocess.normalize` makes them -> logits, float32 (N, classes)."""
        return self._compute(pictures.to("cpu", torch.float32)).flatten(1)

    def run_uint8(self, pictures: Tensor) -> Tensor:
        """Uint8 (N, H, W, C), cut to size and not yet scaled -> logits, float32 (N, classes)."""
        return self._compute(pictures.to("cpu", torch.uint8)).flatten(1)

    def features(self, pictures: Tensor, stage: str) -> Tensor:
        """Float32 (N, C, H, W) as for `run` -> what a stage puts out, float32 (N, C', H', W'); no later one runs.

        Raises:
            UsageError: the network has no such stage.
        """
        return self._compute(pictures.to("cpu", torch.float32), stage)

    @property
    def packed_bytes(self) -> int:
        """Of the packed weights, and of the buffers of all plans."""
        return sum(each.bytes for each in self._weights.values()) + sum(plan.bytes for plan in self._plans.values())

    def _compute(self, pictures: Tensor, stage: str | None = None) -> Tensor:
        if pictures.dim() != 4 or 0 in pictures.shape[1:]:
            raise UsageError(f"pictures are (N, C, H, W), of uint8 (N, H, W, C), not {tuple(pictures.shape)}")
        _, channels, rows, columns = (pictures.permute(0, 3, 1, 2) if pictures.dtype == torch.uint8 else pictures).shape
        if channels != self.channels:
            raise UsageError(f"the network takes pictures of {self.channels} channels, not {channels}")
        plan = self._plan(stage, (rows, columns))
        answers = torch.empty(len(pictures), *plan.shapes[plan.outputs[0]], **FLOATS)  # (N, H, W, C)
        for start in range(0, len(pictures), batch := self._fitting_batch((rows, columns))):
            plan.run(pictures[start : start + batch], [answers[start : start + batch]])
        return answers.permute(0, 3, 1, 2)

    def _plan(self, stage: str | None, size: Pair) -> Plan:
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            first = (stage, size) not in self._plans
            plan = self._plans.pop((stage, size), None) or self._make(stage, size)
            self._plans[stage, size] = plan  # in order of their last use
            for oldest in list(self._plans)[:-KEPT]:
                del self._plans[oldest]
            if first:
                self.memory_bytes = growth_bytes(self._before)
        return plan

    def _make(self, stage: str | None, size: Pair) -> Plan:
        lower = partial(self._lower, self.graph if stage is None else self.graph.up_to(stage), size)
        if not self._tune:
            return lower({}).plan
        shape = (batch := self._fitting_batch(size), self.channels, *size)
        return tuned(lower, partial(self._rule, batch), self.tier, shape, (self.threads, self._context.level))

    def _lower(self, graph: Graph, size: Pair, algorithms: Mapping[str, str]) -> Lowering:
        plan = Plan(self._context, batch := self._fitting_batch(size))
        lowering = Lowering(graph, size, plan, partial(self._pack, algorithms, batch), *self._scaling)
        plan.finish(lowering.views[graph.output])
        return lowering

    def _fitting_batch(self, size: Pair) -> int:
        return max(1, min(self._batch, PIXELS // (size[0] * size[1])))

    def _pack(self, algorithms: Mapping[str, str], batch: int, layer: Layer) -> Weights:
        """Plans share the weights of the same algorithm, which live as long as one of them."""
        algorithm = algorithms.get(layer.key) or self._rule(batch, layer)
        if (weights := self._weights.get((layer.key, algorithm))) is None:
            weights = Weights(self._context, algorithm, layer.kernel, layer.bias, layer.segments)
            self._weights[layer.key, algorithm] = weights
        return weights

    def _rule(self, batch: int, layer: Layer) -> str:
        return self._context.choose(self.tier, layer.kernel.shape, layer.stride, batch, *layer.size)

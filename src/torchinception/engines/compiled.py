"""What engines share whose runtime compiles a model of ONNX for each shape of its input."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from torchinception.engines.graph import to_graph
from torchinception.engines.onnx_model import write_onnx
from torchinception.engines.rewrite import Rewrite, fold_scaling, rewrite, scale_input
from torchinception.layers import Pair
from torchinception.network import Inception

KEPT = 2  # compiled models: of whole batches, and of the last one

Compiled = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class _Task(NamedTuple):
    """What a compiled model computes, and of what."""

    stage: str | None
    uint8: bool
    size: Pair
    batch: int | None


class CompiledEngine(ABC):
    """A network's answers and features, computed by a runtime; the network itself is not kept, nor changed.

    The first call of each shape compiles, for a second or two; the last two models are kept.

    Args:
        net: what to run, in evaluation mode whatever its own is.
        mean: of `run_uint8`'s pictures, each channel of 0 to 1, as in `Preprocess`.
        std: likewise.
        threads: how many a call uses; None: as many as PyTorch.
        rewrites: of the graph; None: those that are worth while in this runtime.

    Raises:
        UsageError: a module that is no part of the family, or a package that is not installed.
    """

    name: str
    version: str
    precision = "fp32"
    rewrites: tuple[Rewrite, ...]
    any_batch: bool  # whether one compiled model takes batches of every size, and as quickly

    def __init__(
        self,
        net: Inception,
        *,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        threads: int | None = None,
        rewrites: Sequence[Rewrite] | None = None,
    ) -> None:
        self._load()
        self.threads = torch.get_num_threads() if threads is None else threads
        self.graph = rewrite(to_graph(net), self.rewrites if rewrites is None else rewrites).to(torch.float32)
        self._mean, self._std = mean, std
        self._compiled = dict[_Task, Compiled]()

    def run(self, pictures: Tensor) -> Tensor:
        """Float32 (N, C, H, W), as `Preprocess.normalize` makes them -> logits, float32 (N, classes)."""
        return self._compute(pictures, None)

    def run_uint8(self, pictures: Tensor) -> Tensor:
        """Uint8 (N, H, W, C), cut to size and not yet scaled -> logits, float32 (N, classes)."""
        return self._compute(pictures, None, uint8=True)

    def features(self, pictures: Tensor, stage: str) -> Tensor:
        """Float32 (N, C, H, W) as for `run` -> what a stage puts out, float32 (N, C', H', W'); no later one runs.

        Raises:
            UsageError: the network has no such stage.
        """
        return self._compute(pictures, stage)

    @abstractmethod
    def _load(self) -> None:
        """Import the runtime, and say its version."""

    @abstractmethod
    def _compile(self, model: bytes) -> Compiled:
        """A model of ONNX in the form that this runtime computes with."""

    def _compute(self, pictures: Tensor, stage: str | None, *, uint8: bool = False) -> Tensor:
        height, width = pictures.shape[1:3] if uint8 else pictures.shape[2:]
        task = _Task(stage, uint8, (height, width), None if self.any_batch else len(pictures))
        compiled = self._compiled.pop(task, None) or self._compile(self._write(task))
        self._compiled[task] = compiled  # in order of their last use
        for oldest in list(self._compiled)[:-KEPT]:
            del self._compiled[oldest]
        return torch.from_numpy(compiled(pictures.contiguous().numpy()))

    def _write(self, task: _Task) -> bytes:
        graph = self.graph if task.stage is None else self.graph.up_to(task.stage)
        if task.uint8:
            graph = fold_scaling(scale_input(graph, self._mean, self._std))
        model: bytes = write_onnx(graph, task.size, batch=task.batch, uint8=task.uint8).SerializeToString()
        return model

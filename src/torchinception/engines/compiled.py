"""What engines share whose runtime compiles a model of ONNX for each shape of its input."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from torchinception.engines.graph import to_graph
from torchinception.engines.memory import growth_bytes, resident_bytes
from torchinception.engines.onnx_model import write_onnx
from torchinception.engines.rewrite import Rewrite, fold_scaling, rewrite, scale_input
from torchinception.layers import Pair
from torchinception.network import Inception

KEPT = 2  # compiled models

Compiled = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class Task(NamedTuple):
    """What a compiled model computes, and of what."""

    stage: str | None
    uint8: bool
    size: Pair


class CompiledEngine(ABC):
    """A network's answers and features, computed by a runtime; the network itself is not kept, nor changed.

    The first call of each size and kind compiles, for a second or two; the last two models are kept. A model takes
    `batch` pictures, or any number where that is as quick: fewer are filled up, more are taken in turn.

    Args:
        net: what to run, in evaluation mode whatever its own is.
        mean: of `run_uint8`'s pictures, each channel of 0 to 1, as in `Preprocess`.
        std: likewise.
        batch: how many pictures at a time it is to be quickest for.
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
        batch: int = 1,
        threads: int | None = None,
        rewrites: Sequence[Rewrite] | None = None,
    ) -> None:
        self._before = resident_bytes()
        self._load()
        self.threads = torch.get_num_threads() if threads is None else threads
        self.graph = rewrite(to_graph(net), self.rewrites if rewrites is None else rewrites).to(torch.float32)
        self._mean, self._std, self._batch = mean, std, batch
        self._compiled = dict[Task, Compiled]()
        self.memory_bytes = growth_bytes(self._before)

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
        task = Task(stage, uint8, (height, width))
        first = task not in self._compiled
        compiled = self._compiled.pop(task, None) or self._compile(self._write(task))
        self._compiled[task] = compiled  # in order of their last use
        for oldest in list(self._compiled)[:-KEPT]:
            del self._compiled[oldest]
        values = pictures.contiguous().numpy()
        if self.any_batch or len(values) == self._batch:
            answers = compiled(values)
        else:
            answers = np.concatenate([self._filled(compiled, part) for part in _parts(values, self._batch)])
        if first:
            self.memory_bytes = growth_bytes(self._before)
        return torch.from_numpy(answers)

    def _filled(self, compiled: Compiled, part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        missing = self._batch - len(part)
        whole = np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)]) if missing else part
        return compiled(whole)[: len(part)]

    def _write(self, task: Task) -> bytes:
        graph = self.graph if task.stage is None else self.graph.up_to(task.stage)
        if task.uint8:
            graph = fold_scaling(scale_input(graph, self._mean, self._std))
        batch = None if self.any_batch else self._batch
        model: bytes = write_onnx(graph, task.size, batch=batch, uint8=task.uint8).SerializeToString()
        return model


def _parts(values: npt.NDArray[Any], length: int) -> Iterator[npt.NDArray[Any]]:
    """So many at a time; of nothing one part, for its shape."""
    for start in range(0, max(len(values), 1), length):
        yield values[start : start + length]

"""What engines share that compute in 8 bits."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchinception.engines.compiled import CompiledEngine, Task
from torchinception.errors import UsageError
from torchinception.layers import Pair
from torchinception.network import Inception


class Int8Engine(CompiledEngine):
    """A `CompiledEngine` of a quantized model: of one size of pictures, and of bytes.

    `run` and `features` turn scaled pictures back into the bytes that they were; values between two grey levels are
    rounded to one of them. A stage's output is that of the quantized model.

    Args:
        net: what was quantized; only its stages' names are needed of it.
        model: as the runtime's quantizer made it.
        size: height and width of the pictures that it was calibrated with.
        mean: of `run`'s pictures, each channel of 0 to 1, as in `Preprocess`.
        std: likewise.
        batch: how many pictures at a time it is to be quickest for.
        threads: how many a call uses; None: as many as PyTorch.

    Raises:
        UsageError: a package that is not installed.
    """

    precision = "int8"

    def __init__(
        self,
        net: Inception,
        model: bytes,
        size: Pair,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        batch: int = 1,
        threads: int | None = None,
    ) -> None:
        super().__init__(net, mean=mean, std=std, batch=batch, threads=threads, rewrites=())
        self.model, self._size, self._stages = model, size, self.graph.stages
        del self.graph  # the weights in float

    def run(self, pictures: Tensor) -> Tensor:
        """Float32 (N, C, H, W), as `Preprocess.normalize` makes them -> logits, float32 (N, classes)."""
        return self.run_uint8(self._grey_levels(pictures))

    def features(self, pictures: Tensor, stage: str) -> Tensor:
        """Float32 (N, C, H, W) as for `run` -> what a stage puts out, float32 (N, C', H', W'); no later one runs.

        Raises:
            UsageError: the network has no such stage.
        """
        if stage not in self._stages:
            raise UsageError(f"no stage named {stage}; stages: {', '.join(self._stages)}")
        return self._compute(self._grey_levels(pictures), stage, uint8=True)

    def _grey_levels(self, pictures: Tensor) -> Tensor:
        """Uint8 (N, H, W, C)."""
        mean, std = (torch.tensor(values, dtype=torch.float32) for values in (self._mean, self._std))
        levels = pictures.permute(0, 2, 3, 1).float().mul(255 * std).add_(255 * mean)
        return levels.round_().clamp_(0, 255).to(torch.uint8)

    def _write(self, task: Task) -> bytes:
        if task.size != self._size:
            of, asked = ("x".join(map(str, size)) for size in (self._size, task.size))
            raise UsageError(f"this int8 engine is for pictures of {of}, not of {asked}; quantize for that size")
        return self.model if task.stage is None else self._cut(task.stage, f"/{self._stages[task.stage]}")

    def _cut(self, stage: str, value: str) -> bytes:
        """The model that puts out a value, by the name of its stage."""
        raise NotImplementedError

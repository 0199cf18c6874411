"""The network just as it is, layer by layer: for what no other engine knows, and to compare with."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from torchinception.engines.memory import growth_bytes, resident_bytes
from torchinception.engines.torch_engine import PRECISIONS, check_precision, limit_threads
from torchinception.network import Inception


class EagerEngine:
    """A network's answers and features from a copy of it in evaluation mode, channels last; results are on the CPU.

    Args:
        net: what to run.
        mean: of `run_uint8`'s pictures, each channel of 0 to 1, as in `Preprocess`.
        std: likewise.
        device: where to run, as `torch.device` takes it.
        precision: "fp32", "fp64", or "bf16" or "fp16" for autocast.
        threads: how many the CPU is to use; None leaves PyTorch's own number.

    Raises:
        UsageError: a precision that the device has not.
    """

    name = "eager"
    version = torch.__version__

    def __init__(
        self,
        net: Inception,
        *,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        device: str | torch.device = "cpu",
        precision: str = "fp32",
        threads: int | None = None,
    ) -> None:
        self.device, self.precision, self._threads = torch.device(device), precision, threads
        if precision != "fp64":
            check_precision(precision, self.device)
        self._type = torch.float64 if precision == "fp64" else torch.float32
        self._before = resident_bytes()
        own = copy.deepcopy(net).to(self.device, self._type)
        self._net = own.to(memory_format=torch.channels_last).eval()
        self._mean, self._std = (torch.tensor(values, dtype=self._type).view(-1, 1, 1) for values in (mean, std))
        self.memory_bytes = growth_bytes(self._before)

    @property
    def threads(self) -> int:
        """How many the CPU uses."""
        return torch.get_num_threads() if self._threads is None else self._threads

    def run(self, pictures: Tensor) -> Tensor:
        """Float32 (N, C, H, W), as `Preprocess.normalize` makes them -> logits, float32 (N, classes); or float64."""
        return self._compute(pictures, None)

    def run_uint8(self, pictures: Tensor) -> Tensor:
        """Uint8 (N, H, W, C), cut to size and not yet scaled -> logits, float32 (N, classes); or float64."""
        values = pictures.permute(0, 3, 1, 2).to(self._type)
        return self._compute(values.div_(255).sub_(self._mean).div_(self._std), None)

    def features(self, pictures: Tensor, stage: str) -> Tensor:
        """Float32 (N, C, H, W) as for `run` -> what a stage puts out, float32 (N, C', H', W'); no later one runs.

        Raises:
            UsageError: the network has no such stage.
        """
        return self._compute(pictures, stage)

    def _compute(self, pictures: Tensor, stage: str | None) -> Tensor:
        half = PRECISIONS.get(self.precision)
        autocast = nullcontext() if half is None else torch.autocast(self.device.type, half)
        with torch.inference_mode(), limit_threads(self._threads), autocast:
            x = pictures.to(self.device, self._type).contiguous(memory_format=torch.channels_last)
            values = self._net(x) if stage is None else self._net.endpoints(x, [stage])[stage]
            found: Tensor = values.to(self._type).cpu()
        self.memory_bytes = self.memory_bytes or growth_bytes(self._before)
        return found.clone()

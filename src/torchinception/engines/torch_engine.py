"""The engine that is always there: PyTorch itself, on the rewritten graph."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from torchinception.engines.graph import Graph, to_graph
from torchinception.engines.memory import growth_bytes, resident_bytes
from torchinception.engines.module import to_module
from torchinception.engines.operations import Convolution
from torchinception.engines.packed import Packed, can_pack, to_packed_module
from torchinception.engines.rewrite import REWRITES, Rewrite, fold_scaling, rewrite, scale_input
from torchinception.errors import UsageError
from torchinception.network import Inception

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}

Compute = Callable[[Tensor], Tensor]


class TorchEngine:
    """A network's answers and features, computed by PyTorch; the network itself is not kept, nor changed.

    On the CPU in float32 the weights are laid out for pictures of the size that comes first; others are right too,
    but up to three times as slow. Results are on the CPU.

    Args:
        net: what to run, in evaluation mode whatever its own is.
        mean: of `run_uint8`'s pictures, each channel of 0 to 1, as in `Preprocess`.
        std: likewise.
        device: where to run, as `torch.device` takes it.
        precision: "fp32", or "bf16" or "fp16" for autocast.
        threads: how many the CPU is to use; None leaves PyTorch's own number.
        compiled: compile with `torch.compile`, its weights frozen: half a minute or more for each size and number of
            pictures, at their first call.
        rewrites: of the graph.

    Raises:
        UsageError: a module that is no part of the family, or a precision that the device has not.
    """

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
        compiled: bool = False,
        rewrites: Sequence[Rewrite] = REWRITES,
    ) -> None:
        self.device, self.precision, self._threads = torch.device(device), precision, threads
        check_precision(precision, self.device)
        self.name, self._compiled, self._before = "compile" if compiled else "torch", compiled, resident_bytes()
        self.graph = _laid_out(rewrite(to_graph(net), rewrites).to(torch.float32, self.device))
        self._mean, self._std = mean, std
        self._modules: dict[tuple[str | None, bool], Compute] = {}
        self._packed: Packed = {}
        self.memory_bytes = growth_bytes(self._before)

    @property
    def threads(self) -> int:
        """How many the CPU uses."""
        return torch.get_num_threads() if self._threads is None else self._threads

    def run(self, pictures: Tensor) -> Tensor:
        """Float32 (N, C, H, W), as `Preprocess.normalize` makes them -> logits, float32 (N, classes)."""
        return self._compute(pictures, None, scaled=True)

    def run_uint8(self, pictures: Tensor) -> Tensor:
        """Uint8 (N, H, W, C), cut to size and not yet scaled -> logits, float32 (N, classes)."""
        return self._compute(pictures.permute(0, 3, 1, 2), None, scaled=False)

    def features(self, pictures: Tensor, stage: str) -> Tensor:
        """Float32 (N, C, H, W) as for `run` -> what a stage puts out, float32 (N, C', H', W'); no later one runs.

        Raises:
            UsageError: the network has no such stage.
        """
        return self._compute(pictures, stage, scaled=True)

    def _compute(self, pictures: Tensor, stage: str | None, *, scaled: bool) -> Tensor:
        half = PRECISIONS[self.precision]
        autocast = nullcontext() if half is None else torch.autocast(self.device.type, half)
        # torch.compile freezes weights under no_grad, and not in inference mode
        without = torch.no_grad() if self._compiled else torch.inference_mode()
        with without, limit_threads(self._threads), autocast:
            x = pictures.to(self.device, torch.float32).contiguous(memory_format=torch.channels_last)
            first = (stage, scaled) not in self._modules
            if first:
                self._modules[stage, scaled] = self._module(stage, scaled, x)
            values: Tensor = self._modules[stage, scaled](x).float().cpu()
        if first:
            self.memory_bytes = growth_bytes(self._before)
        return values.clone()  # outside of inference mode, so that a layer on top of it can be trained

    def _module(self, stage: str | None, scaled: bool, x: Tensor) -> Compute:
        graph = self.graph if stage is None else self.graph.up_to(stage)
        if not scaled:
            graph = _laid_out(fold_scaling(scale_input(graph, self._mean, self._std)))
        if self._compiled:
            return torch.compile(to_module(graph), options={"freezing": self.device.type == "cpu"})
        if self.device.type == "cpu" and self.precision == "fp32" and can_pack():
            return to_packed_module(graph, x.shape, self._packed)
        return to_module(graph)


def check_precision(name: str, device: torch.device) -> None:
    """Refuse what PyTorch cannot compute in.

    Raises:
        UsageError: no such precision there.
    """
    if name not in PRECISIONS or (name == "fp16" and device.type == "cpu"):
        raise UsageError(f"no precision {name} on {device}; expected fp32, bf16, or on a GPU fp16")


def _laid_out(graph: Graph) -> Graph:
    """Kernels with their channels last in memory, as the pictures have them."""

    def last(conv: Convolution) -> Convolution:
        return replace(conv, kernel=conv.kernel.contiguous(memory_format=torch.channels_last))

    nodes = (
        replace(node, operation=last(node.operation)) if isinstance(node.operation, Convolution) else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


@contextmanager
def limit_threads(count: int | None) -> Iterator[None]:
    """So many threads of PyTorch's on the CPU while this lasts; None: as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)

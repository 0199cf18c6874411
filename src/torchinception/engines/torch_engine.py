"""The engine that is always there: PyTorch itself, on the rewritten graph."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, fx

from torchinception.engines.graph import Graph, to_graph
from torchinception.engines.module import to_module
from torchinception.engines.operations import Convolution
from torchinception.engines.packed import can_pack, to_packed_module
from torchinception.engines.rewrite import (
    Rewrite,
    fold_batch_norm,
    fold_residual_scale,
    fold_scaling,
    fuse_relu,
    move_average_pool,
    rewrite,
    scale_input,
)
from torchinception.errors import UsageError
from torchinception.network import Inception

# merging siblings gains nothing here: what they are sliced into is no longer dense, and the next convolution copies it
TORCH_REWRITES: tuple[Rewrite, ...] = (fold_batch_norm, fold_residual_scale, move_average_pool, fuse_relu)
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine:
    """A network's answers and features, computed by PyTorch; the network itself is not kept, nor changed.

    On the CPU in float32 the weights are laid out for pictures of the size that comes first; others are right too,
    but up to twice as slow. Results are on the CPU.

    Args:
        net: what to run, in evaluation mode whatever its own is.
        mean: of `run_uint8`'s pictures, each channel of 0 to 1, as in `Preprocess`.
        std: likewise.
        device: where to run, as `torch.device` takes it.
        precision: "fp32", or "bf16" or "fp16" for autocast.
        threads: how many the CPU is to use; None leaves PyTorch's own number.
        rewrites: of the graph.

    Raises:
        UsageError: a module that is no part of the family, or a precision that the device has not.
    """

    name = "torch"
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
        rewrites: Sequence[Rewrite] = TORCH_REWRITES,
    ) -> None:
        self.device, self.precision, self._threads = torch.device(device), precision, threads
        if precision not in PRECISIONS or (precision == "fp16" and self.device.type == "cpu"):
            raise UsageError(f"no precision {precision} on {device}; expected fp32, bf16, or on a GPU fp16")
        self.graph = _laid_out(rewrite(to_graph(net), rewrites).to(torch.float32, self.device))
        self._mean, self._std = mean, std
        self._modules: dict[tuple[str | None, bool], fx.GraphModule] = {}

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

    @torch.inference_mode()
    def _compute(self, pictures: Tensor, stage: str | None, *, scaled: bool) -> Tensor:
        x = pictures.to(self.device, torch.float32).contiguous(memory_format=torch.channels_last)
        half = PRECISIONS[self.precision]
        with _threads(self._threads), nullcontext() if half is None else torch.autocast(self.device.type, half):
            if (stage, scaled) not in self._modules:
                self._modules[stage, scaled] = self._module(stage, scaled, x)
            values: Tensor = self._modules[stage, scaled](x)
            return values.float().cpu()

    def _module(self, stage: str | None, scaled: bool, x: Tensor) -> fx.GraphModule:
        graph = self.graph if stage is None else self.graph.up_to(stage)
        if not scaled:
            graph = _laid_out(fold_scaling(scale_input(graph, self._mean, self._std)))
        if self.device.type == "cpu" and self.precision == "fp32" and can_pack():
            return to_packed_module(graph, x.shape)
        return to_module(graph)


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
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)

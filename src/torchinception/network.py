"""`Inception`: named stages, auxiliary heads hung on them, and a classifier."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypedDict, cast, overload

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from torchinception.errors import UsageError
from torchinception.layers import Layer


class Options(TypedDict, total=False):
    """What can be chosen for any network; what is left out is as published."""

    bn_eps: float
    bn_momentum: float
    dropout: float


def some_options(source: object) -> Options:
    """The attributes of `source` that are options and not None."""
    found = {name: getattr(source, name) for name in Options.__annotations__}
    return cast("Options", {name: value for name, value in found.items() if value is not None})


UNBOUNDED = 1 << 20  # pixels: a size that nothing reaches


def describe_sizes(sizes: range) -> str:
    """`223 to 270 px` or `299 px or more`."""
    return f"{sizes.start} px or more" if sizes.stop == UNBOUNDED else f"{sizes.start} to {sizes.stop - 1} px"


class Inception(nn.Module):
    """A trunk of named stages, a global average pool, dropout and a linear classifier.

    With `activation_checkpointing` set, training keeps only what goes into each stage and computes the rest again
    on the way back: less memory, more time, the same numbers (arXiv:1604.06174). It is no part of the weights.

    Args:
        stages: the paper's table; the names are public (`endpoints`, `summary`, weights).
        classes: number of outputs.
        channels: number of input channels.
        dropout: fraction dropped before the classifier.
        aux: auxiliary heads by the name of the stage they hang on.
        min_size: the shortest side of a picture that the stages can take, in pixels.
        aux_sizes: the picture sizes that the auxiliary heads' arithmetic allows.
    """

    def __init__(
        self,
        name: str,
        stages: Mapping[str, Layer],
        classes: int,
        *,
        channels: int = 3,
        dropout: float = 0.0,
        aux: Mapping[str, Layer] | None = None,
        min_size: int = 1,
        aux_sizes: range = range(0),
    ) -> None:
        super().__init__()
        self.name, self.channels, self.min_size, self.aux_sizes = name, channels, min_size, aux_sizes
        self.options: Options = {}  # what `create` was asked for
        self.activation_checkpointing = False
        trunk, heads, width = OrderedDict[str, nn.Module](), OrderedDict[str, nn.Module](), channels
        for stage, layer in stages.items():
            trunk[stage], width = layer(width)
            if aux and stage in aux:
                heads[stage], _ = aux[stage](width)
        self.trunk = nn.Sequential(trunk)
        self.aux = nn.ModuleDict(heads)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)

    @overload
    def forward(self, x: Tensor, aux: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, aux: Literal[True]) -> tuple[Tensor, dict[str, Tensor]]: ...

    def forward(self, x: Tensor, aux: bool = False) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Logits (N, classes) of pictures (N, channels, H, W); with `aux=True` also a dict of each head's.

        Raises:
            UsageError: the pictures are smaller than the network, or its auxiliary heads, can take.
        """
        self.check_size(x, aux)
        opinions = {}
        thrifty = self.activation_checkpointing and self.training and torch.is_grad_enabled()
        for name, stage in self.trunk.named_children():
            x = _run_thriftily(stage, x) if thrifty else stage(x)
            if aux and name in self.aux:
                opinions[name] = self.aux[name](x)
        logits = self.classifier(self.dropout(x.mean((2, 3))))  # (N, C) -> (N, classes)
        return (logits, opinions) if aux else logits

    def endpoints(self, x: Tensor, names: Iterable[str] | None = None) -> dict[str, Tensor]:
        """What the named stages put out (default: all of them), computing nothing after the last one.

        Raises:
            UsageError: a name is not a stage of this network.
        """
        self.check_size(x, aux=False)
        stages = list(self.trunk._modules)
        wanted = set(stages if names is None else [names] if isinstance(names, str) else names)
        for unknown in sorted(wanted - set(stages)):
            raise UsageError(f"no stage named {unknown} in {self.name}; stages: {', '.join(stages)}")
        found: dict[str, Tensor] = {}
        for name, stage in self.trunk.named_children():
            if len(found) == len(wanted):
                break
            x = stage(x)
            if name in wanted:
                found[name] = x
        return found

    def check_size(self, x: Tensor, aux: bool) -> None:
        """Refuse pictures (N, C, H, W) that the stages, or with `aux` the heads, cannot take.

        Raises:
            UsageError: the size that is needed.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise UsageError(f"{self.name} takes pictures (N, {self.channels}, H, W), not {tuple(x.shape)}")
        height, width = x.shape[-2:]
        if min(height, width) < self.min_size:
            raise UsageError(f"{self.name} needs pictures of at least {self.min_size} px a side, not {height}x{width}")
        if aux and self.aux and not (height in self.aux_sizes and width in self.aux_sizes):
            sizes = describe_sizes(self.aux_sizes)
            raise UsageError(
                f"the auxiliary heads of {self.name} take {sizes} a side, not {height}x{width}; or aux=False"
            )


def _run_thriftily(stage: nn.Module, x: Tensor) -> Tensor:
    """`stage(x)`, of which nothing but `x` is kept for the way back."""
    output: Tensor = checkpoint(
        stage, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _ScratchBuffers(stage))
    )
    return output


class _ScratchBuffers(AbstractContextManager[None]):
    """What a stage counts while it is computed again goes into copies: batch norm's statistics have moved already.

    (Not tracking them instead would be another operation, which keeps other tensors.) A class and no
    generator: a graph that is retained is computed again at each way back.
    """

    def __init__(self, stage: nn.Module) -> None:
        self.modules = [module for module in stage.modules() if module._buffers]

    def __enter__(self) -> None:
        self.true = [dict(module._buffers) for module in self.modules]
        for module, buffers in zip(self.modules, self.true, strict=True):
            module._buffers.update({name: buffer.clone() for name, buffer in buffers.items() if buffer is not None})

    def __exit__(self, *_: object) -> None:
        for module, buffers in zip(self.modules, self.true, strict=True):
            module._buffers.update(buffers)

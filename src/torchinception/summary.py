"""What a network is, computed from the network itself: shapes, parameters, operations, receptive field."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchinception.layers import Concat, Residual
from torchinception.models import create, find_spec


@dataclass(frozen=True)
class Row:
    """One stage. `shape` without the batch; `macs` are multiply-adds of convolutions and linear layers."""

    stage: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field_px: int


@dataclass(frozen=True)
class Summary:
    """A network at one picture size: the stages, `pool` and `logits`, then the auxiliary heads."""

    network: str
    size: int
    rows: tuple[Row, ...]
    aux_rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Trainable values, batch norm's gamma and beta included, without the auxiliary heads."""
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-adds for one picture, without the auxiliary heads."""
        return sum(row.macs for row in self.rows)

    @property
    def parameters_with_aux(self) -> int:
        """As `parameters`, with the auxiliary heads."""
        return self.parameters + sum(row.parameters for row in self.aux_rows)


def summarize(name: str, size: int | None = None, *, classes: int | None = None, channels: int = 3) -> Summary:
    """Walk a network on the meta device, where nothing is computed.

    Auxiliary heads are left out where the picture size does not suit them.

    >>> summarize("googlenet").parameters
    6998552
    """
    spec = find_spec(name)
    size = spec.size if size is None else size
    with torch.device("meta"):
        net = create(name, classes, aux=size in spec.aux_sizes, channels=channels).eval()
        x = torch.empty(1, channels, size, size)
    rows, heads = [], []
    field, jump = 1, 1
    net._check_size(x, aux=False)
    with torch.no_grad():
        for stage, module in net.trunk.named_children():
            x, row = _row(stage, module, x)
            field, jump = _receptive_field(module, field, jump)
            rows.append(Row(**row, receptive_field_px=field))
            if stage in net.aux:
                heads.append(Row(**_row(f"aux {stage}", net.aux[stage], x)[1], receptive_field_px=field))
        pooled = x.mean((2, 3))
        rows.append(Row("pool", tuple(pooled.shape[1:]), 0, 0, size))
        rows.append(Row(**_row("logits", net.classifier, pooled)[1], receptive_field_px=size))
    return Summary(name, size, tuple(rows), tuple(heads))


def _row(stage: str, module: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    macs = 0

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal macs
        if isinstance(layer, nn.Conv2d | nn.Linear):
            macs += output.numel() * layer.weight[0].numel()

    handles = [layer.register_forward_hook(count) for layer in module.modules()]
    y = module(x)
    for handle in handles:
        handle.remove()
    parameters = sum(p.numel() for p in module.parameters())
    return y, dict(stage=stage, shape=tuple(y.shape[1:]), parameters=parameters, macs=macs)


def _receptive_field(module: nn.Module, field: int, jump: int) -> tuple[int, int]:
    """Side of the input square that one output cell sees, and the input step between two cells."""
    if isinstance(module, nn.Sequential):
        for child in module:
            field, jump = _receptive_field(child, field, jump)
    elif isinstance(module, Concat):
        branches = [_receptive_field(branch, field, jump) for branch in module]
        field, jump = max(branches)
    elif isinstance(module, Residual):
        field, jump = max(_receptive_field(part, field, jump) for part in (module.branch, module.shortcut))
    elif isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride = (max(v) if isinstance(v, tuple) else v for v in (module.kernel_size, module.stride))
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field, jump

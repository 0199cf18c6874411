"""What a network is, computed from the network itself: shapes, parameters, operations, receptive field."""

from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import torch
from torch import Tensor, nn

from torchinception.errors import UsageError
from torchinception.layers import Concat, Residual
from torchinception.models import create, find_spec

REFERENCES = ("alexnet", "vgg16", "vgg19", "resnet50")  # torchvision's, all of 224 px, to compare with


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
    aux_parameters: int

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
        return self.parameters + self.aux_parameters


def summarize(name: str, size: int | None = None, *, classes: int | None = None, channels: int = 3) -> Summary:
    """Walk a network on the meta device, where nothing is computed.

    Auxiliary heads have rows where the picture size suits them. What pools the whole grid sees the whole picture.

    >>> summarize("googlenet").parameters
    6998552
    """
    spec = find_spec(name)
    size = spec.size if size is None else size
    with torch.device("meta"):
        net = create(name, classes, aux=True, channels=channels).eval()
        x = torch.empty(1, channels, size, size)
    rows, heads = [], []
    seen = [(1, 1), (1, 1)]
    net.check_size(x, aux=False)
    with torch.no_grad():
        for stage, module in net.trunk.named_children():
            x, row = _row(stage, module, x)
            seen = [_receptive_field(module, *before, axis) for axis, before in enumerate(seen)]
            rows.append(Row(**row, receptive_field_px=max(field for field, _ in seen)))
            if stage in net.aux and size in spec.aux_sizes:
                heads.append(Row(**_row(f"aux {stage}", net.aux[stage], x)[1], receptive_field_px=size))
        pooled = x.mean((2, 3))
        rows.append(Row("pool", tuple(pooled.shape[1:]), 0, 0, size))
        rows.append(Row(**_row("logits", net.classifier, pooled)[1], receptive_field_px=size))
    return Summary(name, size, tuple(rows), tuple(heads), sum(p.numel() for p in net.aux.parameters()))


@dataclass(frozen=True)
class Totals:
    """A network as a whole; all but `parameters_with_aux` without its auxiliary heads."""

    network: str
    size: int
    parameters: int
    parameters_with_aux: int
    macs: int
    depth: int

    @property
    def float32_megabytes(self) -> float:
        """The parameters' size, in millions of bytes."""
        return self.parameters * 4 / 1e6


def compare(names: Iterable[str]) -> tuple[Totals, ...]:
    """Networks side by side, each for one picture of its published size; `REFERENCES` are names too.

    Raises:
        UsageError: a name is neither a network's nor a reference's.

    >>> [(net.network, net.depth) for net in compare(["googlenet", "vgg19"])]
    [('googlenet', 22), ('vgg19', 19)]
    """
    return tuple(_totals(name) for name in names)


def _totals(name: str) -> Totals:
    with torch.device("meta"), torch.enable_grad():
        net, size = _reference(name) if name in REFERENCES else _published(name)
        logits, row = _row(name, net.eval(), torch.empty(1, 3, size, size))
    aux = sum(p.numel() for key, p in net.named_parameters() if key.startswith("aux."))
    return Totals(name, size, row["parameters"] - aux, row["parameters"], row["macs"], depth(logits))


def _published(name: str) -> tuple[nn.Module, int]:
    try:
        spec = find_spec(name)
    except UsageError as error:
        raise UsageError(f"{error}; from torchvision: {', '.join(REFERENCES)}") from None
    return create(name, aux=bool(spec.aux)), spec.size


def _reference(name: str) -> tuple[nn.Module, int]:
    from torchvision.models import get_model  # a second and a half, for these alone

    return get_model(name), 224


def depth(output: Tensor) -> int:
    """Convolutions and linear layers on the longest way from the input to `output`, by autograd's record."""
    before: dict[Any, list[Any]] = {}
    todo: list[Any] = [output.grad_fn]
    while todo:
        node = todo.pop()
        if node not in before:
            before[node] = [earlier for earlier, _ in node.next_functions if earlier is not None]
            todo += before[node]
    longest: dict[Any, int] = {}
    for node in TopologicalSorter(before).static_order():
        own = node.name().startswith(("Convolution", "Addmm"))
        longest[node] = own + max((longest[earlier] for earlier in before[node]), default=0)
    return longest[output.grad_fn]


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


def _receptive_field(module: nn.Module, field: int, jump: int, axis: int) -> tuple[int, int]:
    """How much of the input one output cell sees along an axis (0: down), and the input step between two cells."""
    if isinstance(module, nn.Sequential):
        for child in module:
            field, jump = _receptive_field(child, field, jump, axis)
    elif isinstance(module, Concat):
        branches = [_receptive_field(branch, field, jump, axis) for branch in module]
        field, jump = max(branches)
    elif isinstance(module, Residual):
        field, jump = max(_receptive_field(part, field, jump, axis) for part in (module.branch, module.shortcut))
    elif isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride = (v[axis] if isinstance(v, tuple) else v for v in (module.kernel_size, module.stride))
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field, jump

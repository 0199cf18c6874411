"""A module read as a figure's parts: boxes one after the other, branches side by side, sums, repetitions."""

from dataclasses import dataclass

from torch import Tensor, nn

from torchinception.drawing.canvas import Kind
from torchinception.layers import Concat, Residual, SamePad

Chain = tuple["Part", ...]


@dataclass(frozen=True)
class Operation:
    """One box: "3x3 conv", "384 channels", "stride 2"; `shape` of its output, without the batch."""

    kind: Kind
    title: str
    shape: tuple[int, ...]
    detail: str = ""
    note: str = ""
    short: str = ""


@dataclass(frozen=True)
class Split:
    """Branches over one input, joined along channels."""

    branches: tuple[Chain, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Sum:
    """`shortcut + scale * branch`, and ReLU if `relu`; an empty shortcut is the input itself."""

    branch: Chain
    shortcut: Chain
    scale: float
    relu: bool
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Repeat:
    """The same parts `count` times over."""

    part: Sum
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its output."""
        return self.part.shape


Part = Operation | Split | Sum | Repeat
UNIT = {"pad", "conv", "bn", "relu", "pool"}  # the names that `layers` gives the modules of one box


def read_parts(module: nn.Module, x: Tensor) -> tuple[Chain, Tensor]:
    """The parts of `module` on `x`, and what it puts out; on the meta device nothing is computed."""
    match module:
        case Concat():
            branches = [read_parts(branch, x)[0] for branch in module]
            y = module(x)
            return (Split(tuple(branches), _shape(y)),), y
        case Residual():
            branch, _ = read_parts(module.branch, x)
            shortcut, _ = read_parts(module.shortcut, x)
            y = module(x)
            return (Sum(branch, shortcut, module.scale, module.relu, _shape(y)),), y
        case nn.Sequential() if not module._modules.keys() <= UNIT:
            chain: list[Part] = []
            for child in module:
                parts, x = read_parts(child, x)
                chain += parts
            return _fold(chain), x
        case _:
            y = module(x)
            unit = dict(module.named_children()) if isinstance(module, nn.Sequential) else {"": module}
            found = _operation(unit, y)
            return ((found,) if found else ()), y


def _fold(chain: list[Part]) -> Chain:
    """Sums that follow each other and are alike become one `Repeat`."""
    folded: list[Part] = []
    for part in chain:
        last = folded[-1] if folded else None
        if isinstance(part, Sum) and isinstance(last, Repeat) and last.part == part:
            folded[-1] = Repeat(part, last.count + 1)
        elif isinstance(part, Sum) and last == part:
            folded[-1] = Repeat(part, 2)
        else:
            folded.append(part)
    return tuple(folded)


def _operation(unit: dict[str, nn.Module], y: Tensor) -> Operation | None:
    same = isinstance(unit.get("pad"), SamePad)
    shape = _shape(y)
    for module in unit.values():
        match module:
            case nn.Conv2d():
                kernel = "×".join(map(str, module.kernel_size))
                stride = module.stride[0]
                depthwise = module.groups > 1
                notes = _notes(module.kernel_size, stride, module.padding, same)
                if not depthwise and "relu" not in unit:
                    notes.append("no ReLU")
                kind: Kind = "reduce" if max(module.kernel_size) == 1 else "conv"
                title = f"{kernel} depthwise" if depthwise else f"{kernel} conv"
                detail = f"{module.out_channels} channels"
                return Operation(kind, title, shape, detail, ", ".join(notes), title + _over(stride))
            case nn.MaxPool2d() | nn.AvgPool2d():
                size, stride = _one(module.kernel_size), _one(module.stride)
                name = "max pool" if isinstance(module, nn.MaxPool2d) else "avg pool"
                notes = _notes((size, size), stride, (_one(module.padding),) * 2, same)
                if module.ceil_mode:
                    notes = [f"stride {stride}", "rounds up"]
                detail = ", ".join(notes)
                if isinstance(module, nn.AvgPool2d) and module.padding and module.count_include_pad:
                    detail = "padding counted"
                title = f"{size}×{size} {name}"
                return Operation("pool", title, shape, detail, short=title + _over(stride))
            case nn.AdaptiveAvgPool2d():
                cells = _one(module.output_size)
                return Operation("pool", "avg pool", shape, f"to {cells}×{cells}", short=f"pool to {cells}×{cells}")
            case nn.Linear():
                return Operation("other", "linear", shape, f"{module.out_features} outputs", short="linear")
            case nn.ReLU():
                return Operation("other", "ReLU", shape, short="ReLU")
            case nn.Dropout():
                return Operation("other", f"dropout {module.p:g}", shape, short=f"dropout {module.p:g}")
            case nn.LocalResponseNorm():
                return Operation("other", "LRN", shape, f"over {module.size} channels", short="LRN")
    return None  # flatten, identity: no box


def _notes(kernel: tuple[int, ...], stride: int, padding: object, same: bool) -> list[str]:
    notes = [f"stride {stride}"] if stride > 1 else []
    if same:
        notes.append("SAME")
    elif max(kernel) > 1 and padding == (0, 0):
        notes.append("unpadded")
    elif padding != tuple(side // 2 for side in kernel) and isinstance(padding, tuple):
        notes.append(f"padding {padding[0]}")
    return notes


def _over(stride: int) -> str:
    return f" /{stride}" if stride > 1 else ""


def _one(value: object) -> int:
    first = value[0] if isinstance(value, tuple) else value
    assert isinstance(first, int)
    return first


def _shape(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape[1:])

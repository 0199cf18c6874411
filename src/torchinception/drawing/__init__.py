"""Networks and their blocks as pictures, read from the very modules that compute."""

import torch

from torchinception.drawing.block_layout import lay_out_block
from torchinception.drawing.canvas import Drawing
from torchinception.drawing.network_layout import Column, describe, lay_out_network
from torchinception.drawing.parts import Chain, read_parts
from torchinception.errors import UsageError
from torchinception.models import create, find_spec
from torchinception.summary import summarize

__all__ = ["Drawing", "draw"]


def draw(network: str, stage: str | None = None, *, size: int | None = None) -> Drawing:
    """A network stage by stage, or one stage as its branches; `.svg()` and `.png()` are the files.

    Args:
        network: a name from `NETWORKS`.
        stage: one of its stages, or all.
        size: side of the picture in pixels; None: as published.

    Raises:
        UsageError: no such network or stage, or the picture is too small.

    >>> draw("googlenet", "inception_3a").title
    'googlenet inception_3a: 192 × 28 × 28 to 256 × 28 × 28 · 163,696 parameters · 128 M multiply-adds'
    """
    spec = find_spec(network)
    size = spec.size if size is None else size
    with torch.device("meta"):
        net = create(network, aux=True).eval()
        x = torch.empty(1, net.channels, size, size)
    net.check_size(x, aux=False)
    if stage is not None and stage not in net.trunk._modules:
        raise UsageError(f"no stage named {stage} in {network}; stages: {', '.join(net.trunk._modules)}")
    summary = summarize(network, size)
    columns = [Column("input", "", "input", (net.channels, size, size))]
    heads: dict[str, Chain] = {}
    with torch.no_grad():
        for row, (name, module) in zip(summary.rows, net.trunk.named_children(), strict=False):
            before = columns[-1]
            chain, x = read_parts(module, x)
            if name == stage:
                title = f"{_shape(before.shape)} to {_shape(row.shape)} · {_counts(row.parameters, row.macs)}"
                return lay_out_block(f"{network} {name}", title, chain, (before.name, before.shape))
            kind, what = describe(chain, before.shape[-1])
            columns.append(Column(name, what, kind, row.shape))
            if name in net.aux and size in spec.aux_sizes:
                heads[name], _ = read_parts(net.aux[name], x)
    pool, logits = summary.rows[-2:]
    columns += [Column("pool", "mean", "pool", pool.shape), Column("logits", "linear", "other", logits.shape)]
    aux = f" ({summary.parameters_with_aux / 1e6:.1f} M with auxiliary heads)" if heads else ""
    text = f"{size} px · {summary.parameters / 1e6:.1f} M parameters{aux} · {summary.macs / 1e6:,.0f} M multiply-adds"
    return lay_out_network(network, text, columns, heads, size)


def _counts(parameters: int, macs: int) -> str:
    if not parameters:
        return "no parameters"
    return f"{parameters:,} parameters · {macs / 1e6:,.0f} M multiply-adds"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))

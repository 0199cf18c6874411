"""Files of `torch.export`, which PyTorch loads without this package; the texts stand in `metadata.json`."""

import io
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from torchinception.engines.module import to_module
from torchinception.exports.content import PROBABILITIES, Content, Loaded

METADATA = "metadata.json"


def write(content: Content, path: Path) -> None:
    """Trace the graph, which takes a second, and write what was found."""
    assert content.quantized is None
    module = _Whole(content).eval()
    example = torch.zeros(content.batch or 2, *content.size, 3, dtype=torch.uint8)  # one would be taken for a constant
    shapes = None if content.batch else ({0: torch.export.Dim("batch", min=1)},)
    program = torch.export.export(module, (example,), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # where this package lies on the machine that exports
    written = io.BytesIO()
    with warnings.catch_warnings():  # it takes kernels with channels last for parts; they are loaded back whole
        warnings.filterwarnings("ignore", "No complete tensor found")
        torch.export.save(program, written, extra_files={METADATA: json.dumps(dict(content.metadata))})
    path.write_bytes(written.getvalue())


def load(path: Path, threads: int) -> list[Loaded]:
    """In PyTorch, which uses its own number of threads: `threads` has to be that."""
    assert threads == torch.get_num_threads()
    module = torch.export.load(path).module()
    return [Loaded("torch", torch.__version__, torch.inference_mode()(module))]


class _Whole(nn.Module):
    """uint8 (N, H, W, 3) -> float32 (N, classes)."""

    def __init__(self, content: Content) -> None:
        super().__init__()
        self.network = to_module(content.graph).to(memory_format=torch.channels_last)
        self.softmax = content.output == PROBABILITIES

    def forward(self, pictures: Tensor) -> Tensor:
        values: Tensor = self.network(pictures.permute(0, 3, 1, 2).to(torch.float32))
        return values.softmax(1) if self.softmax else values

"""`.safetensors`: a JSON header and the bytes of the tensors.

There is no checksum: a flipped bit of a weight goes unnoticed (in this project's own files it does not: `bundle`).
"""

from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from torchinception.weights.formats.limits import checked_tensors


def is_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes of the header's length, and a JSON object of that length."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, whoever wrote it."""
    return checked_tensors(load(path.read_bytes()))

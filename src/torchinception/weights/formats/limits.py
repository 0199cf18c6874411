"""What a foreign file may ask for, in one place, and how its readers say that it asks for more."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

MAX_BYTES = 4 << 30  # of one file, and of all tensors of it: six times the largest Inception
MAX_TENSORS = 100_000
MAX_RATIO, SLACK_BYTES = 64, 1 << 20  # a file may declare RATIO times what it holds: weights hardly compress


class FormatError(ValueError):
    """Damage, or what these readers refuse: the cause, to which `read_tensors` adds file and cure."""


def check(sound: bool, cause: str) -> None:
    """What must hold for a file to be read on."""
    if not sound:
        raise FormatError(cause)


def check_declared(declared: int, held: int, what: str) -> None:
    """Before anything is allocated: a size that only a bomb declares is refused."""
    limit = min(MAX_BYTES, MAX_RATIO * held + SLACK_BYTES)
    check(0 <= declared <= limit, f"{what} of {declared:,} bytes declared in {held:,}; at most {limit:,} are expected")


def checked_shape(sizes: Iterable[int], name: str) -> tuple[int, ...]:
    """Sizes that can be a tensor's.

    >>> checked_shape([3, 4], "kernel")
    (3, 4)
    """
    shape = tuple(sizes)
    sound = len(shape) <= 16 and all(size >= 0 for size in shape) and prod(shape) <= MAX_BYTES
    check(sound, f"{name} has the shape {list(shape)[:16]}")
    return shape


def checked_tensors(tensors: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Plain dense tensors of numbers on the CPU, by name; anything else is refused."""
    check(0 < len(tensors) <= MAX_TENSORS, f"{len(tensors):,} tensors; 1 to {MAX_TENSORS:,} are expected")
    sound: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        check(isinstance(name, str), f"a tensor is named {name!r:.80}, which is no text")
        plain = type(tensor) in (Tensor, torch.nn.Parameter)
        check(plain, f"{name!r:.80} is a {type(tensor).__name__}, not a tensor")
        assert isinstance(tensor, Tensor)
        dense = tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        check(dense and not tensor.is_nested, f"{name!r:.80} is sparse, quantized, nested or without values")
        sound[str(name)] = tensor.detach()
    return sound

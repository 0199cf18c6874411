"""Which device and precision a run uses."""

from contextlib import AbstractContextManager

import torch

from torchinception.errors import UsageError

PRECISIONS = {"fp32": "32-true", "fp64": "64-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}  # as Lightning has them


def resolve_device(name: str = "auto") -> torch.device:
    """`auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        UsageError: no such device here.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device named {name}; expected auto, cpu, cuda, cuda:N or mps") from None
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.index is not None and device.type != "cuda":
        raise UsageError(f"{name}: only cuda devices have a number")
    if not present.get(device.type) or (device.index or 0) >= max(count, 1):
        raise UsageError(f"no {name} on this machine; there is {', '.join(k for k, there in present.items() if there)}")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """`auto`: fp32 on the CPU, bf16 or fp16 autocast on a GPU; otherwise as named.

    Raises:
        UsageError: an unknown precision, or fp16 on the CPU.
    """
    if name == "auto":
        gpu = device.type == "cuda"
        name = "fp32" if not gpu else "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if name not in PRECISIONS or (name == "fp16" and device.type == "cpu"):
        raise UsageError(f"no precision {name} on {device}; expected auto, fp32, fp64, bf16, or on a GPU fp16")
    return name


def forked_random(device: torch.device) -> AbstractContextManager[None]:
    """While this lasts torch's random state, on the CPU and on `device`, is a copy; then it is as it was."""
    if device.type == "cpu":
        return torch.random.fork_rng(devices=[])
    return torch.random.fork_rng(devices=[device.index or 0], device_type=device.type)

"""What every engine is, and which there are."""

from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.engines.eager_engine import EagerEngine
from torchinception.engines.native_engine import NativeEngine, native_problem
from torchinception.engines.native_library import TIERS
from torchinception.engines.onnx_engine import OnnxEngine
from torchinception.engines.openvino_engine import OpenVinoEngine
from torchinception.engines.torch_engine import TorchEngine, check_precision
from torchinception.errors import UsageError
from torchinception.network import Inception

COMPILED: dict[str, type[OnnxEngine] | type[OpenVinoEngine]] = {"onnx": OnnxEngine, "openvino": OpenVinoEngine}
ENGINES = ("native", "torch", *COMPILED, "compile", "eager")
PACKAGES = {"native": "torchinception", "onnx": "onnxruntime", "openvino": "openvino"}  # of others PyTorch
MEASURED = ("native", "torch", *COMPILED)  # the others are slower, or take a minute to begin


class Engine(Protocol):
    """A network, ready to compute; it is given pictures and gives answers on the CPU, any number at a time."""

    @property
    def name(self) -> str:
        """One of `ENGINES`."""

    @property
    def version(self) -> str:
        """Of the package that computes."""

    @property
    def threads(self) -> int:
        """How many a call uses."""

    @property
    def precision(self) -> str:
        """What it computes in: "fp32", "bf16", "fp16" or "int8"."""

    @property
    def memory_bytes(self) -> int | None:
        """By how much the process grew to make it and for its first answers, about; None where no system says."""

    def run(self, pictures: Tensor) -> Tensor:
        """Float32 (N, C, H, W), as `Preprocess.normalize` makes them -> logits, float32 (N, classes)."""

    def run_uint8(self, pictures: Tensor) -> Tensor:
        """Uint8 (N, H, W, C), cut to size and not yet scaled -> logits, float32 (N, classes)."""

    def features(self, pictures: Tensor, stage: str) -> Tensor:
        """Float32 (N, C, H, W) as for `run` -> what a stage puts out, float32 (N, C', H', W'); no later one runs.

        Raises:
            UsageError: the network has no such stage.
        """


def installed() -> tuple[str, ...]:
    """The engines that can be built here."""
    missing = [name for name in COMPILED if not all(map(find_spec, (PACKAGES[name], "onnx")))]
    return tuple(name for name in ENGINES if name not in (*missing, *(["native"] if native_problem() else [])))


def build(
    name: str,
    net: Inception,
    preprocess: Preprocess,
    *,
    device: str | torch.device = "cpu",
    batch: int = 1,
    threads: int | None = None,
    precision: str = "fp32",
    tier: str = "default",
    tune: bool = True,
) -> Engine:
    """An engine by its name; what it is quickest for is `batch` pictures at a time.

    `tier` and `tune` are the native engine's, which explains them.

    Raises:
        UsageError: no such engine, it is not installed, or it cannot do what is asked for.
    """
    check_engine(name, device, precision, tier=tier, tune=tune)
    mean, std = (_for_channels(values, net.channels) for values in (preprocess.mean, preprocess.std))
    if name in ("torch", "compile"):
        compiled = name == "compile"
        return TorchEngine(
            net, mean=mean, std=std, device=device, threads=threads, precision=precision, compiled=compiled
        )
    if name == "eager":
        return EagerEngine(net, mean=mean, std=std, device=device, threads=threads, precision=precision)
    if name == "native":
        return NativeEngine(net, mean=mean, std=std, batch=batch, threads=threads, tier=tier, tune=tune)
    return COMPILED[name](net, mean=mean, std=std, batch=batch, threads=threads)


def check_engine(
    name: str, device: str | torch.device = "cpu", precision: str = "fp32", *, tier: str = "default", tune: bool = True
) -> None:
    """Refuse what `build` cannot do, whatever the network.

    Raises:
        UsageError: no such engine or tier, or not there in that precision, or it has no tiers.
    """
    if name not in ENGINES:
        raise UsageError(f"no engine named {name}; expected auto, {', '.join(ENGINES)}")
    if name in ("native", *COMPILED) and (torch.device(device).type != "cpu" or precision != "fp32"):
        raise UsageError(f"the engine {name} runs on the CPU in fp32, not on {device} in {precision}; torch does")
    if tier not in TIERS:
        raise UsageError(f"no tier {tier}; expected {', '.join(TIERS)}")
    if name != "native" and (tier != "default" or not tune):
        asked = f"no tier {tier}" if tier != "default" else "nothing that is tuned"
        raise UsageError(f"the engine {name} has {asked}; native has")
    if (tier != "default" or not tune) and (problem := native_problem()):
        raise UsageError(problem)
    if (name, precision) != ("eager", "fp64"):
        check_precision(precision, torch.device(device))


def build_simple(
    net: Inception,
    preprocess: Preprocess,
    device: str | torch.device = "cpu",
    threads: int | None = None,
    tier: str = "default",
) -> Engine:
    """What is there at once: on a CPU the native engine, untuned, which is made as soon as PyTorch's; else PyTorch's.

    For a network with layers of its own, which neither knows, the network as it is.
    """
    with suppress(UsageError):
        return build("native", net, preprocess, device=device, batch=8, threads=threads, tier=tier, tune=False)
    with suppress(UsageError):
        return build("torch", net, preprocess, device=device, threads=threads)
    return build("eager", net, preprocess, device=device, threads=threads)


def _for_channels(values: Sequence[float], channels: int) -> Sequence[float]:
    """Of red, green and blue; for a network that takes another number, the mean of these for each."""
    return values if channels == len(values) else (sum(values) / len(values),) * channels

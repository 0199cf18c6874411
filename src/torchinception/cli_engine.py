"""The options that say what computes, and what they come to."""

from typing import TYPE_CHECKING, Annotated

import typer

from torchinception.errors import UsageError
from torchinception.progress import Listener

if TYPE_CHECKING:
    import torch

    from torchinception.classifier import Classifier


def _auto_or_count(text: str) -> str:
    if text == "auto" or (text.isdecimal() and int(text) > 0):
        return text
    raise typer.BadParameter(f"{text} is neither auto nor a number from 1 on")


EngineName = Annotated[
    str, typer.Option("--engine", help="auto (the fastest here), native, torch, onnx, openvino, compile or eager.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of the CPU that compute. Default: all cores.")]
Tier = Annotated[
    str, typer.Option(help="For the engine native: direct (no Winograd), default, or fast (errors up to 1e-4).")
]
NoTune = Annotated[
    bool, typer.Option("--no-tune", help="For the engine native: take algorithms by a rule, and time none.")
]
Precision = Annotated[
    str, typer.Option(help="fp32, or by the engine torch bf16 or fp16 (GPU), or int8, which needs --calibrate.")
]
Calibrate = Annotated[
    str | None, typer.Option(metavar="DATA", help="For int8: pictures to calibrate with and to check on, see docs.")
]
MaxLoss = Annotated[float, typer.Option(min=0, max=100, help="Points of accuracy that int8 may lose, else refused.")]
Batch = Annotated[str, typer.Option(metavar="N|auto", callback=_auto_or_count, help="Pictures at a time.")]


def use_engine(
    model: "Classifier",
    name: str,
    *,
    batch: str,
    threads: int | None,
    tier: str,
    tune: bool,
    precision: str,
    calibrate: str | None,
    max_loss: float,
    pictures: int | None,
    listener: Listener,
    alone: bool = True,
) -> int:
    """Have a classifier computed as the options say, which `check_options` has passed; how many pictures at a time.

    Raises:
        UsageError: a package is not installed, or int8 loses too much.
    """
    from torchinception.classifier import engine
    from torchinception.engines.batches import fitting_batch
    from torchinception.quantization import quantize_model

    size = fitting_batch(model.preprocess.size, model.device, pictures) if batch == "auto" else int(batch)
    floats = "fp32" if calibrate else precision
    timed = pictures if alone else 0  # several processes would disturb each other's measurements
    model.use(
        engine(
            model,
            name,
            batch=size,
            threads=threads,
            precision=floats,
            tier=tier,
            tune=tune,
            pictures=timed,
            listener=listener,
        )
    )
    if calibrate:
        quantized, _ = quantize_model(
            model, calibrate, name=name, max_loss=max_loss, batch=size, threads=threads, listener=listener
        )
        model.use(quantized)
    return size


def check_options(
    name: str, precision: str, calibrate: str | None, device: "torch.device", *, tier: str, tune: bool
) -> None:
    """Refuse what no network can be computed with, before anything is read, measured or waited for.

    Raises:
        UsageError: no such engine, precision or tier, or not together, or not on that device.
    """
    from torchinception.engines.engine import check_engine
    from torchinception.engines.int8 import QUANTIZERS

    check_calibrate(precision, calibrate)
    if calibrate and name not in ("auto", *QUANTIZERS):
        check_engine(name, device)
        raise UsageError(f"no int8 in the engine {name}; expected auto, {' or '.join(QUANTIZERS)}")
    if calibrate and (tier != "default" or not tune):
        raise UsageError("--tier and --no-tune are of the engine native, which has no int8")
    floats = "fp32" if calibrate else precision
    check_engine("torch" if name == "auto" else name, device, floats)
    if tier != "default" or not tune:
        check_engine("native" if name == "auto" else name, device, floats, tier=tier, tune=tune)


def check_calibrate(precision: str, calibrate: str | None) -> None:
    """Refuse int8 without pictures, and pictures without int8.

    Raises:
        UsageError: one without the other.
    """
    if precision == "int8" and not calibrate:
        raise UsageError("--precision int8 needs --calibrate DATA: pictures such as the model will see")
    if calibrate and precision != "int8":
        raise UsageError(f"--calibrate is for --precision int8, not for {precision}")

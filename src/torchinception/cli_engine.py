"""The options that say what computes, and what they come to."""

from typing import TYPE_CHECKING, Annotated

import typer

from torchinception.progress import Listener

if TYPE_CHECKING:
    from torchinception.classifier import Classifier


def _auto_or_count(text: str) -> str:
    if text == "auto" or (text.isdecimal() and int(text) > 0):
        return text
    raise typer.BadParameter(f"{text} is neither auto nor a number from 1 on")


EngineName = Annotated[
    str,
    typer.Option("--engine", help="auto (the fastest here, measured once), torch, onnx, openvino, compile or eager."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of the CPU that compute. Default: all cores.")]
Precision = Annotated[str, typer.Option(help="fp32, or bf16 or fp16 (GPU) by the engine torch.")]
Batch = Annotated[str, typer.Option(metavar="N|auto", callback=_auto_or_count, help="Pictures at a time.")]


def use_engine(
    model: "Classifier",
    name: str,
    *,
    batch: str,
    threads: int | None,
    precision: str,
    pictures: int | None,
    listener: Listener,
) -> int:
    """Have a classifier computed as the options say; how many pictures at a time that is."""
    from torchinception.classifier import engine
    from torchinception.engines.batches import fitting_batch

    size = fitting_batch(model.preprocess.size, model.device, pictures) if batch == "auto" else int(batch)
    model.use(
        engine(model, name, batch=size, threads=threads, precision=precision, pictures=pictures, listener=listener)
    )
    return size

"""The command `inception export`."""

from pathlib import Path
from typing import Annotated

import typer

from torchinception.cli_predict import Model
from torchinception.console import Screen, out
from torchinception.errors import UsageError

NAMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "torch": "torch.export"}


def export(
    model: Model,
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write; an older file is replaced.")],
    to: Annotated[str, typer.Option(help="onnx (.onnx), openvino (.xml and .bin) or torch-export (.pt2).")] = "onnx",
    batch: Annotated[str, typer.Option(metavar="dynamic|N", help="Pictures a call takes.")] = "dynamic",
    output: Annotated[str, typer.Option(help="probabilities or logits.")] = "probabilities",
) -> None:
    """Write a model for another runtime: pictures in, classes out. Kept only if it answers as PyTorch does."""
    number = _number(batch)
    from torchinception.classifier import load
    from torchinception.exports.exporting import check, export, parity_path

    check(file, to, number, output)
    with Screen() as screen:
        loaded = load(model, listener=screen)
        parity = export(loaded, file, to, batch=number, output=output, listener=screen)
    look, classes = loaded.preprocess, len(loaded.classes)
    many = batch if number else "N"
    megabytes = file.with_suffix(".bin" if to == "openvino" else file.suffix).stat().st_size / 1e6
    out.print(
        f"{file}: {loaded.spec.network}, {megabytes:.1f} MB; pictures, uint8 ({many}, {look.size}, {look.size}, 3) -> "
        f"{output}, float32 ({many}, {classes})"
    )
    for found in parity.runtimes:
        apart, same = found.max_difference / parity.scale, round(found.top1_agreement * parity.pictures)
        out.print(
            f"{NAMES[found.runtime]} {found.version}: top-1 as PyTorch's on {same} of {parity.pictures} pictures, "
            f"logits {apart:.0e} of the largest apart; "
            f"{found.latency_ms:.1f} ms a call, PyTorch {parity.pytorch.latency_ms:.1f}"
        )
    out.print(f"Resize and crop pictures as its metadata say; the whole comparison: {parity_path(file)}")


def _number(batch: str) -> int | None:
    if batch == "dynamic":
        return None
    try:
        return int(batch)
    except ValueError:
        raise UsageError(f"--batch is dynamic, or a number of pictures, not {batch}") from None

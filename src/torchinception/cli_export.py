"""The command `inception export`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from torchinception.cli_engine import Calibrate, MaxLoss, check_calibrate
from torchinception.cli_predict import Model
from torchinception.console import Screen, out

NAMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "torch": "torch.export"}


def _dynamic_or_count(text: str) -> str:
    if text == "dynamic" or (text.isdecimal() and int(text) > 0):
        return text
    raise typer.BadParameter(f"{text} is neither dynamic nor a number from 1 on")


def export(
    model: Model,
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write; an older file is replaced.")],
    to: Annotated[str, typer.Option(help="onnx (.onnx), openvino (.xml and .bin) or torch-export (.pt2).")] = "onnx",
    batch: Annotated[
        str, typer.Option(metavar="dynamic|N", callback=_dynamic_or_count, help="Pictures that a call takes.")
    ] = "dynamic",
    output: Annotated[str, typer.Option(help="probabilities or logits.")] = "probabilities",
    precision: Annotated[str, typer.Option(help="fp32, or int8 for onnx and openvino.")] = "fp32",
    calibrate: Calibrate = None,
    max_loss: MaxLoss = 0.5,
) -> None:
    """Write a model for another runtime: cropped pictures in, probabilities out.

    The file is kept only if it answers as PyTorch does on 32 pictures; what was found goes into FILE.parity.json.
    """
    from torchinception.classifier import load
    from torchinception.exports.exporting import check, export, parity_path
    from torchinception.exports.openvino_file import SETTINGS

    number = None if batch == "dynamic" else int(batch)
    check(file, to, number, output, precision)
    check_calibrate(precision, calibrate)
    with Screen() as screen:
        loaded = load(model, listener=screen)
        quantized = None
        if calibrate is not None:
            from torchinception.exports.quantized import quantize

            quantized = quantize(loaded, calibrate, to, max_loss=max_loss, batch=number, listener=screen)
        parity = export(loaded, file, to, batch=number, output=output, quantized=quantized, listener=screen)
    look, many = loaded.preprocess, number or "N"
    megabytes = file.with_suffix(".bin" if to == "openvino" else file.suffix).stat().st_size / 1e6
    out.print(
        f"{file}: {loaded.spec.network}, {precision}, {megabytes:.1f} MB; "
        f"uint8 ({many}, {look.size}, {look.size}, 3) -> {output} ({many}, {len(loaded.classes)})"
    )
    right = "in the engine it was judged in" if quantized else "PyTorch's"
    for found in parity.runtimes:
        apart, same = found.max_difference / parity.scale, round(found.top1_agreement * parity.pictures)
        out.print(
            f"{NAMES[found.runtime]} {found.version}: top-1 as {right} on {same} of {parity.pictures} pictures, "
            f"logits {apart:.0e} of the largest apart; "
            f"{found.latency_ms:.1f} ms a call, PyTorch {parity.pytorch.latency_ms:.1f}"
        )
    for found in parity.plain:
        out.print(
            f"Compile it in {NAMES[found.runtime]} with {json.dumps(SETTINGS)} for float32 on every processor: "
            f"without, logits are {found.max_difference / parity.scale:.0e} of the largest apart here"
        )
    out.print(f"Resize and crop pictures as its metadata say; the whole comparison: {parity_path(file)}")

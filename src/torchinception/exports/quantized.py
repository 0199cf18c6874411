"""A network in 8 bits for a file: accepted, or refused, by `quantization.quantize_model`."""

from dataclasses import asdict
from pathlib import Path

from torchinception.classifier import Classifier
from torchinception.engines.int8_engine import Int8Engine
from torchinception.exports.content import Quantized
from torchinception.progress import Listener
from torchinception.quantization import quantize_model


def quantize(
    model: Classifier,
    data: str | Path,
    to: str = "onnx",
    *,
    max_loss: float = 0.5,
    batch: int | None = None,
    listener: Listener | None = None,
) -> Quantized:
    """What `export` takes as `quantized`: `export(model, path, to, quantized=quantize(model, data, to))`.

    Args:
        model: whose network; it stays as it is.
        data: pictures to calibrate with and others to judge by, as of `quantize_model`.
        to: "onnx" or "openvino".
        max_loss: points of accuracy that may be lost.
        batch: how many pictures a call of the file will take, if that is fixed.
        listener: hears of progress, and what was found.

    Raises:
        UsageError: more is lost, a package is not installed, or a setting that cannot be.
        DataError: too few pictures, or some that cannot be used.
        MissingInputError: `data` is not there.
    """
    engine, judged = quantize_model(
        model, data, name=to, max_loss=max_loss, batch=batch or 1, anywhere=True, listener=listener
    )
    assert isinstance(engine, Int8Engine)
    return Quantized(engine.model, engine.run_uint8, asdict(judged))

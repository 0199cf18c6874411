"""Networks in 8 bits: quantized with pictures, run by ONNX Runtime or OpenVINO.

Quicker where the processor multiplies bytes, and never quite the same: whoever uses one compares it first, see
`int8_parity.compare`.
"""

from collections.abc import Sequence
from importlib.util import find_spec

from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.engines.engine import Engine
from torchinception.engines.int8_graph import graph_of_bytes, saturates
from torchinception.engines.int8_onnx import OnnxInt8Engine, quantize_onnx
from torchinception.engines.int8_openvino import OpenVinoInt8Engine, quantize_openvino
from torchinception.errors import UsageError
from torchinception.layers import Pair
from torchinception.network import Inception

QUANTIZERS = {"onnx": quantize_onnx, "openvino": quantize_openvino}
INT8_ENGINES: dict[str, type[OnnxInt8Engine] | type[OpenVinoInt8Engine]] = {
    "onnx": OnnxInt8Engine,
    "openvino": OpenVinoInt8Engine,
}
PACKAGES = {"onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino", "nncf")}


def installed() -> tuple[str, ...]:
    """The runtimes that can quantize here."""
    return tuple(name for name, needed in PACKAGES.items() if all(map(find_spec, needed)))


def quantize(
    name: str,
    net: Inception,
    preprocess: Preprocess,
    calibration: Sequence[Tensor],
    *,
    batch: int = 1,
    threads: int | None = None,
) -> Engine:
    """An engine in 8 bits.

    Args:
        name: of the runtime, "onnx" or "openvino".
        net: what to quantize, in evaluation mode whatever its own is.
        preprocess: how pictures are scaled.
        calibration: batches of pictures, uint8 (N, H, W, 3), all of one size; gone through several times.
        batch: how many pictures at a time it is to be quickest for.
        threads: how many a call uses; None: as many as PyTorch.

    Raises:
        UsageError: as `quantized_model`.
    """
    model = quantized_model(name, net, preprocess, calibration)
    return load_quantized(name, net, preprocess, model, size_of(calibration), batch=batch, threads=threads)


def quantized_model(
    name: str, net: Inception, preprocess: Preprocess, calibration: Sequence[Tensor], *, half_range: bool | None = None
) -> bytes:
    """A model in 8 bits from `pictures`, uint8 (N, H, W, 3), cut to size -> `logits`, float32 (N, classes).

    Any number of pictures, of the size of those in `calibration`. For "onnx" a model of ONNX; for "openvino" its two
    files, zipped, which `int8_openvino.write_openvino` writes.

    Args:
        name: of the runtime, "onnx" or "openvino".
        net: what to quantize, in evaluation mode whatever its own is.
        preprocess: how pictures are scaled.
        calibration: batches of pictures, uint8 (N, H, W, 3), all of one size; gone through several times.
        half_range: give weights 7 bits, which is right on every processor; None: where this one needs it.

    Raises:
        UsageError: no such runtime, it is not installed, a module that is no part of the family, or no pictures.
    """
    if name not in QUANTIZERS:
        raise UsageError(f"no int8 in an engine named {name}; expected auto, {', '.join(QUANTIZERS)}")
    size = size_of(calibration)
    graph = graph_of_bytes(net, preprocess.mean, preprocess.std)
    half = saturates() if half_range is None else half_range
    return QUANTIZERS[name](graph, size, calibration, half_range=half)


def load_quantized(
    name: str,
    net: Inception,
    preprocess: Preprocess,
    model: bytes,
    size: Pair,
    *,
    batch: int = 1,
    threads: int | None = None,
) -> Engine:
    """The engine of what `quantized_model` made of pictures of that size."""
    return INT8_ENGINES[name](net, model, size, mean=preprocess.mean, std=preprocess.std, batch=batch, threads=threads)


def size_of(calibration: Sequence[Tensor]) -> Pair:
    """Height and width of the pictures.

    Raises:
        UsageError: there are none.
    """
    if not calibration or not len(calibration[0]):
        raise UsageError("int8 needs pictures to calibrate with; a few hundred like those it will see are right")
    height, width = calibration[0].shape[1:3]
    return height, width

"""8 bits in OpenVINO: its quantizer, NNCF, which also corrects the means that rounding has moved."""

import importlib
import io
import logging
import re
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from torchinception.engines.compiled import Compiled
from torchinception.engines.graph import Graph
from torchinception.engines.int8_engine import Int8Engine
from torchinception.engines.int8_graph import Singles, kept_in_float
from torchinception.engines.onnx_model import PICTURES, write_onnx
from torchinception.engines.openvino_engine import OpenVinoEngine, import_openvino
from torchinception.engines.packages import not_imported
from torchinception.files import write_atomically
from torchinception.layers import Pair

STRUCTURE, WEIGHTS = "model.xml", "model.bin"  # the two files of OpenVINO's own format


class OpenVinoInt8Engine(Int8Engine, OpenVinoEngine):
    """An `Int8Engine` of OpenVINO."""

    def _compile(self, model: bytes) -> Compiled:
        read = _unpack(model)
        shape = read.input(PICTURES).get_partial_shape()
        shape[0] = self._batch
        read.reshape(shape)
        return self._start(read)

    def _cut(self, stage: str, value: str) -> bytes:
        whole = _unpack(self.model)
        output = next(out for node in whole.get_ops() for out in node.outputs() if value in out.get_names())
        return _pack(import_openvino().Model([output], whole.get_parameters(), stage))


def quantize_openvino(graph: Graph, size: Pair, calibration: Sequence[Tensor], *, half_range: bool) -> bytes:
    """OpenVINO's two files, zipped: `pictures`, uint8 (N, H, W, C), any number -> `logits`, float32 (N, classes).

    Ranges are those seen. By NNCF's own, which are means over pictures, the logits of a trained `tiny_inception`
    differed by 9 % of the largest instead of 1.3 %, and 0.3 % of 1,000 pictures were named otherwise instead of 0.1.

    Args:
        graph: of bytes, see `graph_of_bytes`.
        size: height and width of the pictures.
        calibration: uint8 (N, H, W, C) each.
        half_range: give weights 7 bits, see `saturates`.

    Raises:
        UsageError: a package that is not installed.
    """
    runtime, nncf = import_openvino(), import_nncf()
    ranges = importlib.import_module("nncf.quantization.range_estimator")
    kept = [rf"^/{re.escape(name)}([./].*)?$" for name in kept_in_float(graph)]
    model = runtime.Core().read_model(write_onnx(graph, size, uint8=True).SerializeToString())
    pictures = Singles(calibration)
    with _quiet(), _hidden("openvino_telemetry", "nncf.torch"):
        quantized = nncf.quantize(
            model,
            nncf.Dataset(pictures),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(pictures),
            ignored_scope=nncf.IgnoredScope(patterns=kept),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE if half_range else nncf.OverflowFix.DISABLE,
                activations_range_estimator_params=ranges.RangeEstimatorParametersSet.MINMAX,
            ),
        )
    return _pack(quantized)


def write_openvino(model: bytes, path: str | Path) -> None:
    """Write what `quantize_openvino` made as `path`, an .xml, and the .bin of its weights beside it.

    Raises:
        SaveError: a file could not be written.
    """
    with zipfile.ZipFile(io.BytesIO(model)) as files:
        write_atomically(Path(path).with_suffix(".bin"), files.read(WEIGHTS))
        write_atomically(path, files.read(STRUCTURE))


def import_nncf() -> Any:
    """The package nncf, which sends nothing home, and leaves Python's logging as it was.

    As OpenVINO does, it reports its use to Google Analytics by a package of its own, openvino_telemetry.

    Raises:
        UsageError: it is not installed, or does not load.
    """
    before = logging.getLoggerClass()
    try:
        with _hidden("openvino_telemetry"):
            return importlib.import_module("nncf")
    except (ImportError, OSError) as error:
        raise not_imported(error, "nncf", "8 bits in OpenVINO need", "int8") from error
    finally:
        logging.setLoggerClass(before)


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """As if these were not installed. `nncf.torch` is imported only to see that a model is not PyTorch's."""
    before = {name: sys.modules[name] for name in packages if name in sys.modules}
    sys.modules.update(dict.fromkeys(packages))  # type: ignore[arg-type]  # None is Python's own sign that there is none
    try:
        yield
    finally:
        for name in packages:
            del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without NNCF's log, and its progress, which it draws on rich's own console."""
    import rich

    log, console = logging.getLogger("nncf"), rich.get_console()
    level, quiet = log.level, console.quiet
    log.setLevel(logging.ERROR)
    console.quiet = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
        console.quiet = quiet


def _pack(model: Any) -> bytes:
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(packed, "w") as files:
        structure = Path(folder) / STRUCTURE
        import_openvino().serialize(model, structure)
        for path in (structure, structure.with_name(WEIGHTS)):
            files.write(path, path.name)
    return packed.getvalue()


def _unpack(model: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(model)) as files:
        return import_openvino().Core().read_model(files.read(STRUCTURE), files.read(WEIGHTS))

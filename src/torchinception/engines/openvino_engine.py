"""OpenVINO on the CPU."""

import importlib
import sys
from typing import Any

from torchinception.engines.compiled import Compiled, CompiledEngine
from torchinception.engines.onnx_model import PICTURES
from torchinception.engines.packages import not_imported
from torchinception.engines.rewrite import fold_batch_norm, fold_residual_scale, fuse_relu


class OpenVinoEngine(CompiledEngine):
    """A `CompiledEngine` of OpenVINO."""

    name = "openvino"
    any_batch = False  # one model for all would be a few percent slower
    rewrites = (fold_batch_norm, fold_residual_scale, fuse_relu)

    def _load(self) -> None:
        runtime = import_openvino()
        self.version = runtime.__version__.split("-")[0]
        self._core = runtime.Core()

    def _compile(self, model: bytes) -> Compiled:
        return self._start(self._core.read_model(model))

    def _start(self, model: Any) -> Compiled:
        """What computes an `openvino.Model`."""
        settings = dict(
            PERFORMANCE_HINT="LATENCY",
            INFERENCE_PRECISION_HINT="f32",  # where the processor has bfloat16, that is the default
            INFERENCE_NUM_THREADS=self.threads,
            ENABLE_CPU_PINNING=False,  # two processes would share the first core, and leave the others idle
        )
        request = self._core.compile_model(model, "CPU", settings).create_infer_request()
        return lambda pictures: request.infer({PICTURES: pictures}, share_inputs=True)[0]


def import_openvino() -> Any:
    """The package openvino, which sends nothing home.

    It tells Google Analytics of its import, and writes a number of this user into the home folder, through a package
    of its own, openvino_telemetry. Without that it does neither, as it is made to believe here.

    Raises:
        UsageError: it is not installed, or does not load.
    """
    try:
        return sys.modules.get("openvino") or _import_without("openvino_telemetry", "openvino")
    except (ImportError, OSError) as error:
        raise not_imported(error, "openvino", "running in OpenVINO needs", "openvino") from error


def _import_without(hidden: str, package: str) -> Any:
    """`package` as if `hidden` were not installed, unless that is there already."""
    if hidden in sys.modules:
        return importlib.import_module(package)
    sys.modules[hidden] = None  # type: ignore[assignment]  # Python's own sign that there is none
    try:
        return importlib.import_module(package)
    finally:
        del sys.modules[hidden]

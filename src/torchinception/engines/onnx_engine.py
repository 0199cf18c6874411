"""ONNX Runtime on the CPU."""

import importlib
import os
from typing import Any

from torchinception.engines.compiled import Compiled, CompiledEngine
from torchinception.engines.onnx_model import PICTURES
from torchinception.engines.packages import not_imported
from torchinception.engines.rewrite import fold_batch_norm, fold_residual_scale, fuse_relu


class OnnxEngine(CompiledEngine):
    """A `CompiledEngine` of ONNX Runtime."""

    name = "onnx"
    any_batch = True
    rewrites = (fold_batch_norm, fold_residual_scale, fuse_relu)

    def _load(self) -> None:
        self._runtime = import_onnxruntime()
        self.version = self._runtime.__version__

    def _compile(self, model: bytes) -> Compiled:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors alone
        # threads wait busily for the next operation, but not for the next call: others need the processor then
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = self._runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda pictures: session.run(None, {PICTURES: pictures})[0]


def import_onnxruntime() -> Any:
    """The package onnxruntime, which sends nothing home.

    From 1.32 on it does so from its import on, and writes a number of this machine into the user's cache.
    `disable_telemetry_events` comes too late for either; its variable, which it reads on import, does not.

    Raises:
        UsageError: it is not installed, or does not load.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module("onnxruntime")
    except (ImportError, OSError) as error:
        raise not_imported(error, "onnxruntime", "running in ONNX Runtime needs", "onnx") from error

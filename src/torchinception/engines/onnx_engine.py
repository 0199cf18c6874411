"""ONNX Runtime on the CPU."""

import importlib
import os
from typing import Any

import torch
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.engines.graph import Graph
from torchinception.engines.onnx_model import PICTURES, write_onnx
from torchinception.errors import UsageError
from torchinception.layers import Pair


class OnnxEngine:
    """Runs a graph in ONNX Runtime, which optimizes it anew for every size of pictures; the last one's is kept.

    Args:
        graph: what to run; its output is what the engine puts out.
        preprocess: makes the graph's input of bytes.
        threads: of one call; default: as many as PyTorch uses.

    Raises:
        UsageError: onnx or onnxruntime is not installed.
    """

    name = "onnx"
    precision = "fp32"

    def __init__(self, graph: Graph, preprocess: Preprocess, *, threads: int | None = None) -> None:
        self.runtime = import_onnxruntime()
        self.version: str = self.runtime.__version__
        self.graph, self.preprocess = graph, preprocess
        self.threads = torch.get_num_threads() if threads is None else threads
        self._sessions = dict[tuple[bool, Pair], Any]()

    def run(self, pictures: Tensor) -> Tensor:
        """Logits, or features, of float32 (N, C, H, W), scaled as the network expects."""
        height, width = pictures.shape[2:]
        return self._run(pictures, (height, width))

    def run_uint8(self, pictures: Tensor) -> Tensor:
        """Logits, or features, of uint8 (N, H, W, C)."""
        height, width = pictures.shape[1:3]
        return self._run(pictures, (height, width))

    def features(self, stage: str) -> "OnnxEngine":
        """An engine that puts out what a stage does, (N, C, H, W), and computes nothing behind it.

        Raises:
            UsageError: no stage of that name is in the graph.
        """
        return OnnxEngine(self.graph.up_to(stage), self.preprocess, threads=self.threads)

    def _run(self, pictures: Tensor, size: Pair) -> Tensor:
        key = (pictures.dtype == torch.uint8, size)
        if key not in self._sessions:
            self._sessions.clear()
            self._sessions[key] = self._session(*key)
        (answers,) = self._sessions[key].run(None, {PICTURES: pictures.contiguous().numpy()})
        return torch.from_numpy(answers)

    def _session(self, uint8: bool, size: Pair) -> Any:
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors alone
        # threads wait busily for the next operation, but not for the next call: others need the processor then
        options.add_session_config_entry("session.force_spinning_stop", "1")
        model = write_onnx(self.graph, size, uint8=uint8, scaling=self.preprocess if uint8 else None)
        return self.runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def import_onnxruntime() -> Any:
    """The package onnxruntime, which sends nothing home.

    From 1.32 on it does so from its import on, and writes a number of this machine into the user's cache.
    `disable_telemetry_events` comes too late for either; its variable, which it reads on import, does not.

    Raises:
        UsageError: it is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module("onnxruntime")
    except ImportError:
        raise UsageError("running in ONNX Runtime needs onnxruntime: pip install 'torchinception[onnx]'") from None

"""OpenVINO on the CPU."""

import importlib
import sys
from typing import Any

import torch
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.engines.graph import Graph
from torchinception.engines.onnx_model import PICTURES, write_onnx
from torchinception.errors import UsageError
from torchinception.layers import Pair

KEPT = 2  # compiled networks: of whole batches, and of the last one


class OpenVinoEngine:
    """Runs a graph in OpenVINO, which compiles it anew for every shape of batches; the last two are kept.

    A batch of any size would be one compilation, but 2 to 4 % slower.

    Args:
        graph: what to run; its output is what the engine puts out.
        preprocess: makes the graph's input of bytes.
        threads: of one call; default: as many as PyTorch uses.

    Raises:
        UsageError: onnx or openvino is not installed.
    """

    name = "openvino"
    precision = "fp32"

    def __init__(self, graph: Graph, preprocess: Preprocess, *, threads: int | None = None) -> None:
        runtime = import_openvino()
        self.version: str = runtime.__version__.split("-")[0]
        self.core = runtime.Core()
        self.graph, self.preprocess = graph, preprocess
        self.threads = torch.get_num_threads() if threads is None else threads
        self._requests = dict[tuple[bool, int, Pair], Any]()

    def run(self, pictures: Tensor) -> Tensor:
        """Logits, or features, of float32 (N, C, H, W), scaled as the network expects."""
        height, width = pictures.shape[2:]
        return self._run(pictures, (height, width))

    def run_uint8(self, pictures: Tensor) -> Tensor:
        """Logits, or features, of uint8 (N, H, W, C)."""
        height, width = pictures.shape[1:3]
        return self._run(pictures, (height, width))

    def features(self, stage: str) -> "OpenVinoEngine":
        """An engine that puts out what a stage does, (N, C, H, W), and computes nothing behind it.

        Raises:
            UsageError: no stage of that name is in the graph.
        """
        return OpenVinoEngine(self.graph.up_to(stage), self.preprocess, threads=self.threads)

    def _run(self, pictures: Tensor, size: Pair) -> Tensor:
        key = (pictures.dtype == torch.uint8, len(pictures), size)
        request = self._requests.pop(key, None) or self._request(*key)
        self._requests[key] = request  # the last in order of use
        for oldest in list(self._requests)[:-KEPT]:
            del self._requests[oldest]
        answers = request.infer({PICTURES: pictures.contiguous().numpy()}, share_inputs=True)
        return torch.from_numpy(answers[0])

    def _request(self, uint8: bool, batch: int, size: Pair) -> Any:
        scaling = self.preprocess if uint8 else None
        model = write_onnx(self.graph, size, batch=batch, uint8=uint8, scaling=scaling)
        settings = dict(
            PERFORMANCE_HINT="LATENCY",
            INFERENCE_PRECISION_HINT="f32",  # where the processor has bfloat16, that is the default
            INFERENCE_NUM_THREADS=self.threads,
            ENABLE_CPU_PINNING=False,  # two processes would share the first core, and leave the others idle
        )
        network = self.core.read_model(model.SerializeToString())
        return self.core.compile_model(network, "CPU", settings).create_infer_request()


def import_openvino() -> Any:
    """The package openvino, which sends nothing home.

    It tells Google Analytics of its import, and writes a number of this user into the home folder, through a package
    of its own, openvino_telemetry. Without that it does neither, as it is made to believe here.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return sys.modules.get("openvino") or _import_without("openvino_telemetry", "openvino")
    except ImportError:
        raise UsageError("running in OpenVINO needs openvino: pip install 'torchinception[openvino]'") from None


def _import_without(hidden: str, package: str) -> Any:
    """`package` as if `hidden` were not installed, unless that is there already."""
    if hidden in sys.modules:
        return importlib.import_module(package)
    sys.modules[hidden] = None  # type: ignore[assignment]  # Python's own sign that there is none
    try:
        return importlib.import_module(package)
    finally:
        del sys.modules[hidden]

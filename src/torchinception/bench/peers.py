"""Other libraries' networks with our weights, as sides of a benchmark: in PyTorch and in runtimes."""

import importlib
import warnings
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import nn

from torchinception.bench import ncnn_peer
from torchinception.bench.ours import Pictures
from torchinception.bench.side import Side, environment
from torchinception.bench.subjects import Subject
from torchinception.bench.worker import Load, Run
from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.openvino_engine import import_openvino
from torchinception.errors import UsageError
from torchinception.weights.bundle import load_model
from torchinception.weights.export import export

PEERS = {  # our network: the library that computes the same, and its name there
    "googlenet_torch": ("torchvision", "googlenet"),
    "inception_v3_torch": ("torchvision", "inception_v3"),
    "inception_v4": ("timm", "inception_v4"),
    "inception_resnet_v2": ("timm", "inception_resnet_v2"),
    "xception_torch": ("timm", "legacy_xception"),
}
NEAREST = {  # computed by no other library, but something near to it is
    "googlenet": "googlenet_torch",
    "googlenet_bn": "googlenet_torch",
    "inception_v3": "inception_v3_torch",
    "xception": "xception_torch",
}
RUNTIMES = {"ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}
INPUT = "pictures"


@dataclass(frozen=True)
class Peer:
    """Another library's network and the file of its weights; of the library "PyTorch" it is ours, as it is."""

    origin: str
    network: str
    classes: int
    weights: Path
    note: str = ""

    @property
    def reference(self) -> str:
        """The name of the side that others are compared with."""
        return f"{self.origin} eager"

    @property
    def package(self) -> str:
        """The library and its version."""
        return f"{self.origin} {version('torch' if self.origin == 'PyTorch' else self.origin)}"

    def build(self) -> nn.Module:
        """In evaluation mode, as the library makes it."""
        if self.origin == "PyTorch":
            return load_model(self.weights)[0]
        with torch.device("meta"):  # its own initialization takes up to a minute
            net = _create(self.origin, self.network, self.classes)
        net.load_state_dict(load_file(self.weights), assign=True)
        return net.eval()


def check_installed(name: str) -> None:
    """Tell of a missing library ahead of all measuring.

    Raises:
        UsageError: the library whose network is the peer of this one is not installed.
    """
    library, _ = PEERS.get(name, ("torch", ""))
    if not find_spec(library):
        raise UsageError(f"the peer of {name} is {library}'s, which is not installed: pip install {library}")


def make_peer(subject: Subject, folder: Path) -> Peer:
    """The library's network with the subject's weights; where none computes the same, ours in its place.

    Raises:
        UsageError: the library is not installed.
    """
    name, classes = subject.net.name, subject.net.classifier.out_features
    if name not in PEERS:
        nearest = f"; torchvision and timm have {NEAREST[name]}" if name in NEAREST else ""
        return _stand_in(subject, f"no other library computes {name}{nearest}")
    check_installed(name)
    library, network = PEERS[name]
    weights = folder / "peer.safetensors"
    try:
        export(subject.net, weights, library)
    except UsageError as error:  # batch norm of another eps, say
        return _stand_in(subject, str(error))
    return Peer(library, network, classes, weights)


def _stand_in(subject: Subject, why: str) -> Peer:
    net = subject.net
    note = f"{why}. In its place: our network called as a user of PyTorch would call it."
    return Peer("PyTorch", net.name, net.classifier.out_features, subject.file, note)


def _create(library: str, network: str, classes: int) -> nn.Module:
    if library == "timm":
        net: nn.Module = importlib.import_module("timm").create_model(network, num_classes=classes)
        return net
    from torchvision.models import get_model

    found: nn.Module = get_model(network, num_classes=classes, aux_logits=False, init_weights=False)
    return found


def peer_sides(peer: Peer, pictures: Pictures, threads: int, folder: Path) -> tuple[list[Side], list[str]]:
    """The peer in PyTorch and in the runtimes that are installed, for float32 (N, C, H, W); and notes."""
    eager = {
        peer.reference: partial(in_pytorch, peer, pictures, threads),
        f"{peer.origin} channels_last": partial(in_pytorch, peer, pictures, threads, channels_last=True),
        f"{peer.origin} compiled": partial(in_pytorch, peer, pictures, threads, compiled=True),
    }
    sides = [Side(name, "peer", prepare, environment(threads, spin=None)) for name, prepare in eager.items()]
    ncnn, ncnn_notes = _ncnn_side(peer, pictures, threads, folder)
    sides += ncnn
    there = {name for name, package in RUNTIMES.items() if find_spec(package)}
    notes = [*ncnn_notes, *(f"{name} is not installed" for name in RUNTIMES if name not in there)]
    if there and not find_spec("onnx"):
        return sides, [*notes, "the peer is in no runtime: its export needs onnx, which is not installed"]
    model = folder / f"peer_{len(pictures)}.onnx"
    try:
        how = export_onnx(peer.build(), pictures, model) if there else ""
    except Exception as error:  # noqa: BLE001, the exporter raises whatever its parts do
        return sides, [
            *notes,
            f"the peer is in no runtime: PyTorch does not export it ({type(error).__name__}: {error})",
        ]
    if there:
        notes.append(f"{peer.package}'s network went into the runtimes by {how}")
    for name, run in (("ONNX Runtime", in_onnxruntime), ("OpenVINO", in_openvino)):
        if name in there:
            prepare = partial(run, model, pictures, threads)
            sides.append(Side(f"{peer.origin} in {name}", "runtime", prepare, environment(threads, spin=None)))
    return sides, notes


def _ncnn_side(peer: Peer, pictures: Pictures, threads: int, folder: Path) -> tuple[list[Side], list[str]]:
    if not ncnn_peer.is_installed():
        return [], [f"ncnn is not measured: pip install {' '.join(ncnn_peer.PACKAGES)}"]
    try:
        files = ncnn_peer.convert(peer.build(), pictures, folder)
    except Exception as error:  # noqa: BLE001, tracing raises whatever it does
        return [], [f"the peer is not in ncnn: {error}"]
    prepare = partial(ncnn_peer.in_ncnn, files, pictures, threads)
    return [Side(f"{peer.origin} in ncnn", "runtime", prepare, environment(threads, spin=None))], []


def export_onnx(net: nn.Module, pictures: Pictures, path: Path) -> str:
    """Write a network as ONNX for exactly these pictures, and say how: by the newer exporter, if all of it is there."""
    dynamo = find_spec("onnxscript") is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older one is deprecated, and says what it cannot fold
        torch.onnx.export(
            net,
            (torch.from_numpy(pictures),),
            path,
            dynamo=dynamo,
            external_data=False,
            input_names=[INPUT],
            output_names=["logits"],
            verbose=False,
        )
    return f"torch.onnx.export(dynamo={dynamo})"


def in_pytorch(
    peer: Peer, pictures: Pictures, threads: int, *, channels_last: bool = False, compiled: bool = False
) -> Load:
    """As a user calls it, in inference mode."""
    if peer.origin != "PyTorch":
        importlib.import_module(peer.origin)
    torch.set_num_threads(threads)

    def load() -> tuple[str, Run]:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        net, x = peer.build(), torch.from_numpy(pictures).contiguous(memory_format=layout)
        net = net.to(memory_format=layout)
        ready = torch.compile(net, options={"freezing": True}) if compiled else net

        def run() -> npt.NDArray[Any]:
            with torch.no_grad() if compiled else torch.inference_mode():  # in the latter nothing is frozen
                answers: npt.NDArray[Any] = ready(x).numpy()
            return answers

        return torch.__version__, run

    return load


def in_onnxruntime(model: Path, pictures: Pictures, threads: int) -> Load:
    """ONNX Runtime as its documentation advises: every optimization of the graph, so many threads for an operation."""
    runtime = import_onnxruntime()

    def load() -> tuple[str, Run]:
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        return str(runtime.__version__), lambda: session.run(None, {INPUT: pictures})[0]

    return load


def in_openvino(model: Path, pictures: Pictures, threads: int) -> Load:
    """OpenVINO as its documentation advises for one call at a time."""
    runtime = import_openvino()

    def load() -> tuple[str, Run]:
        settings = dict(PERFORMANCE_HINT="LATENCY", INFERENCE_PRECISION_HINT="f32", INFERENCE_NUM_THREADS=threads)
        core = runtime.Core()
        request = core.compile_model(core.read_model(str(model)), "CPU", settings).create_infer_request()

        def run() -> npt.NDArray[Any]:
            return np.array(request.infer({INPUT: pictures}, share_inputs=True)[0])

        return str(runtime.__version__).split("-")[0], run

    return load

"""The engines as sides of a benchmark: what runs in a worker."""

import importlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from torchinception.bench.side import Side, environment
from torchinception.bench.worker import Load, Run
from torchinception.engines.engine import build, installed
from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.openvino_engine import import_openvino
from torchinception.weights.bundle import load_model

Pictures = npt.NDArray[np.float32]
SPIN = "1000"  # as the command line sets it
IMPORTS = {"onnx": import_onnxruntime, "openvino": import_openvino}


def engine_sides(
    model: Path, pictures: Pictures, threads: int, *, tier: str = "default", tune: bool = True
) -> list[Side]:
    """Our engines, those that are installed, for a model file and float32 (N, C, H, W); the native one in a tier."""
    return [
        native_side(model, pictures, threads, tier=tier, tune=tune)
        if name == "native"
        else Side(name, "ours", partial(engine, name, model, pictures, threads), environment(threads, SPIN))
        for name in installed()
    ]


def native_side(model: Path, pictures: Pictures, threads: int, *, tier: str = "default", tune: bool = True) -> Side:
    """The native engine: "native", and in its name what differs from that, as in "native, fast" or "native, rule"."""
    differs = [tier] * (tier != "default") + ["rule"] * (not tune)
    prepare = partial(engine, "native", model, pictures, threads, tier=tier, tune=tune)
    return Side(", ".join(["native", *differs]), "ours", prepare, environment(threads, SPIN))


def engine(
    name: str, model: Path, pictures: Pictures, threads: int, *, tier: str = "default", tune: bool = True
) -> Load:
    """An engine by its name."""
    if name in IMPORTS:
        IMPORTS[name]()
        importlib.import_module("onnx")  # which the graph is written with

    def load() -> tuple[str, Run]:
        net, spec = load_model(model)
        size = len(pictures)
        built = build(name, net, preprocess=spec.preprocess, batch=size, threads=threads, tier=tier, tune=tune)
        x = torch.from_numpy(pictures)

        def run() -> npt.NDArray[Any]:
            answers: npt.NDArray[Any] = built.run(x).numpy()
            return answers

        return built.version, run

    return load

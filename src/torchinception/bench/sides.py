"""The engines as sides of a benchmark: what runs in a worker."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from torchinception.bench.worker import Load, Prepare, Run
from torchinception.engines.engine import build, installed
from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.openvino_engine import import_openvino
from torchinception.weights.bundle import load_model

Pictures = npt.NDArray[np.float32]
IMPORTS = {"onnx": import_onnxruntime, "openvino": import_openvino}


@dataclass(frozen=True)
class Side:
    """A way to run a network; `kind` is as in `Row`. `environment` is that of its process, as `Worker` takes it."""

    name: str
    kind: str
    prepare: Prepare
    environment: Mapping[str, str | None]


def engine_sides(model: Path, pictures: Pictures, threads: int) -> list[Side]:
    """Our engines, those that are installed, for a model file and float32 (N, C, H, W)."""
    return [
        Side(name, "ours", partial(engine, name, model, pictures, threads), environment(threads, spin="1000"))
        for name in installed()
    ]


def environment(threads: int, spin: str | None) -> dict[str, str | None]:
    """So many threads, and how often libgomp's look for work before they sleep: its own number, or the command's."""
    count = str(threads)
    return dict(
        OMP_NUM_THREADS=count,
        MKL_NUM_THREADS=count,
        OPENBLAS_NUM_THREADS=count,
        GOMP_SPINCOUNT=spin,
        TORCHINDUCTOR_COMPILE_THREADS="1",  # in the worker itself, so that nothing is left when it is ended
    )


def engine(name: str, model: Path, pictures: Pictures, threads: int) -> Load:
    """An engine by its name."""
    if name in IMPORTS:
        IMPORTS[name]()
        importlib.import_module("onnx")  # which the graph is written with

    def load() -> tuple[str, Run]:
        net, spec = load_model(model)
        built = build(name, net, preprocess=spec.preprocess, batch=len(pictures), threads=threads)
        x = torch.from_numpy(pictures)

        def run() -> npt.NDArray[Any]:
            answers: npt.NDArray[Any] = built.run(x).numpy()
            return answers

        return built.version, run

    return load

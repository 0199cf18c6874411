"""The peer's network in ncnn, converted by ncnn's own pnnx."""

import importlib
import subprocess
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from torchinception.bench.ours import Pictures
from torchinception.bench.worker import Load, Run

FLOATS = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")
PACKAGES = ("ncnn", "pnnx")


def is_installed() -> bool:
    """Whether both are there: what computes, and what converts."""
    return all(map(find_spec, PACKAGES))


def convert(net: nn.Module, pictures: Pictures, folder: Path) -> tuple[Path, Path]:
    """Write a network in float32 for one picture at a time; the files of its layers and its weights.

    Raises:
        RuntimeError: pnnx does not convert it.
    """
    traced, size = folder / "peer.pt", ",".join(map(str, (1, *pictures.shape[1:])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, but what pnnx takes
        torch.jit.trace(net, torch.from_numpy(pictures[:1])).save(traced)  # type: ignore[no-untyped-call]
    words = (importlib.import_module("pnnx").EXEC_PATH, str(traced), f"inputshape=[{size}]f32", "fp16=0")
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, check=False)  # noqa: S603, our own words
    files = folder / "peer.ncnn.param", folder / "peer.ncnn.bin"
    if done.returncode or any(not file.exists() for file in files):
        raise RuntimeError(f"pnnx ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return files


def in_ncnn(files: tuple[Path, Path], pictures: Pictures, threads: int) -> Load:
    """Ncnn in float32; it takes one picture a call, so several are several calls."""
    ncnn = importlib.import_module("ncnn")

    def load() -> tuple[str, Run]:
        net = ncnn.Net()
        net.opt.num_threads = threads
        for name in FLOATS:
            setattr(net.opt, name, False)
        for read, file in ((net.load_param, files[0]), (net.load_model, files[1])):
            if read(str(file)):
                raise RuntimeError(f"ncnn does not read {file.name}")

        def answer(picture: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
            extractor = net.create_extractor()
            extractor.input("in0", ncnn.Mat(picture))
            return np.array(extractor.extract("out0")[1])

        return str(ncnn.__version__), lambda: np.stack([answer(picture) for picture in pictures])

    return load

"""What the machine can do at most, about: a large matrix product of NumPy's in float32, one more side of every case."""

import os
from typing import Any

from torchinception.bench.side import environment
from torchinception.bench.worker import Load, Run

KERNELS = "OPENBLAS_CORETYPE"
SIDE = 1536  # three matrices of 9 MB
OPERATIONS = 2 * SIDE**3


def product_environment(threads: int) -> dict[str, str | None]:
    """Of its process. Left alone, OpenBLAS takes AVX2 on AMD's processors with AVX-512, at half the speed."""
    from torch.backends.cpu import get_cpu_capability  # the worker has no need of torch

    kernels: dict[str, str | None] = {KERNELS: "SkylakeX"} if get_cpu_capability() == "AVX512" else {}
    return environment(threads, spin=None) | kernels


def matrix_product() -> Load:
    """NumPy brings OpenBLAS, whose product comes close to the processor's limit; MKL's is slower on AMD's."""
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]

    def load() -> tuple[str, Run]:
        draws = np.random.default_rng(0)
        left, right = (draws.random((SIDE, SIDE), np.float32) for _ in range(2))
        product = np.empty_like(left)

        def run() -> None:
            np.matmul(left, right, out=product)

        kernels = f", kernels for {os.environ[KERNELS]}" if KERNELS in os.environ else ""
        return f"{blas['name']} {blas['version']}{kernels}", run

    return load

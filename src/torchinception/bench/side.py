"""A side of a benchmark: one way to run a network."""

from collections.abc import Mapping
from dataclasses import dataclass

from torchinception.bench.worker import Prepare


@dataclass(frozen=True)
class Side:
    """Its `kind` is as in `Row`, its `environment` that of its process, as `Worker` takes it."""

    name: str
    kind: str
    prepare: Prepare
    environment: Mapping[str, str | None]


def environment(threads: int, spin: str | None) -> dict[str, str | None]:
    """So many threads, and how often libgomp's look for work before they sleep: None is its own number."""
    count = str(threads)
    return dict(
        OMP_NUM_THREADS=count,
        MKL_NUM_THREADS=count,
        OPENBLAS_NUM_THREADS=count,
        GOMP_SPINCOUNT=spin,
        TORCHINDUCTOR_COMPILE_THREADS="1",  # in the worker itself, so that nothing is left when it is ended
    )

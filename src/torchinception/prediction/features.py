"""Features of a stage: which stages there are, how wide they are, and the files that keep them."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch.func import functional_call

from torchinception.classifier import Classifier
from torchinception.errors import UsageError
from torchinception.prediction.tables import as_text, import_pyarrow

ROWS = 1024  # of a row group


def find_stage(model: Classifier, name: str | None) -> tuple[str, int]:
    """A stage, by default the last one, whose average is what the classifier takes; and its number of channels.

    Raises:
        UsageError: the network has no such stage.
    """
    net = model.network
    stages = [stage for stage, _ in net.trunk.named_children()]
    name = stages[-1] if name is None else name
    if name not in stages:
        raise UsageError(f"no stage named {name} in {net.name}; stages: {', '.join(stages)}")
    part = net.trunk[: stages.index(name) + 1]
    shapes = {key: torch.empty_like(tensor, device="meta") for key, tensor in part.state_dict().items()}
    size = model.preprocess.size
    with torch.inference_mode():
        found = functional_call(part, shapes, torch.empty(1, net.channels, size, size, device="meta"))
    return name, int(found.shape[1])


def write_npy(parts: Sequence[Path], width: int, file: BinaryIO) -> None:
    """Raw float32 values, a picture's after another's -> one array (N, width)."""
    count = sum(part.stat().st_size for part in parts) // (4 * width)
    header = dict(descr="<f4", fortran_order=False, shape=(count, width))
    np.lib.format.write_array_header_1_0(file, header)
    for part in parts:
        with part.open("rb") as source:
            while block := source.read(1 << 20):
                file.write(block)


def write_parquet_features(rows: Sequence[Path], values: Sequence[Path], width: int, file: BinaryIO) -> None:
    """Columns path, features (a list of float32, null for a bad picture) and error (null for a good one)."""
    arrow, parquet = import_pyarrow()
    text, numbers = arrow.string(), arrow.list_(arrow.float32())
    schema = arrow.schema([("path", text), ("features", numbers), ("error", text)])
    with parquet.ParquetWriter(file, schema) as writer:
        for lines, block in _side_by_side(rows, values, width):
            good = np.array([error is None for _, error in lines])
            ends = np.concatenate([[0], np.cumsum(good * width)]).astype(np.int32)
            lists = arrow.ListArray.from_arrays(ends, block[good].reshape(-1), mask=arrow.array(~good))
            paths, errors = ([as_text(line[i]) for line in lines] for i in (0, 1))
            columns = [arrow.array(paths, text), lists, arrow.array(errors, text)]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def _side_by_side(
    rows: Sequence[Path], values: Sequence[Path], width: int
) -> Iterator[tuple[list[list[Any]], npt.NDArray[np.float32]]]:
    """Path and error of some pictures, and their features (N, width)."""
    for part, raw in zip(rows, values, strict=True):
        with part.open("rb") as texts, raw.open("rb") as numbers:
            while lines := [json.loads(line) for line in islice(texts, ROWS)]:
                yield lines, np.frombuffer(numbers.read(4 * width * len(lines)), "<f4").reshape(-1, width)

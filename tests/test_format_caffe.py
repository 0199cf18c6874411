from pathlib import Path

import foreign_files as foreign
import numpy as np
import pytest
from format_fixtures import assert_holds, refused

from torchinception.weights.formats import read_tensors

RANDOM = np.random.default_rng(0)
BLOBS = {
    "conv1/7x7_s2": [RANDOM.standard_normal((4, 3, 7, 7)).astype("f4"), RANDOM.standard_normal(4).astype("f4")],
    "one": [RANDOM.standard_normal((1, 1, 5, 5)).astype("f4"), np.ones(1, "f4")],
    "loss3/classifier": [RANDOM.standard_normal((5, 6)).astype("f4"), RANDOM.standard_normal(5).astype("f4")],
    "relu": [],
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_caffes_blobs_come_back(path: Path, old: bool, single: bool, kind: str) -> None:
    blobs = {name: [blob.astype(kind) for blob in some] for name, some in BLOBS.items()}
    foreign.write_caffe(path, blobs, old, {"loss3/classifier": "InnerProduct"}, single)
    expected = {f"{name}/{place}": blob for name, some in blobs.items() for place, blob in enumerate(some)}
    assert_holds(read_tensors(path), "caffe", expected)


@pytest.mark.parametrize("layers", [{}, {"relu": []}, {"": [np.ones(2, "f4")]}])
def test_a_net_without_named_weights_is_refused(path: Path, layers: dict[str, list[np.ndarray]]) -> None:
    foreign.write_caffe(path, layers)
    refused(path, "tensors|without a name")

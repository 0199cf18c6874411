"""What tests of the formats share: arrays of every kind of number, and how a reader is held to them."""

from pathlib import Path

import foreign_files as foreign
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from torchinception.errors import ModelFileError
from torchinception.weights.formats import Contents, read_tensors

RANDOM = np.random.default_rng(0)
SOME = {
    "Net/Conv_1/weights": RANDOM.standard_normal((3, 2, 4, 5)).astype("f4"),
    "Net/Conv_1/BatchNorm/beta": np.zeros(5, "f4"),
    "Net/Conv_2/weights": RANDOM.standard_normal((1, 1, 700, 3)).astype("f4"),
    "double": RANDOM.standard_normal((2, 3)),
    "half": RANDOM.standard_normal(3).astype("f2"),
    "brain": RANDOM.standard_normal((4, 1)).astype(ml_dtypes.bfloat16),
    "step": np.array(-(2**40), np.int64),
    **{f"int/{kind}": np.array([1, 100], kind) for kind in ("uint8", "uint16")},
    **{f"int/{kind}": np.array([-100, 100], kind) for kind in ("int8", "int16", "int32")},
    "flag": np.array([True, False]),
    "empty": np.zeros((2, 0), "f4"),
}
HYPOTHESIS = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def as_array(tensor: torch.Tensor) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def assert_holds(contents: Contents, kind: str, expected: foreign.Arrays) -> None:
    assert contents.format == kind
    assert set(contents.tensors) == set(expected)
    for name, array in expected.items():
        found = as_array(contents.tensors[name])
        told = (found.dtype, found.shape, found.tobytes())
        assert told == (array.dtype, array.shape, array.tobytes()), name


def refused(path: Path, cause: str = ".") -> None:
    with pytest.raises(ModelFileError, match=cause) as caught:
        pytest.fail(f"read as {read_tensors(path)}")
    assert str(path) in str(caught.value)
    assert "download or export it again" in str(caught.value)

import os
import subprocess
import sys
from pathlib import Path

import foreign_files as foreign
import numpy as np
import pytest
from format_fixtures import HYPOTHESIS, assert_holds, refused
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from torchinception.errors import MissingInputError
from torchinception.weights.formats import read_tensors


@HYPOTHESIS
@given(
    arrays.arrays(st.sampled_from(["f4", "f8", "i4", "i8", "f2", "u1"]), arrays.array_shapes(min_dims=0, min_side=0))
)
def test_every_array_survives_every_format(tmp_path: Path, array: np.ndarray) -> None:
    foreign.write_tf_v1(tmp_path / "v1", {"a": array})
    foreign.write_tf_v2(tmp_path / "v2", {"a": array})
    for name in ("v1", "v2"):
        assert_holds(read_tensors(tmp_path / name), "tensorflow", {"a": array})
    foreign.write_keras_h5(tmp_path / "h5", {"layer": {"a": array}})
    assert_holds(read_tensors(tmp_path / "h5"), "hdf5", {"layer/a": array})


@pytest.mark.parametrize(
    "content", [b"", b"hello\n" * 50, b"\xff" * 100, b"\x1f\x8b" + bytes(50), b"\x0a" * 30, b"PK\3\4"]
)
def test_other_files_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("name", ["none.pth", "."])
def test_a_missing_file_is_a_missing_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingInputError):
        read_tensors(tmp_path / name)


def test_a_file_above_the_cap_is_refused_unread(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 << 30)  # sparse
    refused(path, "5,368,709,120 bytes")


def test_reading_needs_no_foreign_library() -> None:
    code = "import sys, torchinception.weights.formats; print({'h5py', 'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=True
    )
    assert done.stdout == "set()\n"

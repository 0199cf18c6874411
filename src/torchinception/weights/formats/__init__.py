"""Tensors, and nothing but tensors, from the checkpoint files of other libraries.

No code of a file runs, and no name is changed: a tensor has the name and the layout of its source. What a file is
follows from its content, not from its suffix. Every file is read into memory; what it declares is checked against what
it holds before anything is allocated (`limits`).
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from torchinception.errors import InceptionError, MissingInputError, ModelFileError
from torchinception.weights.formats.caffe import FIRST_BYTES, read_caffe
from torchinception.weights.formats.hdf5 import MAGIC as HDF5_MAGIC
from torchinception.weights.formats.hdf5 import is_keras_zip, read_hdf5, read_keras_zip
from torchinception.weights.formats.limits import MAX_BYTES, FormatError, check
from torchinception.weights.formats.npz import is_npz, read_npz
from torchinception.weights.formats.safetensors_file import is_safetensors, read_safetensors
from torchinception.weights.formats.table import MAGIC as TABLE_MAGIC
from torchinception.weights.formats.tensorflow import GZIP, read_tar, read_v1, read_v2, v2_prefix
from torchinception.weights.formats.torch_file import ZIP, is_legacy, read_torch


@dataclass(frozen=True)
class Contents:
    """What a checkpoint file holds."""

    path: Path
    format: str  # torch, safetensors, hdf5, npz, tensorflow or caffe
    tensors: dict[str, Tensor]  # by the source's own names


def read_tensors(path: str | Path) -> Contents:
    """Read a checkpoint of PyTorch, safetensors, Keras, NumPy, TensorFlow or Caffe.

    Raises:
        MissingInputError: no such file.
        ModelFileError: damaged, hostile, or of another kind.
        UsageError: a package is needed to read this kind, and is not installed.
    """
    path = Path(path)
    prefix = v2_prefix(path)
    if prefix is None and not path.is_file():
        raise MissingInputError(f"no checkpoint file at {path}")
    try:
        return Contents(path, *_read(path, prefix))
    except InceptionError:
        raise
    except Exception as error:  # a hostile file may provoke anything in the libraries that read it
        cause = str(error) if isinstance(error, FormatError) else f"{type(error).__name__}: {error}"
        raise ModelFileError(
            f"{path} cannot be read as a checkpoint ({cause:.300}); download or export it again, or save it as "
            "safetensors or as a state_dict with the library that it is from"
        ) from error


def _read(path: Path, prefix: Path | None) -> tuple[str, dict[str, Tensor]]:
    if prefix is not None:
        return "tensorflow", read_v2(prefix)
    size = path.stat().st_size
    check(0 < size <= MAX_BYTES, f"{size:,} bytes; 1 to {MAX_BYTES:,} are expected")
    with path.open("rb") as file:
        head = file.read(64)
        file.seek(max(0, size - 8))
        tail = file.read()
    if head.startswith(HDF5_MAGIC):
        return "hdf5", read_hdf5(path)
    if head.startswith(ZIP) and is_keras_zip(path):
        return "hdf5", read_keras_zip(path)
    if head.startswith(ZIP) and is_npz(path):
        return "npz", read_npz(path)
    if head.startswith(ZIP) or is_legacy(head):
        return "torch", read_torch(path)
    if is_safetensors(head, size):
        return "safetensors", read_safetensors(path)
    if tail == TABLE_MAGIC:
        return "tensorflow", read_v1(path.read_bytes())
    if head.startswith(GZIP):
        return "tensorflow", read_v1(read_tar(path))
    if head.startswith(FIRST_BYTES):
        return "caffe", read_caffe(path.read_bytes())
    raise FormatError("it is of no kind known here: PyTorch, safetensors, Keras, NumPy, TensorFlow, Caffe")

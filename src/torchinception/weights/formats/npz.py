"""NumPy's `.npz`, a zip of arrays; nothing that is pickled is read."""

import io
import zipfile
from pathlib import Path

import torch
from numpy.lib.format import read_array
from torch import Tensor

from torchinception.weights.formats.limits import check, check_declared, checked_tensors


def is_npz(path: Path) -> bool:
    """A zip of nothing but arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_npz(path: Path) -> dict[str, Tensor]:
    """The arrays by name. Each member is read to its end, where the zip's checksum is compared."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        check_declared(sum(info.file_size for info in archive.infolist()), path.stat().st_size, "arrays")
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            check(name not in arrays, f"two arrays are named {name:.80}")
            arrays[name] = torch.from_numpy(read_array(io.BytesIO(archive.read(info)), allow_pickle=False))
    return checked_tensors(arrays)

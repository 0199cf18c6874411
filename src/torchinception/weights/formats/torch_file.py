"""`.pth` and `.pt`: what `torch.save` writes, as zip since PyTorch 1.6 and as bare pickles before.

Read by `torch.load(weights_only=True)`, which builds tensors and plain containers only. A dict of tensors is taken, or
one under `state_dict`, `model_state_dict` or `state_dict_ema`, without the `module.` of DataParallel if every name
begins with it; nothing else is guessed. A zip's CRC-32s are checked, so a flipped bit is noticed; bare pickles have
no checksum: a flipped bit of a weight goes unnoticed.
"""

import io
import shutil
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from torchinception.weights.formats.limits import MAX_BYTES, FormatError, check, checked_tensors

ZIP, LEGACY = b"PK\3\4", b"\x80"  # how the two begin; a legacy file with the pickled magic number below
LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
KEYS = ("state_dict", "model_state_dict", "state_dict_ema")


def is_legacy(head: bytes) -> bool:
    """A pickle (protocol 2 and up) of PyTorch's magic number comes first."""
    return head[:1] == LEGACY and LEGACY_MAGIC in head[:32]


def read_torch(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint; no code of the file runs."""
    with path.open("rb") as file:
        source = _repacked(path) if file.read(4) == ZIP else file
        held = len(source.getbuffer()) if isinstance(source, io.BytesIO) else path.stat().st_size
        source.seek(0)
        # nothing of a pickle can ask torch to map memory or to import: its allow-list is torch's own
        try:
            content = torch.load(source, map_location="cpu", weights_only=True, mmap=False)
        except UnpicklingError as error:  # torch's own words advise what is not safe
            why = "it holds more than tensors, a whole model perhaps: save model.state_dict() in its place"
            raise FormatError(why) from error
    tensors = checked_tensors(_state_dict(content))
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    check(sum(storages.values()) <= held, f"tensors of {sum(storages.values()):,} bytes in a file of {held:,}")
    wide = {name for name, tensor in tensors.items() if not tensor.is_contiguous()}
    size = sum(tensors[name].nbytes for name in wide)
    check(size <= min(MAX_BYTES, 2 * held), f"views of {size:,} bytes in a file of {held:,}")
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _state_dict(content: Any) -> dict[object, object]:
    check(isinstance(content, dict), f"it holds a {type(content).__name__}; a dict of tensors is expected")
    for key in KEYS:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    if content and all(isinstance(name, str) and name.startswith("module.") for name in content):
        content = {name.removeprefix("module."): tensor for name, tensor in content.items()}
    return dict(content)


def _repacked(path: Path) -> io.BytesIO:
    """The zip anew, every CRC-32 checked: torch's own reader checks none, and trusts what two headers tell apart."""
    size = path.stat().st_size
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        members = old.infolist()
        plain = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        check(plain, "its zip is compressed, which torch.save never does")
        declared = sum(member.file_size for member in members)
        check(declared <= size, f"its zip declares {declared:,} bytes in {size:,}")
        check(len({member.filename for member in members}) == len(members), "its zip has two members of one name")
        for member in members:
            with old.open(member) as source, new.open(member.filename, "w") as target:
                shutil.copyfileobj(source, target)
    return copy

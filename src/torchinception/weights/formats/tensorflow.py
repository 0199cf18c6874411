"""TensorFlow's checkpoints, without TensorFlow.

- V1, one file as TF-slim's are: a table whose first value lists tensors and slices (`SavedTensorSlices`), and whose
  others are slices, as numbers or as bytes of a `TensorProto`. Partitioned variables are put together. The tables'
  checksums are checked.
- The same in a `.tar.gz`: the one member whose name ends in `.ckpt`, read into memory.
- V2, `NAME.index` and `NAME.data-00000-of-00001`, named by NAME or by either: a table of `BundleEntryProto`, each with
  a CRC-32C of its tensor, which is checked. Partitioned variables are refused, text too, but for the graph of objects
  of TensorFlow 2, which is left out.
"""

import tarfile
import zlib
from math import prod
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchinception.errors import MissingInputError
from torchinception.weights.formats.crc32c import masked_crc32c
from torchinception.weights.formats.limits import MAX_BYTES, check, check_declared, checked_shape, checked_tensors
from torchinception.weights.formats.protobuf import BYTES, VARINT, fields, signed, text, varints
from torchinception.weights.formats.table import entries

GZIP = b"\x1f\x8b"
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
MAX_SHARDS = 1000
PIECE_BYTES = 1 << 16
BOOL, BFLOAT16 = 10, 14
# DataType -> NumPy's type, and the field of a TensorProto that holds such numbers one by one
TYPES: dict[int, tuple[str, int]] = {
    1: ("<f4", 5),
    2: ("<f8", 6),
    3: ("<i4", 7),
    4: ("u1", 7),
    5: ("<i2", 7),
    6: ("i1", 7),
    9: ("<i8", 10),
    BOOL: ("u1", 11),
    BFLOAT16: ("<u2", 13),
    17: ("<u2", 7),
    19: ("<f2", 13),
    22: ("<u4", 16),
    23: ("<u8", 17),
}
CONTENT_FIELD, HALF_FIELD = 4, 13

Extent = tuple[slice, ...]
Array = NDArray[np.generic]


def v2_prefix(path: Path) -> Path | None:
    """NAME, if NAME, its index or one of its data files was named."""
    stems = [path.name, path.name.removesuffix(".index"), path.name.rsplit(".data-", 1)[0]]
    found = (path.with_name(stem) for stem in stems if stem)
    return next((prefix for prefix in found if Path(f"{prefix}.index").is_file()), None)


def read_v1(data: bytes) -> dict[str, Tensor]:
    """The tensors of one table."""
    parts: dict[str, list[tuple[memoryview, memoryview]]] = {}
    meta = memoryview(b"")
    for key, value in entries(memoryview(data)):
        for number, wire, _, content in fields(value):
            if wire == BYTES and number == 1 and not key:
                meta = content
            elif wire == BYTES and number == 2 and key:
                name, where, numbers = _messages(content, 1, 2, 3)
                parts.setdefault(text(name), []).append((where, numbers))
    tensors: dict[str, Tensor] = {}
    for number, wire, _, described in fields(meta):
        if number == 1 and wire == BYTES:
            name, shape = (_messages(described, number)[0] for number in (1, 2))
            kind = next((value for field, _, value, _ in fields(described) if field == 3), 0)
            label = text(name)
            check(label not in tensors and label in parts, f"{label:.80} is listed twice or has no values")
            tensors[label] = _assembled(label, kind, _shape(shape, label), parts.pop(label))
    check(not parts, f"{len(parts)} tensors are not in its list, as {next(iter(parts), '')!r:.80}")
    return checked_tensors(tensors)


def read_v2(prefix: Path) -> dict[str, Tensor]:
    """The tensors of an index and its data files."""
    index = Path(f"{prefix}.index")
    check(index.stat().st_size <= MAX_BYTES, "its index is too large")
    shards: dict[int, memoryview] = {}
    count, used = 0, 0
    tensors: dict[str, Tensor] = {}
    for key, value in entries(memoryview(index.read_bytes())):
        entry = {number: (varint, content) for number, _, varint, content in fields(value)}
        if not key:
            count = entry.get(1, (0, b""))[0]
            check(1 <= count <= MAX_SHARDS and entry.get(2, (0, b""))[0] == 0, f"{count} shards, or not little-endian")
            continue
        name, kind = key.decode(), entry.get(1, (0, b""))[0]
        if name == OBJECT_GRAPH:
            continue
        check(7 not in entry, f"{name:.80} is partitioned; save it whole")
        shard, start, size = (entry.get(number, (0, b""))[0] for number in (3, 4, 5))
        check(shard < count, f"{name:.80} is in shard {shard} of {count}")
        if shard not in shards:
            shards[shard] = _shard(prefix, shard, count)
        data = shards[shard]
        used += size
        check(start + size <= len(data), f"{name:.80} lies beyond the end of its data file")
        check(used <= sum(map(len, shards.values())), "its tensors share bytes")
        content = data[start : start + size]
        check(
            entry.get(6, (0, b""))[1] == masked_crc32c(content).to_bytes(4, "little"),
            f"{name:.80} is damaged: its CRC differs",
        )
        shape = _shape(memoryview(entry.get(2, (0, b""))[1]), name)
        tensors[name] = _tensor(_numbers(name, kind, content, prod(shape)).reshape(shape), kind)
    return checked_tensors(tensors)


def read_tar(path: Path) -> bytes:
    """The one `.ckpt` of a `.tar.gz`, in memory."""
    found: list[bytes] = []
    with path.open("rb") as file:
        unzipped = _Unzipped(file, path.stat().st_size)
        tar = tarfile.open(fileobj=cast("IO[bytes]", unzipped), mode="r|")  # noqa: SIM115, nothing to close
        for member in tar:
            if member.isreg() and member.name.endswith(".ckpt"):
                check(not member.issparse() and not found, f"{member.name:.80} is sparse, or not the only .ckpt")
                check_declared(member.size, unzipped.held, "a checkpoint")
                content = tar.extractfile(member)
                assert content
                found.append(content.read())
        while unzipped.read(PIECE_BYTES):  # up to the checksum of the gzip
            pass
    check(bool(found), "no .ckpt in it; unpack it, and name the checkpoint")
    return found[0]


class _Unzipped:
    """What tarfile may read of a gzip: no more than such a file can hold, and all of it up to its checksum."""

    def __init__(self, file: BinaryIO, held: int) -> None:
        self.file, self.held, self.given = file, held, 0
        self.engine, self.left = zlib.decompressobj(wbits=31), b""

    def read(self, size: int) -> bytes:
        out = bytearray()
        while len(out) < size and not self.engine.eof:
            self.left = self.left or self.file.read(PIECE_BYTES)
            check(bool(self.left), "its gzip is cut off")
            out += self.engine.decompress(self.left, size - len(out))
            self.left = self.engine.unconsumed_tail
        self.given += len(out)
        check_declared(self.given, self.held, "an archive")
        return bytes(out)


def _messages(message: memoryview, *numbers: int) -> list[memoryview]:
    """Fields that are bytes, empty if they are absent."""
    found = {number: content for number, wire, _, content in fields(message) if wire == BYTES}
    return [found.get(number, memoryview(b"")) for number in numbers]


def _shape(message: memoryview, name: str) -> tuple[int, ...]:
    """TensorShapeProto: dimensions, each a message with its size."""
    sizes = []
    for number, wire, value, content in fields(message):
        check(number != 3 or value == 0, f"{name:.80} has no known shape")
        if number == 2 and wire == BYTES:
            sizes.append(next((signed(size) for field, kind, size, _ in fields(content) if (field, kind) == (1, 0)), 0))
    return checked_shape(sizes, name[:80])


def _extent(message: memoryview, shape: tuple[int, ...], name: str) -> Extent:
    """TensorSliceProto: start and length in each dimension, neither for all of it."""
    extents = []
    for number, wire, _, content in fields(message):
        if number == 1 and wire == BYTES:
            values = {field: signed(value) for field, kind, value, _ in fields(content) if kind == VARINT}
            extents.append((values.get(1, 0), values.get(2, -1)))
    check(len(extents) == len(shape), f"a slice of {name:.80} has {len(extents)} dimensions, not {len(shape)}")
    ends = [(at, at + long if long >= 0 else full) for (at, long), full in zip(extents, shape, strict=True)]
    sound = all(0 <= at <= end <= full for (at, end), full in zip(ends, shape, strict=True))
    check(sound, f"a slice of {name:.80} lies outside it")
    return tuple(slice(at, end) for at, end in ends)


def _assembled(name: str, kind: int, shape: tuple[int, ...], parts: list[tuple[memoryview, memoryview]]) -> Tensor:
    """A tensor of its slices, which must cover it once."""
    pieces: list[tuple[Extent, Array]] = []
    for where, message in parts:
        extent = _extent(where, shape, name)
        sizes = [part.stop - part.start for part in extent]
        pieces.append((extent, _values(name, kind, message, prod(sizes)).reshape(sizes)))
    check(sum(piece.size for _, piece in pieces) == prod(shape), f"the slices of {name:.80} do not cover it once")
    if len(pieces) == 1:
        return _tensor(pieces[0][1].reshape(shape), kind)
    whole, covered = np.empty(shape, pieces[0][1].dtype), np.zeros(shape, np.bool_)
    for extent, piece in pieces:
        check(not covered[extent].any(), f"slices of {name:.80} overlap")
        whole[extent], covered[extent] = piece, True
    return _tensor(whole, kind)


def _values(name: str, kind: int, message: memoryview, count: int) -> Array:
    """The numbers of a TensorProto, whose own type and shape TensorFlow leaves empty here."""
    check(kind in TYPES, f"{name:.80} is of type {kind}, which is no plain number")
    number_type, wanted = TYPES[kind]
    floats = number_type in ("<f4", "<f8")
    raw = bytearray()
    for number, wire, value, content in fields(message):
        if number == CONTENT_FIELD and wire == BYTES and len(content):
            return _numbers(name, kind, content, count)
        if number == wanted:  # packed, or each in a field
            check((wire in (VARINT, BYTES)) != floats or wire == BYTES, f"{name:.80} has numbers of another kind")
            raw += content if floats else varints(content).tobytes() if wire == BYTES else value.to_bytes(8, "little")
    values: Array = np.frombuffer(raw, number_type if floats else "<i8")
    if wanted == HALF_FIELD:
        values = values.astype("<u2").view(number_type)
    check(values.size == count, f"{name:.80} has {values.size:,} values, not {count:,}")
    return values.astype(number_type)


def _numbers(name: str, kind: int, content: memoryview, count: int) -> Array:
    check(kind in TYPES, f"{name:.80} is of type {kind}, which is no plain number")
    number_type = np.dtype(TYPES[kind][0])
    check(len(content) == count * number_type.itemsize, f"{name:.80} has {len(content):,} bytes for {count:,} values")
    return np.frombuffer(content, number_type)


def _tensor(array: Array, kind: int) -> Tensor:
    tensor = torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    if kind == BOOL:
        return tensor.bool()
    return tensor.view(torch.bfloat16) if kind == BFLOAT16 else tensor


def _shard(prefix: Path, shard: int, count: int) -> memoryview:
    path = Path(f"{prefix}.data-{shard:05}-of-{count:05}")
    if not path.is_file():
        raise MissingInputError(f"no data file {path}, which {prefix}.index needs")
    check(path.stat().st_size <= MAX_BYTES, f"{path.name} is too large")
    return memoryview(path.read_bytes())

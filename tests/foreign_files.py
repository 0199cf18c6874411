"""Checkpoint files as other libraries write them, by code that shares nothing with the readers.

Written after leveldb/doc/table_format.md, tensorflow/core/util/{saved_tensor_slice,tensor_bundle}.proto,
tensor_slice_writer.cc, strings/ordered_code.cc, snappy's format_description.txt and caffe.proto. The exception is the
CRC-32C of long content, for which plain Python is too slow; `test_format_tensorflow.py` holds it against a plain one.
"""

import gzip
import io
import struct
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import torch

from torchinception.weights.formats import crc32c as fast

Arrays = Mapping[str, np.ndarray]
TF_TYPES = dict(
    float32=1, float64=2, int32=3, uint8=4, int16=5, int8=6, int64=9, bool=10, bfloat16=14, uint16=17, float16=19
)  # fmt: skip
TF_FIELDS = dict(float32=5, float64=6, int64=10, bool=11, float16=13, bfloat16=13)  # of TensorProto; others are int_val


# bytes


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    groups = [value & 127]
    while value := value >> 7:
        groups.append(value & 127)
    return bytes(group | 128 for group in groups[:-1]) + bytes(groups[-1:])


def number(field: int, value: int) -> bytes:
    return varint(field * 8) + varint(value)


def message(field: int, content: bytes) -> bytes:
    return varint(field * 8 + 2) + varint(len(content)) + content


def plain_crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def masked(content: bytes) -> int:
    crc = plain_crc32c(content) if len(content) < 256 else fast.crc32c(content)
    return ((crc >> 15 | crc << 17) % 2**32 + 0xA282EAD8) % 2**32


def squeeze(content: bytes) -> bytes:
    """Snappy, with literals of every length and copies of all three kinds."""
    out, at, begun, seen = bytearray(varint(len(content))), 0, 0, {}
    while at < len(content):
        four = content[at : at + 4]
        before, seen[four] = seen.get(four), at
        if before is None or len(four) < 4:
            at += 1
            continue
        length, back = 4, at - before
        while length < 64 and content[at + length : at + length + 1] == content[before + length : before + length + 1]:
            length += 1 if at + length < len(content) else 64
        length = min(length, 64, len(content) - at)
        out += literal(content[begun:at])
        if length < 12 and back < 2048:
            out += bytes([1 | length - 4 << 2 | back >> 8 << 5, back & 255])
        elif back < 65536:
            out += bytes([2 | length - 1 << 2]) + struct.pack("<H", back)
        else:
            out += bytes([3 | length - 1 << 2]) + struct.pack("<I", back)
        at = begun = at + length
    return bytes(out + literal(content[begun:]))


def literal(content: bytes) -> bytes:
    if not content:
        return b""
    if len(content) <= 60:
        return bytes([len(content) - 1 << 2]) + content
    size = (len(content) - 1).to_bytes(((len(content) - 1).bit_length() + 7) // 8, "little")
    return bytes([59 + len(size) << 2]) + size + content


# TensorFlow


def table(rows: Iterable[tuple[bytes, bytes]], compress: bool = False, block_bytes: int = 4096) -> bytes:
    """LevelDB's table; a new block begins when one is longer than `block_bytes`."""
    out, index, pending = bytearray(), [], []

    def put(rows: Sequence[tuple[bytes, bytes]], compress: bool) -> bytes:
        content = block(rows)
        kind = b"\1" if compress else b"\0"
        content = squeeze(content) if compress else content
        handle = varint(len(out)) + varint(len(content))
        out.extend(content + kind + struct.pack("<I", masked(content + kind)))
        return handle

    for row in rows:
        pending.append(row)
        if sum(len(key) + len(value) for key, value in pending) > block_bytes:
            index.append((pending[-1][0] + b"\0", put(pending, compress)))
            pending = []
    if pending or not index:
        index.append((pending[-1][0] + b"\0" if pending else b"", put(pending, compress)))
    meta = put([], False)
    handles = meta + put(index, compress)
    return bytes(out) + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def block(rows: Sequence[tuple[bytes, bytes]]) -> bytes:
    out, restarts, last = bytearray(), [0], b""
    for place, (key, value) in enumerate(rows):
        shared = 0
        if place % 16:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        elif place:
            restarts.append(len(out))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return bytes(out) + b"".join(struct.pack("<I", place) for place in [*restarts, len(restarts)])


def shape_proto(shape: Sequence[int]) -> bytes:
    return b"".join(message(2, number(1, size)) for size in shape)


def slice_proto(extents: Sequence[tuple[int, int] | None]) -> bytes:
    return b"".join(message(1, b"" if part is None else number(1, part[0]) + number(2, part[1])) for part in extents)


def tensor_proto(array: np.ndarray, how: str) -> bytes:
    """`how`: packed, single (a field for each number) or content (bytes), as versions of TensorFlow did."""
    kind = array.dtype.name
    if how == "content":
        return message(4, array.tobytes())
    field, flat = TF_FIELDS.get(kind, 7), array.ravel()
    if kind in ("float32", "float64"):
        if how == "packed":
            return message(field, flat.tobytes())
        wire = {"float32": 5, "float64": 1}[kind]
        return b"".join(varint(field * 8 + wire) + value.tobytes() for value in flat)
    whole = flat.view(np.uint16) if kind in ("float16", "bfloat16") else flat
    if how == "packed":
        return message(field, b"".join(varint(int(value)) for value in whole))
    return b"".join(number(field, int(value)) for value in whole)


def tf_v1(
    tensors: Arrays,
    how: str = "packed",
    parts: Mapping[str, int] | None = None,
    compress: bool = False,
    block_bytes: int = 4096,
) -> bytes:
    """A V1 checkpoint; `parts` gives the number of slices along the first axis for some variables."""
    listed, rows = b"", {}
    for name, array in tensors.items():
        count, rest = (parts or {}).get(name, 1), [None] * max(array.ndim - 1, 0)
        edges = np.linspace(0, len(array) if array.ndim else 0, count + 1).astype(int)
        slices = b""
        for begin, end in pairwise(edges):
            extents = [(int(begin), int(end - begin)), *rest] if count > 1 else [None] * array.ndim
            piece = np.ascontiguousarray(array[begin:end]) if count > 1 else array
            slices += message(4, slice_proto(extents))
            value = message(1, name.encode()) + message(2, slice_proto(extents)) + message(3, tensor_proto(piece, how))
            rows[ordered_key(name, extents)] = message(2, value)
        kind = number(3, TF_TYPES[array.dtype.name])
        listed += message(1, message(1, name.encode()) + message(2, shape_proto(array.shape)) + kind + slices)
    meta = message(1, listed + message(2, number(1, 1)))
    return table([(b"", meta), *sorted(rows.items())], compress, block_bytes)


def ordered_key(name: str, extents: Sequence[tuple[int, int] | None]) -> bytes:
    """OrderedCode: 0, the name, the rank, then start and length (0 and -1 for all) of each dimension."""
    key = b"\0" + name.encode() + b"\0\1" + bytes([1, len(extents)] if extents else [0])
    for start, length in (part or (0, -1) for part in extents):
        key += b"".join(signed_key(value) for value in (start, length))
    return key


def signed_key(value: int) -> bytes:
    if -64 <= value < 64:
        return bytes([(value ^ 0x80) & 0xFF])
    return struct.pack(">H", 0xC000 | value) if value < 1 << 13 else struct.pack(">I", 0xF0000000 | value)


def write_tf_v1(path: Path, tensors: Arrays, **options: object) -> None:
    path.write_bytes(tf_v1(tensors, **options))  # type: ignore[arg-type]


def write_tf_tar(path: Path, tensors: Arrays, name: str = "./inception_v3.ckpt") -> None:
    """As TF-slim hands them out."""
    with tarfile.open(path, "w:gz") as tar:
        content = tf_v1(tensors)
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def write_tf_v2(prefix: Path, tensors: Arrays, shards: int = 1, compress: bool = False) -> None:
    """`prefix`.index and its data files; the variables go to the shards in turn."""
    data = [bytearray() for _ in range(shards)]
    rows = [(b"", number(1, shards) + message(3, number(1, 1)))]
    for turn, (name, array) in enumerate(sorted(tensors.items(), key=lambda pair: pair[0].encode())):
        shard, content = turn % shards, array.tobytes()
        entry = number(1, TF_TYPES[array.dtype.name]) + message(2, shape_proto(array.shape))
        entry += number(3, shard) + number(4, len(data[shard])) + number(5, len(content))
        rows.append((name.encode(), entry + varint(6 * 8 + 5) + struct.pack("<I", masked(content))))
        data[shard] += content
    Path(f"{prefix}.index").write_bytes(table(rows, compress))
    for shard, content in enumerate(data):
        Path(f"{prefix}.data-{shard:05d}-of-{shards:05d}").write_bytes(content)


# Caffe


def write_caffe(
    path: Path,
    layers: Mapping[str, Sequence[np.ndarray]],
    old: bool = False,
    types: Mapping[str, str] | None = None,
    single: bool = False,
) -> None:
    """`old`: the layers of 2014, whose blobs have four sizes; `single`: each float in a field."""
    out = message(1, b"a net") + b"".join(message(3, b"data") + number(4, 1) for _ in range(2))
    for name, blobs in layers.items():
        kind = (types or {}).get(name, "Convolution")
        if old:
            head = message(2, b"from") + message(4, name.encode()) + number(5, {"InnerProduct": 14}.get(kind, 4))
        else:
            head = message(1, name.encode()) + message(2, kind.encode()) + message(3, b"from") + number(10, 0)
        body = b"".join(message(6 if old else 7, blob_proto(blob, old, single)) for blob in blobs)
        out += message(2 if old else 100, head + body)
    path.write_bytes(out)


def blob_proto(array: np.ndarray, old: bool, single: bool) -> bytes:
    field, wire = {"float32": (5, 5), "float64": (8, 1)}[array.dtype.name]
    if old:
        four = (1,) * (4 - array.ndim) + array.shape
        shape = b"".join(number(place, size) for place, size in enumerate(four, 1))
    else:
        shape = message(7, message(1, b"".join(varint(size) for size in array.shape)))
    if single:
        return shape + b"".join(varint(field * 8 + wire) + value.tobytes() for value in array.ravel())
    return shape + message(field, array.tobytes())


# PyTorch and Keras


def write_legacy_torch(path: Path, content: object) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def write_keras_h5(
    path: Path,
    layers: Mapping[str, Arrays],
    scope: str = "{layer}/{variable}:0",
    root: str = "/",
    chunks: int = 0,
    **filters: object,
) -> None:
    """Keras 2's layout; `scope` spells the names of weights, `chunks` splits lists as for many layers."""
    with h5py.File(path, "w") as file:
        group = file.require_group(root)
        names = [name.encode() for name in layers]
        if chunks:
            for place in range(0, len(names), chunks):
                group.attrs[f"layer_names{place // chunks}"] = names[place : place + chunks]
        else:
            group.attrs["layer_names"] = names
        for layer, variables in layers.items():
            weights = [scope.format(layer=layer, variable=variable) for variable in variables]
            group.create_group(layer).attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, array in zip(weights, variables.values(), strict=True):
                group[layer].create_dataset(weight, data=array, **(filters if array.ndim else {}))


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)

"""Caffe's `.caffemodel`: a binary `NetParameter`, with its layers in the present or in the older field.

A layer's blobs are named `<layer>/0` (weight), `<layer>/1` (bias), as they lie: (out, in, height, width), BGR.
Older files give every blob four sizes. Two cases are brought to the present shape, where nothing else can be meant:
the weight of an `InnerProduct` of (1, 1, out, in) becomes (out, in), and any later blob of (1, 1, 1, n) becomes (n,).
There is no checksum: a flipped bit of a weight goes unnoticed.
"""

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor

from torchinception.weights.formats.limits import check, checked_shape, checked_tensors
from torchinception.weights.formats.protobuf import BYTES, FIXED32, FIXED64, VARINT, fields, signed, text, varints

FIRST_BYTES = (b"\x0a", b"\x12", b"\x1a", b"\xa2\x06")  # a net's name, an older layer, an input, a layer
LAYERS = {100: dict(name=1, type=2, blobs=7), 2: dict(name=4, type=5, blobs=6)}
INNER_PRODUCT = 14  # its number in older files


def read_caffe(data: bytes) -> dict[str, Tensor]:
    """The blobs of all layers."""
    tensors: dict[str, Tensor] = {}
    for number, wire, _, layer in fields(memoryview(data)):
        if number in LAYERS and wire == BYTES:
            for name, tensor in _blobs(layer, **LAYERS[number]):
                check(name not in tensors, f"two blobs are named {name:.80}")
                tensors[name] = tensor
    return checked_tensors(tensors)


def _blobs(layer: memoryview, *, name: int, type: int, blobs: int) -> Iterator[tuple[str, Tensor]]:  # noqa: A002
    label, inner, found = "", False, []
    for number, wire, value, content in fields(layer):
        if number == name and wire == BYTES:
            label = text(content)
        elif number == type:
            inner = value == INNER_PRODUCT if wire == VARINT else bytes(content) == b"InnerProduct"
        elif number == blobs and wire == BYTES:
            found.append(content)
    for number, blob in enumerate(found):
        check(bool(label), "a layer without a name")
        yield f"{label}/{number}", _tensor(blob, f"{label}/{number}", inner and not number, number > 0)


def _tensor(blob: memoryview, name: str, matrix: bool, later: bool) -> Tensor:
    shape: tuple[int, ...] | None = None
    older = dict.fromkeys((1, 2, 3, 4), 0)
    raw = {5: bytearray(), 8: bytearray()}  # floats and doubles, packed or each in a field
    for number, wire, value, content in fields(blob):
        if number == 7 and wire == BYTES:
            shape = _shape(content, name)
        elif number in older and wire == VARINT:
            older[number] = signed(value)
        elif (number, wire) in ((5, BYTES), (5, FIXED32), (8, BYTES), (8, FIXED64)):
            raw[number] += content
    if shape is None:
        shape = checked_shape(older.values(), name[:80])
        if matrix and shape[:2] == (1, 1):
            shape = shape[2:]
        elif later and shape[:3] == (1, 1, 1):
            shape = shape[3:]
    check(not (raw[5] and raw[8]), f"{name:.80} has both floats and doubles")
    values = np.frombuffer(raw[8], "<f8") if raw[8] else np.frombuffer(raw[5], "<f4")
    check(values.size == prod(shape), f"{name:.80} has {values.size:,} values for the shape {list(shape)}")
    return torch.from_numpy(values.astype(values.dtype.newbyteorder("=")).reshape(shape))


def _shape(message: memoryview, name: str) -> tuple[int, ...]:
    sizes: list[int] = []
    for number, wire, value, content in fields(message):
        if number == 1:
            sizes += varints(content).tolist() if wire == BYTES else [signed(value)]
    return checked_shape(sizes, name[:80])

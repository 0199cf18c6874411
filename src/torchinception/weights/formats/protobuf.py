"""The wire format of protocol buffers: as much of it as files of TensorFlow and Caffe need.

Messages are views into the file. Nesting is followed by the callers, level by level, so a file cannot choose the depth.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from torchinception.weights.formats.limits import FormatError, check

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
SIZES = {FIXED64: 8, FIXED32: 4}

Field = tuple[int, int, int, memoryview]  # number, wire type, value of a varint, bytes of the others


def varint(data: memoryview, at: int) -> tuple[int, int]:
    r"""A number in groups of seven bits, the lowest first; and where it ends.

    >>> varint(memoryview(b"\xac\x02"), 0)
    (300, 2)
    """
    value = 0
    for position in range(at, min(at + 10, len(data))):
        value |= (data[position] & 0x7F) << 7 * (position - at)
        if data[position] < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + 1
    raise FormatError("a number that does not end")


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message as they come."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        number, wire = key >> 3, key & 7
        check(number > 0, "a field without a number")
        value, size = 0, SIZES.get(wire, 0)
        if wire in (VARINT, BYTES):
            value, at = varint(message, at)
            size = value if wire == BYTES else 0
        else:
            check(size > 0, f"a field of wire type {wire}")
        check(size <= len(message) - at, f"a field of {size:,} bytes in {len(message) - at:,}")
        yield number, wire, value, message[at : at + size]
        at += size


def text(value: memoryview) -> str:
    """A string's characters."""
    return bytes(value).decode()


def signed(value: int) -> int:
    """A varint as int64."""
    return value - (1 << 64) if value >> 63 else value


def varints(packed: memoryview) -> NDArray[np.int64]:
    r"""All numbers of a packed field at once.

    >>> varints(memoryview(b"\xac\x02\x01")).tolist()
    [300, 1]
    """
    groups = np.frombuffer(packed, np.uint8)
    if not len(groups):
        return np.zeros(0, np.int64)
    ends = np.flatnonzero(groups < 0x80)
    check(len(ends) > 0 and ends[-1] == len(groups) - 1, "a number that does not end")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    check(int(lengths.max()) <= 10, "a number of more than ten bytes")
    values = np.zeros(len(ends), np.uint64)
    for place in range(int(lengths.max())):  # the first group of all numbers, the second of those that have one, …
        longer = np.flatnonzero(lengths > place)
        values[longer] |= (groups[starts[longer] + place] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
    return values.view(np.int64)

"""Snappy, decompressed: a length, then literals and copies of what came before, each after a tag byte."""

from torchinception.weights.formats.limits import check
from torchinception.weights.formats.protobuf import varint

MAX_GAIN = 22  # a copy of three bytes yields 64 at most


def decompress(data: memoryview) -> bytes:
    r"""The content of one block.

    >>> decompress(memoryview(b"\x06\x04xy" + b"\x0e\x02\x00"))
    b'xyxyxy'
    """
    length, at = varint(data, 0)
    check(length <= MAX_GAIN * len(data), f"Snappy: {length:,} bytes declared in {len(data):,}")
    out = bytearray()
    while at < len(data):
        tag, at = data[at], at + 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(data[at : at + extra], "little")
                at += extra
            size += 1
            check(size <= len(data) - at, "Snappy: a literal beyond the end")
            out += data[at : at + size]
            at += size
        else:
            extra = (0, 1, 2, 4)[tag & 3]
            check(extra <= len(data) - at, "Snappy: a copy beyond the end")
            offset = int.from_bytes(data[at : at + extra], "little")
            at += extra
            if tag & 3 == 1:
                size, offset = (tag >> 2 & 7) + 4, offset | tag >> 5 << 8
            else:
                size = (tag >> 2) + 1
            check(0 < offset <= len(out), "Snappy: a copy of what is not there")
            piece = out[-offset : len(out) - offset + size]  # shorter than size if it runs into itself
            out += (piece * (size // len(piece) + 1))[:size]
        check(len(out) <= length, "Snappy: more bytes than declared")
    check(len(out) == length, f"Snappy: {len(out):,} bytes, not {length:,}")
    return bytes(out)

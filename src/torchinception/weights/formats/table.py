"""LevelDB's table, in which TensorFlow keeps names and values: blocks, their index, a footer with a magic number.

A block holds entries `shared, unshared, value length, rest of key, value`, then offsets that only searches need; after
it come one byte for its compression and its masked CRC-32C.
"""

from collections.abc import Iterator

from torchinception.weights.formats.crc32c import masked_crc32c
from torchinception.weights.formats.limits import FormatError, check
from torchinception.weights.formats.protobuf import varint
from torchinception.weights.formats.snappy import decompress

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER_BYTES = 48
TRAILER_BYTES = 5


def entries(table: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Keys, which must rise, and values; every block is checked before its first one."""
    check(len(table) >= FOOTER_BYTES and table[-8:] == MAGIC, "a table without its end")
    footer = table[-FOOTER_BYTES:]
    _, at = varint(footer, 0)
    _, at = varint(footer, at)  # the block of metadata is empty
    index, _ = _handle(footer, at)
    place, last = 0, None
    for _, handle in _entries(_block(table, *index)):
        (start, size), _ = _handle(handle, 0)
        check(start >= place, "blocks of a table in no order")  # one that is listed twice could fill the memory
        place = start + size + TRAILER_BYTES
        for key, value in _entries(_block(table, start, size)):
            check(last is None or key > last, "keys of a table in no order")
            last = key
            yield key, value


def _handle(data: memoryview, at: int) -> tuple[tuple[int, int], int]:
    start, at = varint(data, at)
    size, at = varint(data, at)
    return (start, size), at


def _block(table: memoryview, start: int, size: int) -> memoryview:
    end = start + size
    check(end + TRAILER_BYTES <= len(table) - FOOTER_BYTES, "a block beyond the end of its table")
    recorded = int.from_bytes(table[end + 1 : end + TRAILER_BYTES], "little")
    check(recorded == masked_crc32c(table[start : end + 1]), f"the block at byte {start:,} is damaged: its CRC differs")
    if table[end] == 0:
        return table[start:end]
    if table[end] == 1:
        return memoryview(decompress(table[start:end]))
    raise FormatError(f"a block compressed by method {table[end]}")


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    check(len(block) >= 4, "a block without its end")
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    check(end >= 0, "a block without its end")
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        unshared, at = varint(block, at)
        length, at = varint(block, at)
        check(shared <= len(key) and unshared + length <= end - at, "an entry beyond its block")
        key = key[:shared] + bytes(block[at : at + unshared])
        at += unshared
        yield key, block[at : at + length]
        at += length

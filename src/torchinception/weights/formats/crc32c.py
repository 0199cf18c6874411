"""CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), as LevelDB's tables and TensorFlow's tensors carry it.

A register runs over the bytes one by one; but its step is linear, so the words of a long message can be folded in rows:
`row := advance(row) ^ next row`, where `advance` lets a register run over as many zero bytes as a row has. That takes
NumPy two look-ups for every four bytes.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
MASK_DELTA = 0xA282EAD8
ROW_WORDS = 1 << 15  # 128 KiB: rows and tables stay in a processor's cache

Words = NDArray[np.uint32]


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    odd = len(data) % 4
    register = 0xFFFFFFFF
    for byte in bytes(data[:odd]):
        register = _step(register ^ byte)
    words = np.frombuffer(data, "<u4", offset=odd)
    if not len(words):
        return register ^ 0xFFFFFFFF
    width = min(ROW_WORDS, 1 << len(words).bit_length() - 1)
    first = len(words) % width or width
    row = np.zeros(width, np.uint32)  # zeros before a message leave a register of zero alone
    row[-first:] = words[:first]
    row[-first] ^= np.uint32(register)
    for following in words[first:].reshape(-1, width):
        row = _advance(row, 4 * width) ^ following
    while len(row) > 1:
        half = len(row) // 2
        row = _advance(row[:half], 4 * half) ^ row[half:]
    return int(_advance(row, 4)[0]) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """As files store it: rotated, and moved by a constant, since a CRC over CRCs would be weak."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def _step(register: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (POLYNOMIAL if register & 1 else 0)
    return register


def _advance(registers: Words, zeros: int) -> Words:
    low, high = _tables(zeros)
    halves = np.ascontiguousarray(registers, "<u4").view("<u2").reshape(-1, 2)
    return low.take(halves[:, 0]) ^ high.take(halves[:, 1])


@cache
def _tables(zeros: int) -> tuple[Words, Words]:
    """Registers after a power of two of zero bytes, by their lower and by their upper 16 bits."""
    if zeros == 1:
        columns = [_step(1 << bit) for bit in range(32)]
    else:
        columns = [int(column) for column in _advance(_advance(_UNITS, zeros // 2), zeros // 2)]
    return _span(columns[:16]), _span(columns[16:])


def _span(columns: list[int]) -> Words:
    table = np.zeros(1, np.uint32)
    for column in columns:
        table = np.concatenate([table, table ^ np.uint32(column)])
    return table


_UNITS: Words = np.uint32(1) << np.arange(32, dtype=np.uint32)

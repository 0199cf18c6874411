"""Pictures of every format and kind, whole and harmed; number N of the harmed is the same every time."""

import random
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from data_fixtures import encode, noise
from PIL import Image

SMALL = Image.fromarray(noise(0, 20, 24))
SMOOTH = Image.fromarray(noise(1, 4, 5)).resize((48, 40), Image.Resampling.BICUBIC)
EXIF = Image.Exif()
EXIF.update({0x010E: "garden", 0x0112: 6, 0x8769: {0x9286: b"in June"}})  # description, orientation, comment
PNG_START = b"\x89PNG\r\n\x1a\n"


def frames(kind: str, **options: Any) -> bytes:
    """Three pictures in one file."""
    return encode(SMALL.copy(), kind, save_all=True, append_images=[SMALL.rotate(180), SMALL.rotate(90)], **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, colours: int, rows: Iterable[bytes], *extra: bytes, interlaced: bool = False
) -> bytes:
    """A PNG of `rows`, each as the format stores it, with `extra` chunks before the pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return PNG_START + head + b"".join(extra) + pixels + chunk(b"IEND", b"")


def sixteen_bits(channels: int, colours: int, *extra: bytes) -> bytes:
    values = np.random.default_rng(channels).integers(0, 65536, (20, 24 * channels)).astype(">u2")
    return png(24, 20, 16, colours, [row.tobytes() for row in values], *extra)


def interlaced_png() -> bytes:
    """By Adam7: seven ever finer pictures."""
    picture = np.asarray(SMALL)
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [picture[top::down, left::across] for top, left, down, across in starts]
    return png(24, 20, 8, 2, [row.tobytes() for part in passes for row in part], interlaced=True)


def jpeg_with(content: bytes, *segments: tuple[int, bytes]) -> bytes:
    """A JPEG with further segments at its beginning, each a marker and a body."""
    parts = [struct.pack(">BBH", 255, marker, 2 + len(body)) + body for marker, body in segments]
    return content[:2] + b"".join(parts) + content[2:]


def ycck(planes: np.ndarray) -> bytes:
    """A JPEG whose four channels are stored as they are and said to be Y, Cb, Cr and K."""
    content = encode(Image.fromarray(255 - planes, "CMYK"), "JPEG", quality=100, subsampling=0)
    at = content.index(b"Adobe") + 11
    return content[:at] + b"\2" + content[at + 1 :]


def run_length_bmp(width: int, height: int, packed: bytes) -> bytes:
    offset = 54 + 1024
    head = struct.pack("<IHHI", offset + len(packed), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(packed), 0, 0, 256, 0)
    return b"BM" + head + info + bytes(range(256)) * 4 + packed


def exif_block(entries: list[tuple[int, int, int, int]], body: bytes = b"", following: int = 0) -> bytes:
    """An EXIF block of entries (tag, type, count, value or place); place 0 of `body` is the place after them."""
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + table + struct.pack("<I", following) + body


RAMP = np.linspace(0, 1, 480, dtype=np.float32).reshape(20, 24)
SEEDS: dict[str, bytes] = {
    "jpeg": encode(SMALL, "JPEG"),
    "jpeg 4:4:4": encode(SMALL, "JPEG", subsampling=0),
    "jpeg grey": encode(SMALL.convert("L"), "JPEG"),
    "jpeg progressive": encode(SMOOTH, "JPEG", progressive=True),
    "jpeg grey progressive": encode(SMOOTH.convert("L"), "JPEG", progressive=True),
    "jpeg restarts": encode(SMALL, "JPEG", restart_marker_blocks=1),
    "jpeg CMYK": encode(SMALL.convert("CMYK"), "JPEG"),
    "jpeg CMYK progressive": encode(SMALL.convert("CMYK"), "JPEG", progressive=True),
    "jpeg YCCK": ycck(np.dstack([noise(2, 20, 24), noise(3, 20, 24)[:, :, 0]])),
    "jpeg exif": encode(SMALL, "JPEG", exif=EXIF, comment=b"a garden", icc_profile=bytes(5000)),
    "mpo": frames("MPO", exif=EXIF),
    "jpeg 1xN": encode(SMALL.resize((1, 300)), "JPEG"),
    "jpeg Nx1": encode(SMALL.resize((300, 1)), "JPEG", progressive=True),
    "png": encode(SMALL),
    "png RGBA": encode(SMALL.convert("RGBA")),
    "png grey": encode(SMALL.convert("L")),
    "png LA": encode(SMALL.convert("LA")),
    "png palette": encode(SMALL.quantize(64)),
    "png palette tRNS": encode(SMALL.quantize(16), transparency=bytes(range(0, 256, 16))),
    "png 1 bit": encode(SMALL.convert("1")),
    "png 2 bits tRNS": png(24, 20, 2, 0, [bytes(range(20, 26))] * 20, chunk(b"tRNS", b"\0\2")),
    "png 16 bits": sixteen_bits(1, 0, chunk(b"tRNS", b"\1\2")),
    "png RGB 16 bits": sixteen_bits(3, 2),
    "png RGBA 16 bits": sixteen_bits(4, 6),
    "png LA 16 bits": sixteen_bits(2, 4),
    "png interlaced": interlaced_png(),
    "png exif": encode(SMALL, exif=EXIF, icc_profile=bytes(5000)),
    "apng": frames("PNG", exif=EXIF),
    "webp": encode(SMALL, "WEBP"),
    "webp lossless": encode(SMALL, "WEBP", lossless=True),
    "webp alpha": encode(SMALL.convert("RGBA"), "WEBP", exif=EXIF, icc_profile=bytes(5000)),
    "webp animated": frames("WEBP"),
    "gif": encode(SMALL.quantize(32), "GIF", interlace=1, comment=b"a garden"),
    "gif animated": frames("GIF"),
    "gif transparent": encode(SMALL.quantize(32), "GIF", transparency=5),
    "bmp": encode(SMALL, "BMP"),
    "bmp palette": encode(SMALL.quantize(32), "BMP"),
    "bmp 1 bit": encode(SMALL.convert("1"), "BMP"),
    "bmp run lengths": run_length_bmp(24, 20, (bytes([10, 7, 14, 9, 0, 0]) * 20) + b"\0\1"),
    "tiff": encode(SMALL.copy(), "TIFF"),
    "tiff LZW": encode(SMALL.copy(), "TIFF", compression="tiff_lzw"),
    "tiff JPEG": encode(SMALL.copy(), "TIFF", compression="jpeg"),
    "tiff G4": encode(SMALL.convert("1"), "TIFF", compression="group4"),
    "tiff 16 bits": encode(Image.fromarray(noise(4, 20, 24)[:, :, 0].astype(np.uint16) * 250), "TIFF"),
    "tiff float": encode(Image.fromarray(RAMP), "TIFF", compression="tiff_deflate"),
    "tiff 32 bits": encode(Image.fromarray((RAMP * 65535).astype(np.int32)), "TIFF"),
    "tiff LAB": encode(Image.merge("LAB", SMALL.split()), "TIFF"),
    "tiff pages": frames("TIFF"),
}
CUTS = [(name, percent) for name in SEEDS for percent in range(0, 100, 5)]


def parts_of(content: bytes) -> list[bytes]:
    """A file taken apart where its format does: chunks, segments, or any ten places."""
    if content.startswith(PNG_START):
        parts, at = [content[:8]], 8
        while at < len(content):
            end = at + 12 + int.from_bytes(content[at : at + 4], "big")
            parts.append(content[at:end])
            at = end
        return parts
    if content.startswith(b"\xff\xd8"):
        return re.split(rb"(?=\xff[\xc0-\xcf\xd8-\xfe])", content)
    if content.startswith(b"RIFF"):
        return [content[:12], *re.split(rb"(?=VP8|ALPH|EXIF|ICCP|ANIM|ANMF)", content[12:])]
    return [content[at : at + len(content) // 10 + 1] for at in range(0, len(content), len(content) // 10 + 1)]


def flip(content: bytes, chance: random.Random) -> bytes:
    harm = bytearray(content)
    for _ in range(chance.choice([1, 3, 30])):
        harm[chance.randrange(chance.choice([min(100, len(harm)), len(harm)]))] ^= 1 << chance.randrange(8)
    return bytes(harm)


def lie(content: bytes, chance: random.Random) -> bytes:
    """A number that may be a length, a size or a place becomes another; near the start most are."""
    harm = bytearray(content)
    at, size = chance.randrange(min(len(harm), chance.choice([64, 400, len(harm)]))), chance.choice([1, 2, 4])
    value = chance.choice([0, 1, 2, 255, 4096, 7000, 65535, 2**20, 2**31 - 1, 2**31, 2**32 - 1])
    harm[at : at + size] = value.to_bytes(4, chance.choice(["little", "big"]))[-size:]
    return bytes(harm)


def resealed(content: bytes) -> bytes:
    """With the checksums of a PNG put right, so that decoders get to what was harmed."""
    parts = parts_of(content) if content.startswith(PNG_START) else []
    if not parts:
        return content
    return parts[0] + b"".join(chunk(part[4:8], part[8:-4]) if len(part) >= 12 else part for part in parts[1:])


def shuffle(content: bytes, chance: random.Random) -> bytes:
    first, *parts = parts_of(content)
    match chance.randrange(4):
        case 0:
            chance.shuffle(parts)
        case 1:
            parts.insert(chance.randrange(len(parts) + 1), chance.choice(parts))
        case 2:
            del parts[chance.randrange(len(parts))]
        case 3:
            parts.insert(chance.randrange(len(parts) + 1), chance.choice(parts_of(chance.choice(list(SEEDS.values())))))
    return first + b"".join(parts)


def cut_within(content: bytes, chance: random.Random) -> bytes:
    at, size = chance.randrange(len(content)), chance.choice([1, 10, 100, len(content) // 2])
    between = chance.choice([b"", bytes(size), chance.randbytes(size)])
    return content[:at] + between + content[at + size :]


HARMS: list[Callable[[bytes, random.Random], bytes]] = [flip, lie, shuffle, cut_within]


def harmed(number: int) -> tuple[str, bytes]:
    """Harmed file `number` and what was done: first every cut, then harms by chance, alone or two together."""
    if number < len(CUTS):
        name, percent = CUTS[number]
        return f"{name}, cut at {percent} %", SEEDS[name][: len(SEEDS[name]) * percent // 100]
    chance = random.Random(f"picture {number}")
    name = chance.choice(list(SEEDS))
    content, done = SEEDS[name], []
    for harm in chance.choices(HARMS, k=chance.choice([1, 1, 2])):
        content = harm(content, chance) or content
        done.append(harm.__name__)
    if chance.random() < 0.5:
        content = resealed(content)
    return f"{name}, {' and '.join(done)}", content

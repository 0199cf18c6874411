"""Small files that ask for time or memory out of all proportion, and files that are no pictures."""

import re
import struct
import zlib

from data_fixtures import encode
from hostile_files import SEEDS, SMALL, SMOOTH, chunk, exif_block, jpeg_with, png, run_length_bmp
from PIL import Image


def webp_with_size(width: int, height: int) -> bytes:
    """An extended WebP that claims a canvas."""
    body = b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body += encode(SMALL, "WEBP", lossless=True)[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def many_scans(size: tuple[int, int], passes: int) -> bytes:
    content = encode(Image.new("RGB", size, (9, 99, 200)), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * passes + b"\xff\xd9"


def with_jpeg_size(content: bytes, width: int, height: int) -> bytes:
    """A JPEG that claims another size."""
    found = re.search(rb"\xff[\xc0\xc2]", content)
    at = found.start() if found else -1
    return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]


def tiff(width: int, height: int, *entries: tuple[int, int, int, int], body: bytes = b"", following: int = 0) -> bytes:
    """Grey of 8 bits."""
    told = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    return exif_block(sorted([*told, *entries]), body, following)[6:]


def bombs() -> dict[str, bytes]:
    """Files that chance does not find: each small, and each asks for time or memory out of all proportion."""
    jpeg, small_png = SEEDS["jpeg"], SEEDS["png"]
    head, tail = small_png[:33], small_png[33:]
    zeros = zlib.compress(bytes(1_000_000), 9)
    profile = chunk(b"iCCP", b"a\0\0" + zeros)
    text = chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"\xff" * 1_000_000, 9))  # no UTF-8, so not counted
    wide_ifd = [(tag, 7, 60_000, 8) for tag in range(4000)]
    loop = exif_block([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8)], following=8)
    return {
        "png: a gigabyte of text, told": head + struct.pack(">I4s", 2**30, b"tEXt") + b"a\0b" + tail,
        "png: gigabytes of packed text": head + text * 2000 + tail,
        "png: gigabytes of packed profiles": head + profile * 2000 + tail,
        "png: two million empty chunks": head + chunk(b"teXt", b"") * 2_000_000 + tail,
        "png: a million bits of pixels": small_png[:33] + chunk(b"IDAT", b"") * 1_000_000 + tail,
        "png: 7000 x 7000 with alpha": png(7000, 7000, 8, 6, [bytes(28_000)] * 7000),
        "png: 60000 x 60000": png(60_000, 60_000, 8, 2, []),
        "png: 2 ** 31 wide": png(2**31 - 1, 1, 8, 2, [b""]),
        "png: a wide EXIF block": head + chunk(b"eXIf", exif_block(wide_ifd, bytes(60_000))[6:]) + tail,
        "png: an EXIF block of nothing but its name": head + chunk(b"eXIf", b"Exif\0\0" * 2_000_000) + tail,
        "png: an EXIF loop": head + chunk(b"eXIf", loop[6:]) + tail,
        "jpeg: an EXIF loop": jpeg_with(jpeg, (0xE1, loop)),
        "jpeg: a wide EXIF block": jpeg_with(
            jpeg, (0xE1, exif_block(wide_ifd)[:60_000]), *[(0xE1, b"Exif\0\0" + bytes(60_000))] * 300
        ),
        "jpeg: an EXIF block without end": jpeg_with(jpeg, (0xE1, exif_block(wide_ifd)[:9000])),
        "jpeg: a wide index of pictures": jpeg_with(
            jpeg, (0xE2, b"MPF\0" + exif_block([(tag, 3, 15_000, 8) for tag in range(2500)])[6:])
        ),
        "jpeg: profiles of 16 MB": jpeg_with(
            jpeg, *[(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(65_000)) for n in range(1, 256)]
        ),
        "jpeg: a million comments": jpeg_with(jpeg, *[(0xFE, b"")] * 1_000_000),
        "jpeg: tables without end": jpeg_with(jpeg, *[(0xDB, (b"\0" + bytes(range(1, 65))) * 1000)] * 100),
        "jpeg: 20 MB between segments": jpeg[:2] + bytes(20_000_000) + jpeg[2:],
        "jpeg: 20 MB of filling": jpeg[:2] + b"\xff" * 20_000_000 + jpeg[2:],
        "jpeg: 500 passes": many_scans((400, 300), 500),
        "jpeg: 500 passes over 20 MP": many_scans((5000, 4000), 500),
        "jpeg: a million comments between passes": SEEDS["jpeg progressive"][:-2]
        + b"\xff\xfe\0\2" * 1_000_000
        + b"\xff\xd9",
        "jpeg: 65500 x 65500": with_jpeg_size(jpeg, 65500, 65500),
        "jpeg: 7000 x 7000 of nothing": encode(Image.new("L", (7000, 7000)), "JPEG"),
        "jpeg: 7000 x 7000 progressive": encode(Image.new("RGB", (7000, 7000)), "JPEG", progressive=True),
        "jpeg: 7000 x 7000 progressive 4:4:4": with_jpeg_size(
            encode(SMOOTH, "JPEG", progressive=True, subsampling=0), 7000, 7000
        ),
        "jpeg: 65500 x 1": encode(Image.new("RGB", (65_500, 1)), "JPEG"),
        "jpeg: 1 x 65500": encode(Image.new("RGB", (1, 65_500)), "JPEG", progressive=True),
        "webp: 16000 x 16000": webp_with_size(16_000, 16_000),
        "webp: 2 ** 24 x 2 ** 24": webp_with_size(2**24, 2**24),
        "webp: 5000 x 5000 of nothing": encode(Image.new("RGB", (5000, 5000)), "WEBP", lossless=True, method=0),
        "webp: 5000 x 7000 of nothing": encode(Image.new("RGB", (5000, 7000)), "WEBP", lossless=True, method=0),
        "gif: 60000 x 60000": SEEDS["gif"][:6] + struct.pack("<HH", 60_000, 60_000) + SEEDS["gif"][10:],
        "gif: a picture larger than the screen": b"GIF89a"
        + bytes(7)
        + b","
        + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
        + b"\2\0",
        "gif: 50 MB of comments": SEEDS["gif"][:13] + b"!\xfe" + (b"\xff" + b"a" * 255) * 200_000 + b"\0,",
        "bmp: run lengths of 48 MP": run_length_bmp(8000, 6000, b"\1\5\0\0" * 6000),
        "bmp: run lengths of 4 MP": run_length_bmp(2000, 2000, b"\1\5\0\0" * 2000),
        "bmp: 2 ** 31 wide": SEEDS["bmp"][:18] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + SEEDS["bmp"][26:],
        "bmp: height -2 ** 31": SEEDS["bmp"][:18] + struct.pack("<ii", 1, -(2**31)) + SEEDS["bmp"][26:],
        "tiff: 7000 x 7000": tiff(7000, 7000, (273, 4, 1, 8)),
        "tiff: 60000 x 60000": tiff(60_000, 60_000, (273, 4, 1, 8)),
        "tiff: a directory that is its own next": tiff(4, 4, (273, 4, 1, 8), following=8),
        "tiff: a wide EXIF directory": tiff(4, 4, (273, 4, 1, 8), (34665, 4, 1, 98))
        + exif_block([(0x9286, 4, 12_000_000, 8)], b"many" * 12_000_000)[14:],
        "tiff: twelve million strips": tiff(4, 4, (273, 4, 12_000_000, 8), body=b"many" * 12_000_000),
        "gif: nothing but its name": b"GIF89a",
        "zero bytes": bytes(100_000),
        "one byte": b"\xff",
        "html": b"<!DOCTYPE html><html><title>404 not found</title></html>",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(100),
        "fits": b"SIMPLE  =                    T".ljust(2880),
        "heic": b"\0\0\0\x18ftypheic" + bytes(100),
    }

"""What a picture file says of itself, read before a decoder is trusted with it.

A few hundred bytes can name a picture of any size, a profile that unpacks to a megabyte in each of a million chunks,
or five hundred passes over the same pixels. Decoders take them at their word, so here the headers are walked first:
whatever would cost much more than the pixels is refused, and of JPEG, PNG and GIF the decoder meets only the parts that
pixels are made from, without comments, profiles and metadata. Of these, the EXIF block is kept, for the orientation.
"""

import re
import struct
import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple

Reason = Literal[  # every `ImageError.reason` there is
    "missing",  # no such file
    "unreadable",  # the system will not give it out: permissions, a failing disk, an impossible name
    "no file",  # a folder, a pipe, a device
    "empty",  # zero bytes
    "not a picture",  # by its content none of the formats asked for
    "broken",  # damaged, cut off, or telling of itself what cannot be
    "too large",  # more bytes, pixels, memory or work than a picture may take
    "no pixels",  # a side of length 0
    "changed",  # other bytes than when it was looked at before
    "unreachable",  # behind a network that fails
    "unknown kind",  # whole, but with pixels that no rule turns into colours; see kinds.py
]

MAX_DECODING_BYTES = 400_000_000  # what a decoder may hold at once
MAX_PARTS = 100_000  # segments, chunks, blocks; a PNG of 200 MB has 25,000 in the usual pieces of 8 KB
MAX_TABLES_BYTES = 1 << 20  # of a JPEG; a few KB is usual
MAX_SCANNED_PIXELS = 1_000_000_000  # pixels times passes of a progressive JPEG: 20 passes at 50 MP, where 10 are usual
MAX_RUN_LENGTH_PIXELS = 4_000_000  # Pillow unpacks such bitmaps in Python, slowly
MAX_TIFF_NUMBERS = 200_000  # in a TIFF's directories; a picture of 5,000 rows, each a strip, has 10,000

AGAIN = "remove it or copy it again"
ANEW = "open it in an image editor and save it anew"
WEBP_BYTES = 16  # a pixel: libwebp's two canvases, its result and Pillow's copy, 4 each
TIFF_BYTES = 12  # a pixel: a strip of 16-bit RGBA, which may be the whole picture, and Pillow's 4

MAGIC = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "BMP": re.compile(rb"BM"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "TIFF": re.compile(rb"II[*+]\0|MM\0[*+]"),
    # no pictures to us; named, to help
    "HEIC": re.compile(rb"....ftyp(hei|hev|mif1|msf1)", re.DOTALL),
    "AVIF": re.compile(rb"....ftypavi[fs]", re.DOTALL),
    "PDF": re.compile(rb"%PDF"),
    "PSD": re.compile(rb"8BPS"),
    "EPS": re.compile(rb"%!PS"),
    "HTML": re.compile(rb"\s*<(!doctype )?html", re.IGNORECASE),
}
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # of a JPEG, leaving out what may stand in its pixels
STANDALONE = (0x01, 0xD8)
SOS, EOI = 0xDA, 0xD9
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)


class Refused(Exception):  # noqa: N818
    """Why a file will not be decoded, without its name."""

    def __init__(self, reason: Reason, advice: str) -> None:
        super().__init__(reason, advice)
        self.reason: Reason = reason
        self.advice = advice


class Pixels(NamedTuple):
    """A file without what is not needed for its pixels, and its EXIF block."""

    content: bytes
    exif: bytes = b""


def recognise(content: bytes) -> str:
    """The name of the format that a file is in by its first bytes; empty for none that is known."""
    return next((kind for kind, magic in MAGIC.items() if magic.match(content)), "")


def read_header(kind: str, content: bytes) -> Pixels:
    """Walk the header of a file of `kind`.

    Raises:
        Refused: too much work or memory, or no header.
    """
    try:
        return READERS[kind](content)
    except (struct.error, IndexError):
        raise Refused("broken", f"its header makes no sense; {AGAIN}") from None


def check_memory(pixels: int, bytes_each: float) -> None:
    """What a decoder will hold, from the size that the file tells."""
    if pixels * bytes_each > MAX_DECODING_BYTES:
        most = int(MAX_DECODING_BYTES / bytes_each)
        raise Refused("too large", f"at most {most:,} pixels are decoded in a file of this kind, not {pixels:,}")


def read_jpeg(content: bytes) -> Pixels:
    """Keeps the frame, tables, and what tells the colours (JFIF, Adobe); MPO becomes its first picture."""
    kept, exif, frame, at = [b"\xff\xd8"], b"", b"", 2
    tables = 0
    for _ in range(MAX_PARTS):
        found = MARKER.search(content, at)  # whatever stands between two segments is skipped, as decoders do
        if not found or found[1][0] == EOI:
            raise Refused("broken", f"it has no pixels; {AGAIN}")
        at, marker = found.start(), found[1][0]
        if marker in STANDALONE:
            at += 2
            continue
        if marker == SOS:
            check_scans(content, at, frame)
            return Pixels(b"".join([*kept, memoryview(content)[at:]]), exif)
        segment = content[at : at + 2 + length_of(content, at)]
        at += len(segment)
        if marker == 0xE1 and segment.startswith(b"Exif\0\0", 4):
            exif = exif or segment[4:]
        elif marker <= 0xCF or 0xDB <= marker <= 0xDF or segment[4:8] == b"JFIF" or segment[4:9] == b"Adobe":
            kept.append(segment)
            tables += len(segment)
            if tables > MAX_TABLES_BYTES:
                break
        if marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # no table but a frame
            frame = segment
            if frame[4] != 8:
                raise Refused("unknown kind", f"JPEG with {frame[4]} bits a channel; save it with 8")
    raise Refused("too large", f"its header goes on and on; {ANEW}")


def length_of(content: bytes, at: int) -> int:
    """Of the JPEG segment whose marker is at `at`."""
    length = int(struct.unpack_from(">H", content, at + 2)[0])
    if length < 2:
        raise Refused("broken", f"a segment of no length; {AGAIN}")
    return length


def check_scans(content: bytes, at: int, frame: bytes) -> None:
    """A JPEG in several passes is held in whole as coefficients of two bytes, and gone over in each pass."""
    height, width, channels = struct.unpack_from(">HHB", frame, 5)
    if frame[1] not in PROGRESSIVE and content[at + 4] >= channels:
        return  # one pass
    if not channels:
        raise Refused("broken", f"it has no channels; {AGAIN}")
    sides = [divmod(frame[11 + 3 * channel], 16) for channel in range(channels)]  # samples across and down
    largest = max(1, max(across for across, _ in sides) * max(down for _, down in sides))
    samples = sum(across * down for across, down in sides) / largest
    check_memory(width * height, 4 + 2 * samples)
    most = MAX_SCANNED_PIXELS // max(1, width * height)
    passes = 0
    for _ in range(MAX_PARTS):
        found = MARKER.search(content, at)
        if not found or found[1][0] == EOI:
            return
        passes += found[1][0] == SOS
        if passes > most:
            raise Refused("too large", f"more than {most:,} passes over its pixels; {ANEW}")
        at = found.end() if found[1][0] in STANDALONE else found.start() + 2 + length_of(content, found.start())
    raise Refused("too large", f"more than {MAX_PARTS:,} segments; {ANEW}")


def read_png(content: bytes) -> Pixels:
    """Keeps header, palette, transparency and the first run of pixels; of an animation that is the still picture."""
    whole, exif, kind, at = memoryview(content), b"", b"", 8  # a view, for pixels need no further copy
    kept: list[memoryview | bytes] = [whole[:8]]
    pixels = "to come"
    for _ in range(MAX_PARTS):
        if at + 8 > len(content) or kind == b"IEND":
            return Pixels(b"".join(kept), exif)
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        pixels = "here" if kind == b"IDAT" and pixels != "over" else "to come" if pixels == "to come" else "over"
        if kind == b"tRNS":
            kept.append(transparent_colour(content[at:end], depth=content[24], colours=content[25]))
        elif pixels == "here" or kind in (b"IHDR", b"PLTE", b"IEND"):
            kept.append(whole[at:end])
        elif kind == b"eXIf" and zlib.crc32(content[at + 4 : end - 4]) == int.from_bytes(content[end - 4 : end]):
            exif = content[at + 8 : end - 4]
        at = end
    raise Refused("too large", f"more than {MAX_PARTS:,} chunks; {ANEW}")


def transparent_colour(chunk: bytes, depth: int, colours: int) -> bytes:
    """A tRNS chunk in the 8 bits that Pillow turns the pixels into; it forgets to do the same here."""
    body = chunk[8:-4]
    if colours == 0 and depth in (2, 4):
        levels = [level * 255 // ((1 << depth) - 1) for level in struct.unpack_from(">H", body)]
    elif colours == 2 and depth == 16:
        levels = [level >> 8 for level in struct.unpack_from(">3H", body)]
    else:
        return chunk
    body = b"tRNS" + struct.pack(f">{len(levels)}H", *levels)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def read_gif(content: bytes) -> Pixels:
    """Keeps screen, palette and the first picture with what controls it."""
    at = 13 + (3 << (content[10] & 7) + 1 if content[10] & 128 else 0)
    kept = [content[:at]]
    begun, inside = at, False
    for _ in range(MAX_PARTS):
        if inside:
            inside = content[at] > 0
            at += 1 + content[at]
            if not inside and content[begun + 1] == 0xF9:
                kept.append(content[begun:at])
        elif content[at] == ord(","):
            return Pixels(b"".join([*kept, memoryview(content)[at:]]))
        elif content[at] == ord(";"):
            raise Refused("broken", f"it has no pixels; {AGAIN}")
        elif content[at] == ord("!"):
            begun, at, inside = at, at + 2, True
        else:
            at += 1  # as decoders do
    raise Refused("too large", f"more than {MAX_PARTS:,} blocks before its pixels; {ANEW}")


def read_webp(content: bytes) -> Pixels:
    """Its decoder takes the memory of the whole canvas as soon as it is opened."""
    match content[12:16]:
        case b"VP8X":
            width, height = (1 + int.from_bytes(content[at : at + 3], "little") for at in (24, 27))
        case b"VP8L":
            (packed,) = struct.unpack_from("<I", content, 21)
            width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        case _:
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    check_memory(width * height, WEBP_BYTES)
    return Pixels(content)


def read_bmp(content: bytes) -> Pixels:
    """Told here: whether it is packed as run lengths."""
    size, width, height, _, _, packing = struct.unpack("<IiiHHI", content[14:34].ljust(20, b"\0"))
    if size >= 40 and packing in (1, 2) and abs(width * height) > MAX_RUN_LENGTH_PIXELS:
        most = f"at most {MAX_RUN_LENGTH_PIXELS:,} pixels in a bitmap of run lengths"
        raise Refused("too large", f"{most}; save it as PNG")
    return Pixels(content)


TIFF_EXIF = (34665, 34853, 40965)  # EXIF, GPS, interoperability
TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def read_tiff(content: bytes) -> Pixels:
    """Its directories, whose numbers Pillow makes Python objects from: the first one, and what it names as EXIF."""
    order, big = "<>"[content[0] == ord("M")], content[2:4] in (b"+\0", b"\0+")
    (first,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
    head, entry = struct.Struct(order + ("Q" if big else "H")), struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
    told, numbers, total, places = dict.fromkeys((256, 257, 258, 262, *TIFF_EXIF), 1), 0, 0, [first]
    for nth, at in enumerate(places):
        count = head.unpack(content[at : at + head.size].ljust(head.size, b"\0"))[0]
        entries = content[at + head.size : at + head.size + min(count, MAX_PARTS) * entry.size]
        for tag, kind, number, value in entry.iter_unpack(entries[: len(entries) // entry.size * entry.size]):
            size = TIFF_SIZES.get(kind, 0)
            total += size * number if size * number > len(value) else 0
            numbers += number if size > 1 else 0
            if nth == 0 and tag in told and kind in (3, 4) and number == 1:
                (told[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), value)
                places += [told[tag]] if tag in TIFF_EXIF else []
    if numbers > MAX_TIFF_NUMBERS:
        raise Refused("too large", f"{numbers:,} numbers in its directories; {ANEW}")
    if total > len(content):
        raise Refused("broken", f"its directories tell of more than the file holds; {AGAIN}")
    width, height, bits, black = list(told.values())[:4]
    if bits > 8 and (black == 0 or bits == 12):  # which Pillow reads as 16 bits with black as 0
        level = "most" if black == 0 else "0"
        raise Refused("unknown kind", f"{bits} bits, black as {level}; save it with 8 or 16 bits, black as 0")
    check_memory(width * height, TIFF_BYTES)
    return Pixels(content)


READERS: dict[str, Callable[[bytes], Pixels]] = {
    "JPEG": read_jpeg,
    "PNG": read_png,
    "WEBP": read_webp,
    "BMP": read_bmp,
    "GIF": read_gif,
    "TIFF": read_tiff,
}

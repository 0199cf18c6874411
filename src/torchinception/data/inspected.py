"""Every picture decoded once before anything is trained on it; an unchanged file is not decoded again."""

import hashlib
import inspect
import os
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import PIL.Image

from torchinception.data import headers, images, kinds, shards
from torchinception.data.images import MAX_BYTES, load_image
from torchinception.data.remote import Place, RemotePath
from torchinception.data.verdicts import Memory, Stamp, Verdict
from torchinception.errors import DataError, ImageError
from torchinception.files import cache_folder
from torchinception.progress import Listener

CHUNK = 256  # pictures that are decided on together; an interruption forgets no more of them
FRESH_NS = 2_000_000_000  # a file may change twice within the grain of its time, which is 2 s on some systems
GATE = (images, headers, kinds)  # the modules that decide what a picture is
Candidate = tuple[Place, shards.Member | None]


def inspect_pictures(places: Iterable[Candidate], count: int, listener: Listener) -> Iterator[Verdict]:
    """The verdicts on `count` pictures, in order: remembered ones, and the rest decoded in threads.

    Files are known again by absolute path, size and time of change; members of shards by those of their shard, or
    by what its server says of its version.
    """
    remaining, gate, done = iter(places), gate_version(), 0
    memory = Memory(cache_folder() / "pictures-1.sqlite3", listener)
    pool = ThreadPoolExecutor(os.cpu_count())  # Pillow decodes without Python's lock
    try:
        while chunk := list(islice(remaining, CHUNK)):
            stamps = [_stamp(path, member, gate) for path, member in chunk]
            known = [memory.recall(stamp) if stamp else None for stamp in stamps]
            decoded = pool.map(_decode, (place for place, verdict in zip(chunk, known, strict=True) if not verdict))
            verdicts, learnt = [], []
            for stamp, recalled in zip(stamps, known, strict=True):
                verdict = recalled or next(decoded)
                verdicts.append(verdict)
                if stamp and verdict.digest and not recalled:
                    learnt.append((stamp, verdict))
                done += 1
                listener.progress("Checking pictures", done, count)
            memory.learn(learnt)
            yield from verdicts
    finally:
        pool.shutdown(cancel_futures=True)
        memory.close()


def gate_version() -> str:
    """Another one whenever the gate might judge otherwise: other code, other limits, another Pillow."""
    limits = f"{PIL.__version__} {PIL.Image.MAX_IMAGE_PIXELS} {version('torchinception')} {images.readable_formats()}"
    limits += f" {images.MAX_PIXELS} {images.MAX_BYTES}"
    try:
        code = "".join(map(inspect.getsource, GATE))
    except OSError:  # installed without sources
        code = ""
    return hashlib.sha256(f"{limits} {code}".encode()).hexdigest()[:16]


def _stamp(path: Place, member: shards.Member | None, gate: str) -> Stamp | None:
    """None for what is no file, has changed a moment ago, or may change without a sign."""
    inside = b"" if member is None else f"\0{member} {astuple(member)}".encode(errors="surrogateescape")
    if isinstance(path, RemotePath):
        try:
            size, identity = path.look_up()[0], path.identify()
        except OSError:  # reading it will say what is wrong
            return None
        version = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:7])
        return Stamp(str(path).encode() + inside, size, version, gate) if identity else None
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    age_ns = time.time_ns() - found.st_mtime_ns
    if not stat.S_ISREG(found.st_mode) or abs(age_ns) < FRESH_NS or abs(found.st_mtime_ns) >= 2**63:
        return None  # SQLite's numbers end in the year 2262
    return Stamp(os.fsencode(path.absolute()) + inside, found.st_size, found.st_mtime_ns, gate)


def _decode(place: Candidate) -> Verdict:
    content = b""
    try:
        content = read_content(*place)
        picture = load_image(content)
    except ImageError as error:
        passing = not content or isinstance(error.__cause__, MemoryError)  # nothing to remember
        digest = b"" if passing else hashlib.sha256(content).digest()
        return Verdict(digest, 0, 0, error.reason, error.advice.encode(errors="backslashreplace").decode())
    return Verdict(hashlib.sha256(content).digest(), picture.shape[1], picture.shape[0])


def read_content(path: Place, member: shards.Member | None) -> bytes:
    """The bytes of a picture that is looked at in order.

    Raises:
        ImageError: they cannot be read.
        DataError: the network failed, which says nothing of the picture.
    """
    if member is None:
        return _read(path)
    try:
        return shards.read_member(path, member, ahead=True)
    except ImageError as error:
        if error.reason == "unreachable":
            raise DataError(str(error)) from error
        raise


def _read(path: Place) -> bytes:
    """The bytes of a picture's file. What is none goes to the gate, which says what it is and opens no pipe."""
    assert isinstance(path, Path)
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and 0 < found.st_size <= MAX_BYTES:
            return path.read_bytes()
    except (OSError, ValueError):
        pass
    load_image(path)
    raise ImageError(path, "changed", "leave pictures alone while they are checked")

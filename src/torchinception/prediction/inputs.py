"""Pictures one after another: those of shards in their place, those of a list as it comes in."""

import hashlib
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from torchinception.data import shards
from torchinception.data.images import open_image
from torchinception.data.remote import Place, RemotePath
from torchinception.data.walk import show_place
from torchinception.errors import DataError, ImageError, MissingInputError, UsageError
from torchinception.prediction.finding import Name, find_names
from torchinception.progress import Listener

LIST = "-"  # as a path: a list of paths from stdin


@dataclass(frozen=True)
class Picture:
    """A file, or what lies in the shard at `path`; `error`: it is known already that it cannot be used."""

    path: Place
    member: shards.Member | None = None
    error: str = ""

    @property
    def place(self) -> str:
        """The path, and the name in the shard."""
        return str(self.path) if self.member is None else f"{self.path}: {self.member}"

    def show(self) -> str:
        """`place` in one line, whatever is in the names."""
        return show_place(self.path, self.member)

    def open(self, least: int | None) -> Image.Image:
        """RGB; `least` as for `open_image`.

        Raises:
            ImageError: it cannot be read.
        """
        if self.member is not None:
            content = shards.read_member(self.path, self.member, ahead=True)
            return shards.decode_member(self.path, self.member, content, least)
        if isinstance(self.path, RemotePath):
            raise ImageError(str(self.path), "no file", "URLs are read of shards only; download it")
        return open_image(self.path, least=least)


class Inputs:
    """What is to be predicted, which can be gone through again unless it is a list from stdin.

    `count` is the number of pictures, those in shards too; None for a list that is still coming, of which None instead
    of a picture says that nothing more has come yet, and that going on waits for it.
    """

    def __init__(self, paths: Callable[[], Iterable[Name | None]], count: int | None) -> None:
        self._paths, self.count = paths, count
        self._ahead: list[Picture | None] = []
        self._coming: Iterator[Picture | None] | None = None

    def __iter__(self) -> Iterator[Picture | None]:
        if self._coming is not None:
            return chain(self._ahead, self._coming)
        return expand(Path(path) if isinstance(path, str) else path for path in self._paths())

    def reckon(self, few: int) -> int | None:
        """How many pictures there are, if that can be said without waiting; None: at least `few`.

        A list that is coming slowly counts as one less than that: nobody should have to wait longer for it.
        """
        if self.count is not None:
            return self.count
        self._coming = iter(self)
        for picture in self._coming:
            self._ahead.append(picture)
            if picture is None:
                return few - 1
            if len(self._ahead) == few:
                return None
        return len(self._ahead)

    def digest(self, span: range) -> str:
        """SHA-256 of the places of some of them."""
        _, digest = digest_of(islice(self, span.start, span.stop))
        return digest


def digest_of(pictures: Iterable[Picture | None]) -> tuple[int, str]:
    """How many they are, and SHA-256 of their places."""
    count, digest = 0, hashlib.sha256()
    for picture in pictures:
        if picture is not None:
            count += 1
            digest.update(line_of(picture))
    return count, digest.hexdigest()


def line_of(picture: Picture) -> bytes:
    """What a digest of inputs is made of."""
    return picture.place.encode("utf-8", "surrogatepass") + b"\0"


def find_inputs(
    patterns: Sequence[str], stdin: BinaryIO | None, listener: Listener | None = None, without: Path | None = None
) -> Inputs:
    """As `find_names` finds them; or with the only pattern `-` the paths in `stdin`, see `read_paths`.

    Raises:
        MissingInputError, DataError, UsageError: as for `find_pictures`.
    """
    if LIST in patterns:
        if len(patterns) > 1:
            raise UsageError("- is a list of paths from stdin; name nothing beside it")
        if stdin is None:
            raise UsageError("- is a list of paths from stdin, which is closed; pipe one in")
        return Inputs(lambda: read_paths(stdin), None)
    names = find_names(patterns, listener, without)
    packed = [name for name in names if isinstance(name, RemotePath) or name.lower().endswith(shards.SUFFIXES)]
    inside = sum(1 for _ in expand(Path(name) if isinstance(name, str) else name for name in packed))
    return Inputs(lambda: names, len(names) - len(packed) + inside)


def expand(paths: Iterable[Place | None]) -> Iterator[Picture | None]:
    """Every file as a picture, and every picture of a shard; a shard that cannot be read is a row with its error.

    None stays what it is.

    Raises:
        UsageError: the package that reads parquet files is not installed.
    """
    for path in paths:
        if path is None:
            yield None
        else:
            yield from _members(path) if _is_shard(path) else [Picture(path)]


def read_paths(stream: BinaryIO) -> Iterator[str | None]:
    """Paths as they come in: one a line, or with a zero behind each if a zero comes before any line ends.

    None comes before each time that it has to wait.
    """
    rest, end = b"", b""
    while True:
        if not _can_read(stream.fileno()):
            yield None
        chunk = os.read(stream.fileno(), 1 << 16)
        if not chunk:
            break
        rest += chunk
        end = end or (b"\0" if b"\0" in rest else b"\n" if b"\n" in rest else b"")
        if end:
            *whole, rest = rest.split(end)
            yield from (name for line in whole if (name := _name(line)))
    if name := _name(rest):
        yield name


def _can_read(descriptor: int) -> bool:
    """Whether there is something, or the end; Windows does not say it of pipes."""
    if sys.platform == "win32":
        return True
    poll = select.poll()  # takes any descriptor, `select` only those below 1024
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _name(line: bytes) -> str:
    return os.fsdecode(line.removesuffix(b"\r"))


def _is_shard(path: Place) -> bool:
    return path.suffix.lower() in shards.SUFFIXES and (isinstance(path, RemotePath) or path.is_file())


def _members(path: Place) -> Iterator[Picture]:
    try:
        found = shards.index(path, labelled=False)
    except (DataError, MissingInputError) as error:
        yield Picture(path, error=_without(path, str(error)))
        return
    for _, member in found.members:
        yield Picture(path, member)
    for line in found.bad:
        yield Picture(path, error=_without(path, line))


def _without(path: Place, text: str) -> str:
    """An error that says its place too."""
    return text.removeprefix(f"{path}: ").removeprefix(f"{path} ")

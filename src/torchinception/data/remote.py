"""Files behind fsspec URLs: `s3://bucket/train.tar`, `https://…`, `hf://…`, `filecache::s3://…`.

Every read is one request for a range of bytes, tried again when the network fails.
"""

import hashlib
import io
import os
import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torchinception.data.file_systems import COPIES, file_system, hide_secrets, insist, protocol_of, read_range
from torchinception.errors import DataError, UsageError
from torchinception.files import is_on

OFFLINE = "TORCHINCEPTION_OFFLINE"
NO_NETWORK = {"memory", "file", "local", "zip", "tar", "dir", *COPIES}
BLOCK_BYTES = 4 << 20  # of reading ahead
_LOOKED_UP: dict[str, tuple[int, str]] = {}  # by URL
_BLOCKS_LOCK = threading.Lock()
_URL = re.compile(
    r"(?P<before>(?:[a-z]+::)*)(?P<root>[a-z0-9+.-]{2,}://(?:(?:(?!::)[^/?])*/)?)(?P<path>[^?]*?)(?P<after>(\?|::).*|)",
    re.DOTALL,
)  # with a host or bucket in its root


@dataclass(frozen=True, order=True, repr=False, slots=True)
class RemotePath:
    """As much of `pathlib.Path` as shards need, for a URL. Its text hides passwords and signatures, `url` has them.

    universal_pathlib's UPath refuses `filecache::https://…` and takes a signature behind ? for a part of the name.
    """

    url: str

    def __str__(self) -> str:
        return hide_secrets(self.url)

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    @property
    def name(self) -> str:
        """The part behind the last slash."""
        return self._parts()[1].rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """As `.tar`."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def parent(self) -> "RemotePath":
        """The folder; that of a host or bucket is itself."""
        start, path, after = self._parts()
        folder = path.rstrip("/").rpartition("/")[0]
        if folder:
            return RemotePath(start + folder + after)
        return self if start.endswith("://") else RemotePath(start[:-1] + after)

    def __truediv__(self, name: str) -> "RemotePath":
        start, path, after = self._parts()
        return RemotePath(start + (path.rstrip("/") + "/" if path else "") + name + after)

    def _parts(self) -> tuple[str, str, str]:
        found = _URL.fullmatch(self.url)
        assert found
        return found["before"] + found["root"], found["path"], found["after"]

    def below(self, folder: "RemotePath") -> str:
        """Its name from a folder on: `train/0.tar`."""
        start, path, _ = self._parts()
        first, inside, _ = folder._parts()
        return (start + path).removeprefix(first + inside).lstrip("/")

    def resolve(self) -> "RemotePath":
        """Itself: a URL is whole."""
        return self

    def read(self, start: int, size: int) -> bytes:
        """The bytes from `start` on, fewer at the end of the file.

        Raises:
            OSError: the network failed (`UnreachableError`), or the file is gone or cannot be read in part.
        """
        return insist(self.url, lambda: read_range(self.url, start, start + size))

    def read_ahead(self, start: int, size: int) -> bytes:
        """The same for a file that is read in order: whole blocks, of which the last few are kept."""
        content = []
        for number in range(start // BLOCK_BYTES, -(-(start + size) // BLOCK_BYTES)):
            with _BLOCKS_LOCK:  # or threads that wait for the same block would each read it
                block = _block(self, number)
            first = number * BLOCK_BYTES
            content.append(block[max(0, start - first) : start + size - first])
        return b"".join(content)

    def read_text(self) -> str:
        """The whole of a small UTF-8 file."""
        fs, inner = file_system(self.url)
        return bytes(insist(self.url, lambda: fs.cat_file(inner))).decode()

    def look_up(self) -> tuple[int, str]:
        """Its size in bytes, and what changes with its content: an ETag or a time; empty if neither is known.

        Asked for once, until `forget`.
        """
        if self.url not in _LOOKED_UP:
            _LOOKED_UP[self.url] = self._ask()
        return _LOOKED_UP[self.url]

    def identify(self) -> str:
        """Another text for each content, without secrets; empty if nothing tells when it changes."""
        size, version = self.look_up()
        if not version:
            return ""
        # behind ? there may be a signature, another one each time, or what tells two files apart that have one name
        name = str(self) if "etag=" in version else hashlib.sha256(self.url.encode()).hexdigest()
        return f"{name} {size} {version}"

    def forget(self) -> None:
        """Before the file is looked at anew: it may have changed."""
        _LOOKED_UP.pop(self.url, None)
        _block.cache_clear()

    def _ask(self) -> tuple[int, str]:
        fs, inner = file_system(self.url)
        if protocol_of(self.url) in COPIES:  # what the server has may be newer than the copy
            found = insist(self.url, lambda: _stat_copy(fs, inner))
            return found.st_size, f"copy={found.st_mtime_ns}"
        info = insist(self.url, lambda: fs.info(inner))
        if info.get("size") is None:
            raise OSError("the server does not say how large it is; put filecache:: before the URL, for a local copy")
        marks = {k.lower(): str(v) for k, v in info.items() if k.lower() in _MARKS and v}
        return int(info["size"]), " ".join(f"{key}={marks[key]}" for key in sorted(marks))

    def list_names(self, pattern: str = "") -> list[str]:
        """Names in this folder, or below it where they match, as `*/train-*.tar`; none if there is no such folder.

        Raises:
            DataError: it cannot be listed.
            UsageError: fsspec, or its package for this kind of URL, is not installed.
        """
        try:
            fs, inner = file_system(self.url)
            if pattern:
                found = insist(self.url, lambda: fs.glob(f"{inner.rstrip('/')}/{pattern}"))
            else:
                found = insist(self.url, lambda: fs.ls(inner, detail=False))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"{self} cannot be listed: {error}; try again when it can be reached") from None
        depth = pattern.count("/") + 1
        return sorted({"/".join(name.rstrip("/").split("/")[-depth:]) for name in found})


class RemoteFile(io.RawIOBase):
    """A remote file to seek and read in. `ahead`: in order, for a tar's headers; else one request for each read."""

    def __init__(self, path: RemotePath, *, ahead: bool) -> None:
        self._read, self._size, self._at = path.read_ahead if ahead else path.read, path.look_up()[0], 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any file; all that is asked for is read at once."""
        size = max(0, min(len(buffer), self._size - self._at))
        content = self._read(self._at, size) if size else b""
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


Place = Path | RemotePath


def is_remote(data: str | Path | RemotePath) -> bool:
    """Whether `data` is a URL of fsspec, also one that `Path` has taken a slash from."""
    return bool(_URL.fullmatch(with_slashes(data)))


def as_path(data: str | Path | RemotePath) -> Place:
    """What a user calls DATA: a `Path`, or a `RemotePath` if it is a URL.

    Raises:
        UsageError: the network is not to be used.
    """
    if isinstance(data, RemotePath):
        return data
    text = with_slashes(data)
    if not text.strip():
        raise UsageError("the name of the data is empty; give a folder, a table, shards or a URL")
    if not _URL.fullmatch(text):
        return Path(data)
    if text.startswith("file://"):
        return Path(text.removeprefix("file://"))
    path = RemotePath(text)
    protocols = {part.partition("://")[0] for part in text.split("::")}
    if is_offline() and protocols - NO_NETWORK:
        raise UsageError(f"{path} is not on this machine, and {OFFLINE} is set; unset it, or name a local copy")
    return path


def is_offline() -> bool:
    """Whether the network is not to be used."""
    return is_on(OFFLINE) or is_on("HF_HUB_OFFLINE")


def with_slashes(data: str | Path | RemotePath) -> str:
    """The text of `data` as it was typed: `Path` makes https:/host of https://host, and file:/x of file:///x."""
    if not isinstance(data, Path):
        return data if isinstance(data, str) else data.url
    text = re.sub(r"(^|::)(file|local):/(?!/)", r"\1\2:///", data.as_posix())
    return re.sub(r"(^|::)([a-z][a-z0-9+.-]+):/(?!/)", r"\1\2://", text)


_MARKS = {  # what file systems call a file's version; an address that is signed anew each time is none
    *("etag", "last-modified", "lastmodified", "last_modified", "content-md5", "content_md5", "md5hash", "digest"),
    *("mtime", "modified", "created", "updated", "generation", "blob_id", "sha256", "xet_hash"),
}


def _stat_copy(fs: Any, inner: str) -> os.stat_result:
    with fs.open(inner, "rb") as file:
        return os.fstat(file.fileno())


@lru_cache(maxsize=8)
def _block(path: RemotePath, number: int) -> bytes:
    return path.read(number * BLOCK_BYTES, BLOCK_BYTES)

"""Files behind fsspec URLs: `s3://bucket/train.tar`, `https://…`, `hf://…`, `filecache::s3://…`.

Every read is one request for a range of bytes, tried again when the network fails. fsspec's file systems belong to
the process that made them, so each process makes its own.
"""

import io
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from torchinception.errors import UsageError
from torchinception.files import cache_folder

OFFLINE = "TORCHINCEPTION_OFFLINE"
COPIES = {"filecache", "simplecache", "blockcache"}
NO_NETWORK = {"memory", "file", "local", "zip", "tar", "dir", *COPIES}
WAITS_S = (0.5, 1.0, 2.0, 4.0)  # between tries
SILENCE_S = 60.0  # of a web server, before it is asked again
BLOCK_BYTES = 4 << 20  # of reading ahead
_BLOCKS_LOCK = threading.Lock()
_URL = re.compile(
    r"(?P<before>(?:[a-z]+::)*)(?P<root>[a-z0-9+.-]{2,}://(?:(?:(?!::)[^/?])*/)?)(?P<path>[^?]*?)(?P<after>(\?|::).*|)",
    re.DOTALL,
)  # with a host or bucket in its root
T = TypeVar("T")


class UnreachableError(OSError):
    """The network failed several times in a row."""


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

    def resolve(self) -> "RemotePath":
        """Itself: a URL is whole."""
        return self

    @property
    def protocol(self) -> str:
        """The outermost: `filecache` of `filecache::s3://…`."""
        return re.split("://|::", self.url, maxsplit=1)[0]

    def read(self, start: int, size: int) -> bytes:
        """The bytes from `start` on, fewer at the end of the file.

        Raises:
            OSError: the network failed (`UnreachableError`), or the file is gone or cannot be read in part.
        """
        return _insist(self, lambda: _read(self, start, start + size))

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
        fs, inner = _file_system(self)
        return bytes(_insist(self, lambda: fs.cat_file(inner))).decode()

    def look_up(self) -> tuple[int, str]:
        """Its size in bytes, and what changes with its content: an ETag or a time; empty if neither is known."""
        fs, inner = _file_system(self)
        source = fs.fs if self.protocol in COPIES else fs  # those with copies would ask for the folder's list
        info = _insist(self, lambda: source.info(inner))
        if info.get("size") is None:
            raise OSError("the server does not say how large it is; put filecache:: before the URL, for a local copy")
        marks = {k.lower(): str(v) for k, v in info.items() if k.lower() in _MARKS and v}
        return int(info["size"]), " ".join(f"{key}={marks[key]}" for key in sorted(marks))

    def list_names(self, pattern: str = "") -> list[str]:
        """Names in this folder, or below it where they match, as `*/train-*.tar`; none if there is no such folder."""
        fs, inner = _file_system(self)
        try:
            if pattern:
                found = _insist(self, lambda: fs.glob(f"{inner.rstrip('/')}/{pattern}"))
            else:
                found = _insist(self, lambda: fs.ls(inner, detail=False))
        except (FileNotFoundError, NotADirectoryError):
            return []
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
        UsageError: fsspec, or the package for this kind of URL, is not installed; or the network is not to be used.
    """
    if isinstance(data, RemotePath):
        return data
    text = with_slashes(data)
    if not _URL.fullmatch(text):
        return Path(data)
    if text.startswith("file://"):
        return Path(text.removeprefix("file://"))
    path = RemotePath(text)
    protocols = {part.partition("://")[0] for part in text.split("::")}
    if is_offline() and protocols - NO_NETWORK:
        raise UsageError(f"{path} is not on this machine, and {OFFLINE} is set; unset it, or name a local copy")
    _file_system(path)
    return path


def is_offline() -> bool:
    """Whether the network is not to be used."""
    return os.environ.get(OFFLINE, "").lower() in ("1", "true", "yes", "on")


def with_slashes(data: str | Path | RemotePath) -> str:
    """The text of `data` as it was typed: `Path` makes https:/host of https://host, and file:/x of file:///x."""
    if not isinstance(data, Path):
        return data if isinstance(data, str) else data.url
    text = re.sub(r"(^|::)(file|local):/(?!/)", r"\1\2:///", data.as_posix())
    return re.sub(r"(^|::)([a-z][a-z0-9+.-]+):/(?!/)", r"\1\2://", text)


def hide_secrets(text: str) -> str:
    """Without what stands for a password: between // and @, and behind the ? of a URL.

    >>> hide_secrets("https://me:secret@host/a.tar?signature=secret: 403")
    'https://***@host/a.tar?*** 403'
    """
    text = re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
    return re.sub(r"(?<=://)([^\s?]+)\?[^\s'\"]+", r"\1?***", text)


_MARKS = {  # what file systems call a file's version; an address that is signed anew each time is none
    *("etag", "last-modified", "lastmodified", "last_modified", "content-md5", "content_md5", "md5hash", "digest"),
    *("mtime", "modified", "created", "updated", "generation", "blob_id", "sha256", "xet_hash"),
}


def _file_system(path: RemotePath) -> tuple[Any, str]:
    """That of this process and thread, and the file's name in it; threads share one that makes copies."""
    return _make_file_system(path, os.getpid(), 0 if path.protocol in COPIES else threading.get_ident())


@cache  # what a fork inherits stays there unused: letting go of it stops the parent hearing from its own sockets
def _make_file_system(path: RemotePath, _process: int, _thread: int) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError(f"reading {path} needs fsspec: pip install 'torchinception[shards]'") from None
    try:
        protocols = [part.partition("://")[0] for part in path.url.split("::")]
        fs, inner = url_to_fs(path.url, **{p: _options(p) for p in protocols if _options(p)})
    except (ImportError, ValueError) as error:  # not installed, or no such protocol
        raise UsageError(f"{path} cannot be read: {hide_secrets(str(error))}") from None
    return fs, str(inner)


def _options(protocol: str) -> dict[str, Any]:
    """Where fsspec's own choice does not serve."""
    if protocol in ("http", "https"):  # its five minutes are too short for a large shard, and too long for silence
        from aiohttp import ClientTimeout

        return dict(client_kwargs=dict(timeout=ClientTimeout(total=None, sock_connect=SILENCE_S, sock_read=SILENCE_S)))
    if protocol in COPIES:  # else each process would copy for itself
        return dict(cache_storage=str(cache_folder() / "remote"))
    return {}


def _read(path: RemotePath, start: int, end: int) -> bytes:
    from fsspec.asyn import AsyncFileSystem  # type: ignore[import-untyped]

    fs, inner = _file_system(path)
    options: dict[str, Any] = {}
    if path.protocol in ("http", "https"):  # cat_file would take in the whole of a file if a server ignores ranges
        options = dict(size=end, cache_type="none")
    elif isinstance(fs, AsyncFileSystem):
        return bytes(fs.cat_file(inner, start, end))
    elif path.protocol == "hf":
        options = dict(cache_type="none")
    with fs.open(inner, "rb", **options) as file:
        file.seek(start)
        return bytes(file.read(end - start))


@lru_cache(maxsize=8)
def _block(path: RemotePath, number: int) -> bytes:
    return path.read(number * BLOCK_BYTES, BLOCK_BYTES)


def forget_blocks() -> None:
    """Before a file is looked at anew: it may have changed."""
    _block.cache_clear()


def _insist(path: RemotePath, ask: Callable[[], T]) -> T:
    for wait_s in (*WAITS_S, None):
        try:
            return ask()
        except Exception as error:  # noqa: BLE001, each file system has errors of its library
            cause = error.__cause__ or error
            why = hide_secrets(f"{type(cause).__name__} {cause}".strip())
            if _is_missing(error):
                raise FileNotFoundError(f"{path} is not there") from None
            if _is_final(error):
                advice = "; filecache:: before the URL reads from a local copy" if "range requests" in why else ""
                raise OSError(why + advice) from None
        if wait_s is not None:
            time.sleep(wait_s)
    raise UnreachableError(f"{why}, {len(WAITS_S) + 1} times")


def _status(error: BaseException) -> int | None:
    """The answer's code of an error over HTTP; fsspec calls a size that could not be asked for a missing file."""
    status = getattr(error.__cause__ or error, "status", None)
    return status if isinstance(status, int) else None


def _is_missing(error: BaseException) -> bool:
    status = _status(error)
    return status in (404, 410) or (isinstance(error, FileNotFoundError) and error.__cause__ is None)


def _is_final(error: BaseException) -> bool:
    """Whether the same question would get the same answer."""
    status = _status(error)
    if status is not None:
        return 400 <= status < 500 and status not in (408, 429)
    cause = error.__cause__ or error
    return isinstance(
        cause, PermissionError | IsADirectoryError | NotADirectoryError | NotImplementedError | ValueError | TypeError
    )

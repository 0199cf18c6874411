"""fsspec's file systems: one for each process, asked again when the network fails, without passwords in errors."""

import os
import re
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from torchinception.errors import UsageError
from torchinception.files import cache_folder

COPIES = {"filecache", "simplecache"}  # of whole files
WAITS_S = (1.0, 2.0, 4.0, 8.0)  # between tries
SILENCE_S = 60.0  # of a web server, before it is asked again
T = TypeVar("T")


class UnreachableError(OSError):
    """The network failed several times in a row."""


def protocol_of(url: str) -> str:
    """The outermost: `filecache` of `filecache::s3://…`."""
    return re.split("://|::", url, maxsplit=1)[0]


def hide_secrets(text: str) -> str:
    """Without what stands for a password: between // and @, and behind the ? of a URL.

    >>> hide_secrets("https://me:secret@host/a.tar?signature=secret: 403")
    'https://***@host/a.tar?*** 403'
    """
    text = re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
    return re.sub(r"(?<=://)([^\s?]+)\?[^\s'\"]+", r"\1?***", text)


def file_system(url: str) -> tuple[Any, str]:
    """That of this process and thread, and the file's name in it; threads share one that makes copies.

    Raises:
        OSError: as of `insist`.
        UsageError: fsspec, or its package for this kind of URL, is not installed.
    """
    thread = 0 if protocol_of(url) in COPIES else threading.get_ident()
    return insist(url, lambda: _make_file_system(url, os.getpid(), thread))  # some connect already


@cache  # what a fork inherits stays there unused: letting go of it stops the parent hearing from its own sockets
def _make_file_system(url: str, _process: int, _thread: int) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError(f"reading {hide_secrets(url)} needs fsspec: pip install 'torchinception[shards]'") from None
    try:
        protocols = [part.partition("://")[0] for part in url.split("::")]
        fs, inner = url_to_fs(url, **{p: _options(p) for p in protocols if _options(p)})
    except (ImportError, ValueError) as error:  # not installed, or no such protocol
        raise UsageError(f"{hide_secrets(url)} cannot be read: {hide_secrets(str(error))}") from None
    return fs, str(inner)


def _options(protocol: str) -> dict[str, Any]:
    """Where fsspec's own choice does not serve."""
    if protocol in ("http", "https"):  # its five minutes are too short for a large shard, and too long for silence
        from aiohttp import ClientTimeout

        return dict(client_kwargs=dict(timeout=ClientTimeout(total=None, sock_connect=SILENCE_S, sock_read=SILENCE_S)))
    if protocol in COPIES:  # else each process would copy for itself, and again in the middle of a run
        return dict(cache_storage=str(cache_folder() / "remote"), expiry_time=False)
    return {}


def read_range(url: str, start: int, end: int) -> bytes:
    """Those bytes and no more, in one request."""
    from fsspec.asyn import AsyncFileSystem  # type: ignore[import-untyped]

    fs, inner = file_system(url)
    options: dict[str, Any] = {}
    if protocol_of(url) in ("http", "https"):  # cat_file would take in the whole of a file if a server ignores ranges
        options = dict(size=end, cache_type="none")
    elif isinstance(fs, AsyncFileSystem):
        return bytes(fs.cat_file(inner, start, end))
    elif protocol_of(url) == "hf":
        options = dict(cache_type="none")
    with fs.open(inner, "rb", **options) as file:
        file.seek(start)
        return bytes(file.read(end - start))


def insist(url: str, ask: Callable[[], T]) -> T:
    """The answer of `ask`, which is called again, after longer and longer waits, for as long as that may help.

    Raises:
        FileNotFoundError: the file is not there.
        UnreachableError: the network failed each time.
        OSError: another failure, which the next try would meet too.
    """
    for wait_s in (*WAITS_S, None):
        try:
            return ask()
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001, each file system has errors of its library
            cause = error.__cause__ or error
            why = hide_secrets(f"{type(cause).__name__} {cause}".strip())
            if _is_missing(error):
                raise FileNotFoundError(f"{hide_secrets(url)} is not there") from None
            if _is_final(error):
                if "range requests" in why:
                    why = "the server cannot serve parts of a file; put filecache:: before the URL, for a local copy"
                raise OSError(why) from None
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

"""Fetching published checkpoints once: into the cache folder, under a digest, whole or not at all.

A file that already lies in its place, downloaded or put there by hand, is checked and used without the network: against
the SHA-256 recorded beside it at its first use, which itself was checked against what the source publishes. One that
changed since is an error and is left as it is: it may be the user's.
"""

import ssl
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, BinaryIO

from torchinception.errors import MissingInputError, ModelFileError, SaveError
from torchinception.files import is_on, write_atomically
from torchinception.progress import Listener
from torchinception.weights.cached import (
    CHUNK_BYTES,
    MOST_BYTES,
    BadConnectionError,
    Digests,
    NoFileError,
    by_hand,
    cached_path,
    check_cached,
    record,
)
from torchinception.weights.catalogue import Entry

OFFLINE = ("TORCHINCEPTION_OFFLINE", "HF_HUB_OFFLINE")
TIMEOUT_S = 30.0  # without one byte
RETRY_AFTER_S = (1.0, 4.0)
SLACK = 1.1  # published megabytes are rounded, and of 1000 or 1024


def fetch(entry: Entry, listener: Listener | None = None, *, offline: bool = False) -> Path:
    """The file of a published checkpoint, downloaded if it is not in the cache folder yet.

    `offline`, or $TORCHINCEPTION_OFFLINE or $HF_HUB_OFFLINE set to 1, uses the cache folder alone.

    Raises:
        MissingInputError: it is not there and cannot be downloaded; says how to put it there by hand.
        ModelFileError: it is not the file that was published, or not the one that was there before.
        SaveError: it could not be written.
    """
    path = cached_path(entry)
    if path.exists():
        check_cached(entry, path)
        return path
    if offline or any(map(is_on, OFFLINE)):
        raise MissingInputError(
            f"{entry.name} is not downloaded and this is offline (--offline, or {' or '.join(OFFLINE)} is set); "
            f"{by_hand(entry)}"
        )
    download = _download
    if entry.hub:
        from torchinception.weights.hub import download_from_hub as download  # a library that others need not wait for
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(f"cannot make {path.parent}: {error.strerror or error}; set TORCHINCEPTION_CACHE") from error
    for wait_s in (*RETRY_AFTER_S, None):
        try:
            sha256 = download(entry, path, listener or Listener())
            break
        except NoFileError as error:
            raise MissingInputError(f"cannot download {entry.name}: {error}; {by_hand(entry)}") from error
        except BadConnectionError as error:
            if wait_s is None:
                tries = len(RETRY_AFTER_S) + 1
                raise MissingInputError(
                    f"cannot download {entry.name} in {tries} tries: {error}; {by_hand(entry)}"
                ) from error
            time.sleep(wait_s)
    record(path, sha256)
    return path


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith("https://"):
            raise NoFileError(f"{req.full_url} leads to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str) -> HTTPResponse:
    handlers = (_HttpsOnly(), urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    request = urllib.request.Request(url, headers={"User-Agent": "torchinception"})  # noqa: S310, Entry allows https only
    try:
        response: HTTPResponse = urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        kind = BadConnectionError if error.code == 429 or error.code >= 500 else NoFileError
        raise kind(f"the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        kind = NoFileError if isinstance(error.reason, ssl.SSLCertVerificationError) else BadConnectionError
        raise kind(str(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise BadConnectionError(str(error) or type(error).__name__) from error
    return response


def _download(entry: Entry, path: Path, listener: Listener) -> str:
    """From `entry.url` to `path`; returns the SHA-256."""
    assert entry.url
    digests = Digests(entry)
    most = entry.size_bytes or (int(entry.size_mb * SLACK * 2**20) if entry.size_mb else MOST_BYTES)
    with _open(entry.url) as response:
        total = response.length
        if total is None and not entry.digest:
            raise NoFileError("the server does not say how long the file is, and no digest is published")

        def pour(file: BinaryIO) -> None:
            while True:
                if max(digests.size, total or 0) > most:
                    raise ModelFileError(f"{entry.address} is larger than the {most} bytes expected; {by_hand(entry)}")
                try:
                    chunk = response.read(CHUNK_BYTES)
                except (OSError, HTTPException) as error:
                    raise BadConnectionError(str(error) or type(error).__name__) from error
                if not chunk:
                    break
                digests.update(chunk)
                file.write(chunk)
                listener.progress(f"Downloading {entry.name}", digests.size, total or most)
            if total is not None and digests.size != total:
                raise BadConnectionError(f"the connection ended after {digests.size} of {total} bytes")
            digests.check(entry.address)

        write_atomically(path, pour)
    return digests.sha256.hexdigest()

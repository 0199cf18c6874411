"""The places of published checkpoints in the cache folder, and how the files there are checked."""

import contextlib
import hashlib
from pathlib import Path

from torchinception.errors import MissingInputError, ModelFileError, SaveError
from torchinception.files import cache_folder, write_atomically
from torchinception.weights.catalogue import Entry

CHUNK_BYTES = 1 << 20
MOST_BYTES = 1 << 30  # of a file whose size is not published; the largest here is about 230 MB


class BadConnectionError(Exception):
    """What trying again may mend."""


class NoFileError(Exception):
    """What trying again will not mend."""


def cached_path(entry: Entry) -> Path:
    """Where the file is, or belongs."""
    return cache_folder() / "weights" / entry.name / entry.file


def by_hand(entry: Entry) -> str:
    """How to put the file in its place without this package's help."""
    digest = f", check its digest, {entry.digest}," if entry.digest else ""
    return f"by hand: get {entry.address} ({entry.url_source}){digest} and put it at {cached_path(entry)}"


class Digests:
    """SHA-256 of what passes by, and whatever the source publishes."""

    def __init__(self, entry: Entry) -> None:
        self.entry, self.sha256 = entry, hashlib.sha256()
        self.algorithm, _, self.expected = (entry.digest or "sha256:").partition(":")
        # md5 and sha1 are what Keras and Caffe publish: they show damage, not malice
        self.published = hashlib.new(self.algorithm, usedforsecurity=False)
        self.size = 0

    def update(self, chunk: bytes) -> None:
        """The next bytes of the file."""
        self.size += len(chunk)
        self.sha256.update(chunk)
        self.published.update(chunk)

    def check(self, what: str) -> None:
        """Refuse what is not the published file."""
        entry, found = self.entry, self.published.hexdigest()
        if entry.size_bytes and self.size != entry.size_bytes:
            raise ModelFileError(
                f"{what} is not the published file: {self.size} bytes, not {entry.size_bytes}; {by_hand(entry)}"
            )
        if not found.startswith(self.expected):
            raise ModelFileError(
                f"{what} is not the published file: its {self.algorithm} is {found}, not {self.expected} "
                f"({entry.digest_source}); it may be damaged or have been replaced; {by_hand(entry)}"
            )


def read(entry: Entry, path: Path) -> Digests:
    """The digests of a file.

    Raises:
        MissingInputError: it cannot be read.
    """
    digests = Digests(entry)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digests.update(chunk)
    except OSError as error:
        raise MissingInputError(f"cannot read {path}: {error.strerror or error}; make it readable") from error
    return digests


def check_cached(entry: Entry, path: Path) -> None:
    """Refuse a file that is not the published one, or not the one that was there at its first use.

    Raises:
        ModelFileError: what differs, and what to do; the file is left alone.
    """
    digests, recorded = read(entry, path), record_path(path)
    if not recorded.exists():  # put there by hand, or the download was stopped in its last moment
        digests.check(str(path))
        with contextlib.suppress(SaveError):  # in a cache that others share read-only: checked each time like this
            record(path, digests.sha256.hexdigest())
    elif recorded.read_text("utf-8", errors="replace").split()[:1] != [digests.sha256.hexdigest()]:
        raise ModelFileError(
            f"{path} has changed since its first use: its SHA-256 is no longer the one in {recorded.name}; delete both "
            f"to download it again"
        )


def record_path(path: Path) -> Path:
    """Where the SHA-256 of a cached file is kept."""
    return path.with_name(f"{path.name}.sha256")


def record(path: Path, sha256: str) -> None:
    """Keep the SHA-256 of a cached file beside it, in the form that `sha256sum --check` reads."""
    write_atomically(record_path(path), f"{sha256}  {path.name}\n")

"""Writing a file so that it is there whole, or the old one still is; and where files are kept for later runs."""

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import platformdirs

from torchinception.errors import SaveError


def cache_folder() -> Path:
    """Where what can be made again is kept: `$TORCHINCEPTION_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("TORCHINCEPTION_CACHE") or platformdirs.user_cache_dir("torchinception"))


def is_on(variable: str) -> bool:
    """Whether an environment variable is set to 1, true, yes or on."""
    return os.environ.get(variable, "").lower() in ("1", "true", "yes", "on")


CURES = {  # of what the file system may say
    errno.EACCES: "ask for the right to write there, or choose another place",
    errno.EPERM: "ask for the right to write there, or choose another place",
    errno.EROFS: "choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "choose another name",
    errno.ENOTDIR: "a file stands where a folder should; choose another place",
    errno.EEXIST: "a file stands where a folder should; choose another place",
    errno.ENOENT: "choose another place",
}


def cannot_write(path: str | Path, error: OSError) -> SaveError:
    """What to raise for an error of the file system: it says what that was, and what helps against it."""
    cure = CURES.get(error.errno or 0, "free space or choose another place")
    return SaveError(f"cannot write {path}: {error.strerror or error}; {cure}")


def write_atomically(path: str | Path, content: bytes | str | Callable[[BinaryIO], None]) -> None:
    """Write to a temporary file beside `path`, flush it to the disk, then rename it.

    Raises:
        SaveError: the file could not be written; an older one at `path` is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        if hasattr(os, "O_DIRECTORY"):  # not on Windows
            directory = os.open(path.parent, os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # gone if all went well

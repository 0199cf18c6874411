"""Writing a file so that it is there whole, or the old one still is; and where files are kept for later runs."""

import contextlib
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
        raise SaveError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another place"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # gone if all went well

"""The native library: a plugin, since two files of tests need it."""

import os
import platform
from pathlib import Path

import pytest

from torchinception.engines.native_library import LEVELS, Library, load
from torchinception.errors import UsageError

ARM = platform.machine() in ("aarch64", "arm64")


@pytest.fixture(scope="session")
def library() -> Library:
    """What TORCHINCEPTION_NATIVE names (with sanitizers, say), else what was built with the package."""
    if built := os.environ.get("TORCHINCEPTION_NATIVE"):
        return load(Path(built))
    try:
        return load()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture(params=[name for name in LEVELS if (name == "neon") == ARM])
def level(library: Library, request: pytest.FixtureRequest) -> str:
    """Each instruction set that is there."""
    if request.param not in library.levels():
        pytest.skip(f"this processor, or this build, has no {request.param}")
    return str(request.param)

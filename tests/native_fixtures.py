"""The native library, built for the tests: a plugin, since two files of tests need it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from torchinception.engines.native_library import LEVELS, Library, load

NATIVE = Path(__file__).parents[1] / "native"


@pytest.fixture(scope="session")
def library() -> Library:
    """What TORCHINCEPTION_NATIVE names (with sanitizers, say), else built here; nothing to do if it was before."""
    if built := os.environ.get("TORCHINCEPTION_NATIVE"):
        return load(Path(built))
    if shutil.which("cmake") is None:
        pytest.skip("there is no CMake to build the native engine with")
    build = NATIVE / "build"
    for command in (["cmake", "-S", NATIVE, "-B", build], ["cmake", "--build", build, "--parallel"]):
        subprocess.run(command, check=True, capture_output=True)
    return load(build / "libtorchinception.so")


@pytest.fixture(params=LEVELS)
def level(library: Library, request: pytest.FixtureRequest) -> str:
    """Each instruction set that is there."""
    if request.param not in library.levels():
        pytest.skip(f"this processor, or this build, has no {request.param}")
    return str(request.param)

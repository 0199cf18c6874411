"""The package's archives: with the native library where there is a compiler, and without it where there is none."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from torchinception.engines.native_library import PATHS

ROOT = Path(__file__).parents[1]
LIBRARY = "torchinception/libtorchinception.so"
PACKAGE = {
    str(path.relative_to(ROOT / "src"))
    for path in (ROOT / "src/torchinception").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
BUILD = "import build, sys; print(build.ProjectBuilder(sys.argv[1]).build(sys.argv[2], sys.argv[3]))"


def build(kind: str, folder: Path, **environment: str) -> Path:
    """An archive, made by the backend of this environment."""
    command = [sys.executable, "-c", BUILD, str(ROOT), kind, str(folder)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def test_the_source_holds_all_that_it_is_built_from(tmp_path: Path) -> None:
    archive = build("sdist", tmp_path)
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    native = {str(path.relative_to(ROOT)) for path in (ROOT / "native").glob("*/*.[ch]pp")}
    assert names >= native | {f"src/{name}" for name in PACKAGE} | {
        "native/CMakeLists.txt",
        "pyproject.toml",
        "Makefile",
    }
    assert names >= {"tests/golden.json", "docs/engines.md", "benchmarks/run.py", "LICENSE", "constraints.txt"}
    assert not {name for name in names if name.startswith(("native/build/", ".venv/", ".git/", "runs/"))}


def test_without_a_compiler_the_wheel_is_there_without_the_library(tmp_path: Path) -> None:
    wheel = build("wheel", tmp_path, CXX="there-is-no-such-compiler")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as file:
        assert {name for name in file.namelist() if ".dist-info/" not in name} == PACKAGE


def test_where_a_compiler_is_the_library_was_built_with_the_package() -> None:
    """Else all tests of the native engine would be skipped where it does not compile."""
    can_build = all(map(shutil.which, ("c++", "cmake")))
    assert any(path.exists() for path in PATHS) or not can_build


def test_with_a_compiler_the_wheel_fits_every_python_of_the_platform(tmp_path: Path) -> None:
    wheel = build("wheel", tmp_path)
    assert "-py3-none-linux_" in wheel.name
    with zipfile.ZipFile(wheel) as file:
        assert {name for name in file.namelist() if ".dist-info/" not in name} == {*PACKAGE, LIBRARY}

"""No wrong address and nothing undefined in any algorithm, on a build that notices; `make sanitize` runs more."""

import subprocess
from pathlib import Path

import pytest
from native_check import NATIVE, build_check, needs, run_check

from torchinception.engines.native_library import LEVELS, Library

pytest_plugins = ("native_fixtures",)

pytestmark = needs("c++", "cmake")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_check(tmp_path_factory.mktemp("sanitized"), TORCHINCEPTION_SANITIZE="ON")


def test_every_algorithm_runs_cleanly(program: Path, library: Library) -> None:
    levels = run_check(program)
    assert list(levels) == [LEVELS[name] for name in library.levels()]
    for level in levels.values():
        level.check(library.algorithms)


def test_a_number_beyond_the_memory_that_was_given_is_noticed(program: Path, tmp_path: Path) -> None:
    source, wrong = Path(__file__).parent / "native_overflow.cpp", tmp_path / "wrong"
    options = ["-fsanitize=address", f"-I{NATIVE}/include", f"-L{program.parent}", f"-Wl,-rpath,{program.parent}"]
    subprocess.run(["c++", *options, str(source), "-ltorchinception", "-o", str(wrong)], check=True)
    done = subprocess.run([str(wrong)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr

"""The kernels for NEON compute as in float64: cross-compiled, and run in an emulator, as no such processor is here."""

from pathlib import Path

from native_check import build_check, needs, run_check

from torchinception.engines.native_library import LEVELS, Library

pytest_plugins = ("native_fixtures",)

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"


@needs(COMPILER, EMULATOR, "cmake")
def test_every_algorithm_is_right_on_neon(library: Library, tmp_path: Path) -> None:
    program = build_check(
        tmp_path,
        CMAKE_SYSTEM_NAME="Linux",
        CMAKE_SYSTEM_PROCESSOR="aarch64",
        CMAKE_CXX_COMPILER=COMPILER,
        TORCHINCEPTION_NEON="ON",
    )
    levels = run_check(EMULATOR, "-L", "/usr/aarch64-linux-gnu", program)
    assert list(levels) == [LEVELS["neon"]]
    levels[LEVELS["neon"]].check(library.algorithms)

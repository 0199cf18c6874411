"""What a benchmark asks of the system about its own process: certain processors, and how large it grew."""

import os
import sys
from contextlib import suppress
from pathlib import Path


def pin(threads: int) -> None:
    """To as many processors as threads, of different cores as far as there are; the first ones serve interrupts too."""
    if sys.platform != "linux":
        return
    allowed = sorted(os.sched_getaffinity(0), reverse=True)
    cores: dict[object, list[int]] = {}
    for number in allowed:
        cores.setdefault(_core(number), []).append(number)
    apart = sorted(allowed, key=lambda number: cores[_core(number)].index(number))
    os.sched_setaffinity(0, apart[:threads])


def _core(number: int) -> object:
    folder = Path(f"/sys/devices/system/cpu/cpu{number}/topology")
    try:
        return (folder / "physical_package_id").read_text(), (folder / "core_id").read_text()
    except OSError:
        return number


def forget_peak() -> int | None:
    """What the process holds now, after which Linux counts its peak anew; None on other systems."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def growth_bytes(before: int | None) -> int | None:
    """By how much the process was larger at its peak than `before`."""
    peak = _status("VmHWM")
    return None if before is None or peak is None else max(0, peak - before)


def _status(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith(f"{name}:")), None)
    return None if kilobytes is None else 1024 * int(kilobytes)

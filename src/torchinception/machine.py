"""What this machine is: which processor, what that can do, and how many cores of it are for this process."""

import os
import platform
from pathlib import Path

PROCESSORS = Path("/proc/cpuinfo")  # Linux alone tells a name that says which one it is, and what it can do


def processor_name() -> str:
    """As its maker calls it, where the system says so; else the family that it is of."""
    return _told("model name") or platform.processor() or platform.machine()


def processor_flags() -> set[str]:
    """What it can do, in Linux's words; none where the system does not say."""
    return set(_told("flags").split())


def usable_cores() -> int:
    """How many this process may use, which can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _told(field: str) -> str:
    """Of the first processor; empty if it is not told."""
    try:
        lines = PROCESSORS.read_text().splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in fields if name.strip() == field), "")

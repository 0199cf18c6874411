"""How much memory a process holds."""

import os
import sys
from pathlib import Path


def resident_bytes() -> int | None:
    """What of this process is in memory now; None where the system does not say so in a file."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE") if sys.platform != "win32" else None


def growth_bytes(before: int | None) -> int | None:
    """By how much the process has grown since `before`, and no less than nothing."""
    now = resident_bytes()
    return None if before is None or now is None else max(0, now - before)

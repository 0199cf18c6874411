"""What is told about the machine is what the system says of it."""

import os
from pathlib import Path

import pytest

from torchinception import machine
from torchinception.engines.remembered import describe_machine
from torchinception.machine import processor_flags, processor_name, usable_cores

TOLD = "processor\t: {}\nmodel\t\t: 49\nmodel name\t: Fast: the {}\nflags\t\t: fma avx2 {}\npower management:\n\n"


def test_the_first_processor_is_named_as_linux_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PROCESSORS", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(TOLD.format(0, "first", "sse") + TOLD.format(1, "second", "mmx"))
    assert (processor_name(), processor_flags()) == ("Fast: the first", {"fma", "avx2", "sse"})
    assert describe_machine().startswith("Fast: the first, ")


@pytest.mark.parametrize("told", [None, "", "processor : 0\nBogoMIPS : 48.00\n"])
def test_a_processor_that_is_not_named_is_of_a_family(
    told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    assert (processor_name(), processor_flags()) == ("aarch64", set())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to some of its cores")
def test_cores_that_are_not_for_this_process_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() == len(before)

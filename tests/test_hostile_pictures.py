"""Pictures that were harmed on purpose: each is decoded, or refused by path and reason, in little time and memory."""

import os
import random
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from conftest import FORKS
from hostile_files import SEEDS, harmed
from wasteful_files import bombs

from torchinception.data.headers import Reason
from torchinception.data.images import FORMATS, load_image
from torchinception.errors import ImageError

FULL_COUNT = 2000
ALL_FORMATS = (*FORMATS, "TIFF")
SECONDS = 2  # of the processor, for one file; most take a millisecond
PATIENCE_SECONDS = 120  # by the clock, after which a file hangs, however busy the machine
GROWTH_BYTES = 400 << 20
SPARE_BYTES = 1500 << 20  # of addresses


def memory_kb(row: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(row))


def attack(files: list[tuple[str, bytes]], folder: Path, log: Path) -> None:
    """In a process of its own: load one file after another, and note what came of each."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPARE_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff prints what it finds
    written: list[object] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and listening and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(arguments[0])

    listening = False
    sys.addaudithook(hear)
    path = folder / "picture.jpg"
    with log.open("a", buffering=1) as notes:
        for number, (_, content) in enumerate(files):
            path.write_bytes(content)
            notes.write(f"{number} ")
            warnings.simplefilter("error" if number % 2 else "ignore")
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
            before, began = memory_kb("VmRSS:"), time.process_time()
            signal.alarm(PATIENCE_SECONDS)  # kills this process
            listening = True
            outcome = told(path)
            listening = False
            signal.alarm(0)
            seconds, grown = time.process_time() - began, memory_kb("VmHWM:") - before
            if seconds > SECONDS or grown > GROWTH_BYTES >> 10:
                outcome = f"took {seconds:.1f} s and {grown >> 10} MB"
            if written:
                outcome = f"wrote {written}"
            notes.write(f"{outcome}\n")


def told(path: Path) -> str:
    try:
        picture = load_image(path, formats=ALL_FORMATS)
    except ImageError as error:
        known = error.path == str(path) and error.reason in get_args(Reason) and error.advice
        return f"refused: {error.reason}" if known else f"refused without path, reason or advice: {error!r}"
    except BaseException as error:  # noqa: BLE001
        return f"raised {error!r}".replace("\n", " ")
    pixels = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size
    return "decoded" if pixels else f"decoded as {picture.dtype} {picture.shape}"


def outcomes(files: list[tuple[str, bytes]], folder: Path) -> dict[str, str]:
    """What came of each file, by its name; a process that dies is followed by another one."""
    found: dict[str, str] = {}
    while len(found) < len(files):
        log = folder / f"log {len(found)}"
        process = FORKS.Process(target=attack, args=(files[len(found) :], folder, log))
        process.start()
        process.join()
        lines = log.read_text().splitlines() if log.exists() else []
        assert lines, f"died by {process.exitcode} before the first file"
        if process.exitcode != 0:
            lines[-1] += f"died by {process.exitcode}"
        for (name, _), line in zip(files[len(found) :], lines, strict=False):
            found[name] = line.split(" ", 1)[1]
        if process.exitcode == 0:
            break
    assert len(found) == len(files)
    return found


def wrong(found: dict[str, str]) -> dict[str, str]:
    fine = {"decoded", *(f"refused: {reason}" for reason in get_args(Reason))}
    return {name: outcome for name, outcome in found.items() if outcome not in fine}


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")


@LINUX
def test_a_harmed_picture_is_decoded_or_refused_and_nothing_else(
    tmp_path: Path, full: bool, survived: Callable[[str], None]
) -> None:
    numbers = range(FULL_COUNT) if full else sorted(random.Random(0).sample(range(FULL_COUNT), FULL_COUNT // 10))
    files = [(f"{number}: {name}", content) for number in numbers for name, content in [harmed(number)]]
    found = outcomes(files, tmp_path)
    assert not wrong(found)
    for outcome in found.values():
        survived(f"harmed pictures: {outcome}")
    assert len(set(found.values())) >= 4  # decoded, empty, broken, not a picture at least


@LINUX
def test_a_picture_made_to_waste_time_or_memory_is_refused_or_decoded_cheaply(
    tmp_path: Path, survived: Callable[[str], None]
) -> None:
    found = outcomes(list(bombs().items()), tmp_path)
    assert not wrong(found)
    for outcome in found.values():
        survived(f"pictures made to waste: {outcome}")


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_is_decoded_while_it_is_whole(name: str) -> None:
    assert load_image(SEEDS[name], formats=ALL_FORMATS).size

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from data_fixtures import encode, full_disk, noise, write_classes
from store_fixtures import Notes

from torchinception.data import images, inspected, verdicts
from torchinception.data.folder import Folder, scan
from torchinception.errors import DataError


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that verdicts are kept in, not yet there."""
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pictures-1.sqlite3"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that were decoded, in any order."""
    names: list[str] = []
    decode = inspected._decode
    monkeypatch.setattr(inspected, "_decode", lambda place: (names.append(place[0].name), decode(place))[1])
    return names


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return age(write_classes(tmp_path / "data", a=3, b=3))


def age(root: Path) -> Path:
    """As if its files had been written long ago."""
    for path in root.rglob("*.png"):
        os.utime(path, ns=(10**18, 10**18 + path.stat().st_size))
    return root


def remember(data: Path) -> Folder:
    found = scan(data)
    assert len(found.splits["all"]) == 6
    return found


def test_what_has_not_changed_is_not_decoded_again(data: Path, decoded: list[str]) -> None:
    first = remember(data)
    assert len(decoded) == 6
    again = scan(data)
    assert len(decoded) == 6
    assert again == first
    assert again.fingerprint == first.fingerprint


@pytest.mark.parametrize("change", ["size", "time", "both"])
def test_what_has_changed_is_decoded_again(data: Path, decoded: list[str], change: str) -> None:
    first, path = remember(data), data / "a" / "001.png"
    before = path.stat()
    path.write_bytes(encode(noise(9)) + (b"" if change == "time" else b"more"))
    if change == "time":
        os.truncate(path, before.st_size)
    os.utime(path, ns=(10**18, before.st_mtime_ns + (change != "size")))
    decoded.clear()
    again = scan(data)
    assert decoded == ["001.png"]
    assert again.fingerprint != first.fingerprint


def test_a_new_picture_is_decoded_and_a_moved_folder_is_decoded_anew(data: Path, decoded: list[str]) -> None:
    remember(data)
    (data / "b" / "new.png").write_bytes(encode(noise(9)))
    age(data)
    decoded.clear()
    scan(data)
    assert decoded == ["new.png"]
    scan(data.rename(data.with_name("elsewhere")))
    assert len(decoded) == 8


def test_why_a_picture_is_bad_is_remembered_too(data: Path, decoded: list[str]) -> None:
    (data / "a" / "bad.png").write_bytes(encode(noise(9))[:60])
    age(data)
    texts = []
    for _ in range(2):
        with pytest.raises(DataError, match=r"bad\.png: broken; ") as caught:
            scan(data)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert len(decoded) == 7


@pytest.mark.parametrize("name", ["MAX_PIXELS", "FORMATS", "source"])
def test_another_gate_judges_anew(data: Path, decoded: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(data)
    if name == "source":
        monkeypatch.setattr(inspected.inspect, "getsource", lambda module: "another")
    else:
        monkeypatch.setattr(images, name, dict(MAX_PIXELS=100, FORMATS=("PNG",))[name])
    decoded.clear()
    scan(data)
    assert len(decoded) == 6


def test_what_was_written_a_moment_ago_may_change_within_the_same_time_and_is_not_remembered(
    data: Path, decoded: list[str]
) -> None:
    (data / "a" / "000.png").touch()
    remember(data)
    decoded.clear()
    remember(data)
    assert decoded == ["000.png"]


def test_what_is_no_file_is_not_remembered(data: Path, decoded: list[str]) -> None:
    path = data / "a" / "000.png"
    moved = path.rename(path.with_name("moved.png"))
    path.symlink_to(moved)
    remember_seven = len(scan(data).splits["all"])
    moved.unlink()
    with pytest.raises(DataError, match="a link to nothing"):
        scan(data)
    assert remember_seven == 7


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(8000))


def another_table(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE verdicts (path TEXT)")
    file.close()


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "garbage": (garbage, "damaged and begins anew"),
    "a half": (lambda path: os.truncate(path, path.stat().st_size // 2), "damaged and begins anew"),
    "nothing": (lambda path: os.truncate(path, 0), ""),
    "another table": (another_table, "damaged and begins anew"),
    "a text": (lambda path: path.write_text("remember the milk\n" * 100), "damaged and begins anew"),
    "a folder": (folder_in_its_place, "without a memory"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_memory_begins_anew_with_a_line(
    data: Path, memory: Path, notes: Notes, decoded: list[str], damage: str
) -> None:
    first = remember(data)
    do, words = DAMAGES[damage]
    do(memory)
    assert scan(data, notes) == first
    assert (len(notes.said), words in "".join(notes.said)) == (bool(words), True)
    decoded.clear()
    assert scan(data) == first
    assert len(decoded) == (6 if damage == "a folder" else 0)


def test_flipped_bits_cost_time_only(data: Path, memory: Path, full: bool) -> None:
    first, dice = remember(data), random.Random(1)
    content = memory.read_bytes()
    for _ in range(1000 if full else 100):
        damaged = bytearray(content)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        memory.write_bytes(damaged)
        again = scan(data)
        assert (again, again.fingerprint) == (first, first.fingerprint)


def test_another_digest_in_the_memory_is_not_believed(data: Path, memory: Path, decoded: list[str]) -> None:
    first = remember(data)
    with sqlite3.connect(memory) as file:
        path = os.fsencode(data / "a" / "000.png")
        assert file.execute("UPDATE verdicts SET digest = zeroblob(32) WHERE path = ?", [path]).rowcount == 1
    file.close()
    decoded.clear()
    assert scan(data).fingerprint == first.fingerprint
    assert decoded == ["000.png"]


@pytest.fixture
def locked(memory: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process writes to the memory and does not end."""
    remember(data)
    monkeypatch.setattr(verdicts, "WAIT_S", 0.01)
    file = sqlite3.connect(memory, isolation_level=None)
    file.execute("BEGIN EXCLUSIVE")
    yield
    file.close()


@pytest.mark.usefixtures("locked")
def test_a_memory_that_another_process_holds_is_done_without(data: Path, notes: Notes) -> None:
    (data / "a" / "new.png").write_bytes(encode(noise(9)))
    age(data)
    assert len(scan(data, notes).splits["all"]) == 7
    assert ["locked" in line for line in notes.said] == [True]


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/cache"])
def test_a_cache_that_cannot_be_written_to_is_done_without(
    data: Path, notes: Notes, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", place)
    assert len(scan(data, notes).splits["all"]) == 6
    assert ["without a memory" in line for line in notes.said] == [True]


def test_a_full_disk_is_no_trouble(data: Path, notes: Notes) -> None:
    with full_disk(8192):
        assert len(scan(data, notes).splits["all"]) == 6
    assert ["without a memory" in line for line in notes.said] == [True]


def test_two_scans_at_once_share_the_memory(data: Path, decoded: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(scan, [data] * 4))
    assert all(folder == found[0] for folder in found)
    decoded.clear()
    remember(data)
    assert decoded == []


class Impatient(Notes):
    def progress(self, task: str, done: int, total: int, **figures: float) -> None:
        if done == 5:
            raise KeyboardInterrupt


def test_an_interrupted_scan_has_not_been_for_nothing(
    data: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspected, "CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        scan(data, Impatient())
    decoded.clear()
    remember(data)
    assert len(decoded) == 2


def test_nothing_is_written_but_into_the_cache(data: Path, memory: Path, tmp_path: Path) -> None:
    remember(data)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "cache"}
    assert {path.name for path in memory.parent.iterdir()} == {memory.name}


def test_a_passing_lack_of_memory_is_not_remembered(
    data: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as lacking:
        lacking.setattr(images, "upright", fail)
        with pytest.raises(DataError, match="there is not enough memory to decode it"):
            scan(data)
    decoded.clear()
    remember(data)
    assert len(decoded) == 6


def test_a_file_from_a_far_future_is_checked_each_time(data: Path, decoded: list[str]) -> None:
    for path in data.rglob("*.png"):
        os.utime(path, (2**34, 2**34))  # the year 2514, in nanoseconds too much for SQLite
    remember(data)
    remember(data)
    assert len(decoded) == 12

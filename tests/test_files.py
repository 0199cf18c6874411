import errno
import os
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest
from data_fixtures import full_disk

from torchinception.errors import SaveError
from torchinception.files import write_atomically

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither umask nor ordinary users' links")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "result.txt"
    path.write_text("old")
    return path


@pytest.mark.parametrize("content", [b"gr\xc3\xbcn\n", "grün\n", lambda file: file.write(b"gr\xc3\xbcn\n")])
def test_bytes_text_and_writers_are_written_as_they_are(tmp_path: Path, content: object) -> None:
    write_atomically(tmp_path / "new" / "folder" / "a", content)  # type: ignore[arg-type]
    assert (tmp_path / "new" / "folder" / "a").read_bytes() == b"gr\xc3\xbcn\n"


def test_a_bare_name_is_written_into_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_atomically("a", "new")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("failure", [OSError("no space"), ValueError("bad value"), KeyboardInterrupt()])
def test_the_old_content_survives_a_failing_writer(old: Path, failure: BaseException) -> None:
    def writer(file: BinaryIO) -> None:
        file.write(b"half of the n")
        raise failure

    with pytest.raises(SaveError if isinstance(failure, OSError) else type(failure)):
        write_atomically(old, writer)
    assert {p.name: p.read_text() for p in old.parent.iterdir()} == {"result.txt": "old"}


def test_a_full_disk_is_a_save_error_and_leaves_the_old_file_alone(old: Path) -> None:
    with full_disk(), pytest.raises(SaveError, match=r"result\.txt"):
        write_atomically(old, b"x" * 1000)
    assert {p.name: p.read_text() for p in old.parent.iterdir()} == {"result.txt": "old"}


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "free space or choose another place"),
        (errno.EACCES, "ask for the right to write there, or choose another place"),
        (errno.EROFS, "choose another place"),
        (errno.ENAMETOOLONG, "choose a shorter name"),
    ],
)
def test_what_hinders_writing_is_told_with_what_helps(old: Path, number: int, cure: str) -> None:
    def writer(_: BinaryIO) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(SaveError) as caught:
        write_atomically(old, writer)
    assert str(caught.value) == f"cannot write {old}: {os.strerror(number)}; {cure}"


@pytest.mark.parametrize("place", ["result.txt/a", "folder"])
def test_an_impossible_place_is_a_save_error_that_names_it(old: Path, place: str) -> None:
    (old.parent / "folder").mkdir()
    with pytest.raises(SaveError, match=place) as caught:
        write_atomically(old.parent / place, "new")
    assert caught.value.exit_code == 74
    assert sorted(p.name for p in old.parent.iterdir()) == ["folder", "result.txt"]


@posix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0, 0o666)])
def test_the_umask_decides_who_may_read(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "a", "new")
    finally:
        after = os.umask(before)
    assert ((tmp_path / "a").stat().st_mode & 0o777, after) == (mode, mask)


@posix
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_link_is_replaced_and_what_it_pointed_to_is_not_written_to(old: Path, link: str) -> None:
    path = old.parent / "link"
    getattr(path, link)(old)
    write_atomically(path, "new")
    assert (path.read_text(), path.is_symlink(), old.read_text()) == ("new", False, "old")


@posix
def test_a_linked_folder_is_written_into(old: Path) -> None:
    (old.parent / "folder").mkdir()
    (old.parent / "link").symlink_to(old.parent / "folder")
    write_atomically(old.parent / "link" / "a", "new")
    assert (old.parent / "folder" / "a").read_text() == "new"


def test_readers_see_one_whole_content_while_others_write(old: Path) -> None:
    contents = {b"old", *(bytes([65 + i]) * 50_000 for i in range(4))}
    writers = [threading.Thread(target=write_atomically, args=(old, content)) for content in contents for _ in range(3)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(old.read_bytes())
    assert seen | {old.read_bytes()} <= contents
    assert [p.name for p in old.parent.iterdir()] == ["result.txt"]

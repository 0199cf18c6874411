import errno
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import FORKS
from store_fixtures import Notes, save, sealed, steps

from torchinception.errors import DataError, SaveError
from torchinception.training.store import Store, verified


def flip(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]


def truncate(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw))]


def zero_tail(raw: bytes, chance: random.Random) -> bytes:
    count = chance.randrange(1, len(raw))
    return raw[:-count] + b"\0" * count


def swap(raw: bytes, chance: random.Random) -> bytes:
    return sealed(chance.randbytes(len(raw) - 32))


@pytest.mark.parametrize("harm", [flip, truncate, zero_tail, swap])
def test_every_damage_to_the_newest_is_noticed_and_the_previous_chosen(
    three: Store,
    notes: Notes,
    full: bool,
    survived: Callable[[str], None],
    harm: Callable[[bytes, random.Random], bytes],
) -> None:
    newest, previous = (three.folder / f"step-{step:09d}.ckpt" for step in (30, 20))
    save(three, 30, 0.5, b"weights" * 1_000)
    whole = newest.read_bytes()
    for seed in range(500 if full else 50):
        notes.said.clear()
        damaged = harm(whole, random.Random(seed))
        newest.write_bytes(damaged)
        reason = "it is too short" if len(damaged) <= 32 else "its SHA-256 differs"
        reason = "it is not the file that was saved" if harm is swap else reason
        assert (three.newest(), notes.said) == (previous, [f"Skipped checkpoint {newest}: {reason}"]), seed
        survived(f"damaged checkpoint: {harm.__name__}")


def test_two_swapped_files_are_both_skipped(three: Store, notes: Notes) -> None:
    a, b, c = sorted(three.folder.glob("*.ckpt"))
    b.rename(three.folder / "x")
    c.rename(b)
    (three.folder / "x").rename(c)
    assert three.newest() == a
    assert notes.said == [f"Skipped checkpoint {path}: it is not the file that was saved" for path in (c, b)]


def test_a_missing_or_unreadable_one_is_skipped(three: Store, notes: Notes) -> None:
    a, b, c = sorted(three.folder.glob("*.ckpt"))
    c.unlink()
    b.unlink()
    b.mkdir()
    assert three.newest() == a
    assert notes.said == [
        f"Skipped checkpoint {c}: it is missing",
        f"Skipped checkpoint {b}: it cannot be read: Is a directory",
    ]


def test_without_a_whole_one_the_way_on_is_overwrite(three: Store) -> None:
    for path in three.folder.glob("*.ckpt"):
        path.write_bytes(b"damaged")
    with pytest.raises(DataError) as caught:
        three.newest()
    assert str(caught.value) == f"no checkpoint in {three.folder} can be used; use --overwrite to begin again"


def test_a_damaged_best_gives_way_to_the_next(three: Store, notes: Notes) -> None:
    best = three.best()
    assert best == three.folder / "step-000000010.ckpt"
    best.write_bytes(best.read_bytes()[:-1])
    assert three.best() == three.folder / "step-000000030.ckpt"
    assert notes.said == [f"Skipped checkpoint {best}: its SHA-256 differs"]


def test_an_orphan_counts_if_it_is_whole(three: Store, notes: Notes) -> None:
    orphan, damaged = three.place(40), three.place(50)
    orphan.write_bytes(sealed(b"killed before the manifest was written"))
    damaged.write_bytes(b"damaged, and longer than a digest is")
    assert (three.newest(), notes.said) == (orphan, [f"Skipped checkpoint {damaged}: its SHA-256 differs"])


def test_a_save_that_is_not_whole_is_an_error_and_deletes_nothing(three: Store) -> None:
    before = three.manifest.read_bytes()
    path = three.place(40)
    path.write_bytes(b"what the disk made of it, longer than a digest")
    with pytest.raises(SaveError) as caught:
        three.keep(40)
    assert str(caught.value) == (
        f"checkpoint {path} was not saved (its SHA-256 differs); older ones are kept, check the disk"
    )
    assert (three.manifest.read_bytes(), len(list(three.folder.glob("*.ckpt")))) == (before, 4)


def test_a_manifest_that_cannot_be_written_deletes_nothing(three: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    three.place(40).write_bytes(sealed(b"new"))
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(SaveError, match=r"manifest\.json: No space"):
        three.keep(40)
    assert len(list(three.folder.glob("*.ckpt"))) == 4


def test_one_that_cannot_be_looked_at_stays_listed(three: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = Path.stat

    def fail(path: Path, **options: bool) -> os.stat_result:
        if path.name == "step-000000020.ckpt":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", fail)
    three.keep(30)
    monkeypatch.undo()
    assert steps(three) == [10, 20, 30]


def test_an_absent_manifest_is_survived(three: Store, notes: Notes) -> None:
    three.manifest.unlink()
    assert (three.newest(), three.best()) == (three.folder / "step-000000030.ckpt", None)
    assert notes.said == [f"{three.manifest} is missing; each checkpoint is judged by its own SHA-256"]


@pytest.mark.parametrize("harm", [flip, truncate, zero_tail])
def test_every_damage_to_the_manifest_is_survived(
    three: Store,
    notes: Notes,
    full: bool,
    survived: Callable[[str], None],
    harm: Callable[[bytes, random.Random], bytes],
) -> None:
    whole = three.manifest.read_bytes()
    for seed in range(1000 if full else 100):
        notes.said.clear()
        three.manifest.write_bytes(harm(whole, random.Random(seed)))
        assert three.newest() == three.folder / "step-000000030.ckpt"
        assert notes.said == [f"{three.manifest} is damaged; each checkpoint is judged by its own SHA-256"], seed
        survived(f"damaged manifest: {harm.__name__}")


@pytest.mark.parametrize(
    "text", ["[]", "{}", "null", '{"files": 1}', '{"files": [1]}', '{"files": [{"step": "../x"}]}']
)
def test_a_manifest_of_something_else_is_damaged(three: Store, notes: Notes, text: str) -> None:
    three.manifest.write_text(text)
    save(three, 40, 0.1)
    assert notes.said == [f"{three.manifest} is damaged; files that it listed stay"]
    assert three.best() == three.newest() == three.folder / "step-000000040.ckpt"


# being killed

SCENES: dict[str, tuple[list[tuple[int, float | None]], tuple[int, float | None]]] = {
    "the first": ([], (10, None)),
    "the only one anew": ([(10, None)], (10, 0.5)),
    "one that removes two": ([(10, 0.9), (20, None), (30, 0.5)], (40, 1.0)),
    "the last one anew": ([(10, 0.1), (20, None), (30, None)], (30, 0.5)),
}


def die_everywhere(before: Path, at: Path, step: int, score: float | None) -> None:
    """`at/N` is the folder as a save left it that was killed before its Nth operation on files; the last was not."""
    died, n = True, 0
    while died:
        n += 1
        folder = at / str(n)
        shutil.copytree(before, folder)
        child = os.fork()
        if child == 0:
            left = n

            def hear(event: str, _: Any) -> None:
                nonlocal left
                left -= event in ("open", "os.mkdir", "os.rename", "os.remove")
                if left == 0:
                    os._exit(9)

            store, content = Store(folder, Notes()), b"new"
            sys.addaudithook(hear)
            save(store, step, score, content)
            left = -1
            os._exit(0)
        died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("scene", SCENES)
def test_a_save_that_is_killed_anywhere_leaves_the_old_or_the_new(tmp_path: Path, scene: str) -> None:
    earlier, (step, score) = SCENES[scene]
    before = Store(tmp_path / "before", Notes())
    before.folder.mkdir()
    for old in earlier:
        save(before, *old)
    process = FORKS.Process(target=die_everywhere, args=(before.folder, tmp_path / "at", step, score))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    old_content = verified(path) if (path := before.newest()) else None
    seen = []
    for folder in sorted((tmp_path / "at").iterdir(), key=lambda path: int(path.name)):
        notes = Notes()
        store = Store(folder, notes)
        newest = store.newest()
        seen.append(verified(newest) if newest else None)
        assert all("manifest.json is missing" in said for said in notes.said), notes.said
        store.sweep()
        if newest:
            store.keep(int(newest.name[5:-5]))  # as a run that goes on does
        save(store, 50)
        save(store, 60)
        assert {50, 60} <= set(steps(store)) <= {10, 30, 40, 50, 60}
        assert not list(folder.glob(".*"))
    turn = seen.index(b"new")
    assert turn > 1
    assert seen == [old_content] * turn + [b"new"] * (len(seen) - turn)
    assert len(seen) - turn > 4

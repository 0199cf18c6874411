import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from store_fixtures import Notes, save, sealed, steps

from torchinception.errors import DataError
from torchinception.training.store import Store, verified


def test_a_step_has_its_place(store: Store) -> None:
    assert store.place(123) == store.folder / "step-000000123.ckpt"
    assert not store.folder.exists()


def test_an_empty_store_has_neither_a_newest_nor_a_best(store: Store, notes: Notes) -> None:
    assert (store.newest(), store.best(), notes.said) == (None, None, [])


def test_the_manifest_says_what_was_saved(store: Store) -> None:
    save(store, 7, content=b"a")
    save(store, 8, 0.25, content=b"b")
    a, b = (hashlib.sha256(content).hexdigest() for content in (b"a", b"b"))
    assert json.loads(store.manifest.read_bytes())["files"] == [
        dict(name="step-000000007.ckpt", step=7, sha256=a, score=None),
        dict(name="step-000000008.ckpt", step=8, sha256=b, score=0.25),
    ]


def test_the_last_two_and_the_best_are_kept(store: Store) -> None:
    kept = []
    for step, score in ((1, None), (2, 0.5), (3, None), (4, 0.4), (5, None), (6, 0.6), (7, None), (8, None)):
        save(store, step, score)
        kept.append(steps(store))
    assert kept == [[1], [1, 2], [2, 3], [2, 3, 4], [2, 4, 5], [5, 6], [6, 7], [6, 7, 8]]


def test_of_equally_good_ones_the_earlier_is_the_best(store: Store) -> None:
    for step in (1, 2, 3, 4):
        save(store, step, 0.5)
    assert (steps(store), store.best()) == ([1, 3, 4], store.folder / "step-000000001.ckpt")


def test_a_score_may_follow_and_is_not_forgotten(store: Store) -> None:
    for step in (1, 2):
        save(store, step, 0.5)
    save(store, 3)
    assert steps(store) == [1, 2, 3]
    store.keep(3, 0.75)
    store.keep(3)
    assert (steps(store), store.best()) == ([2, 3], store.place(3))


def test_a_score_is_of_the_file_and_not_of_its_successor(store: Store) -> None:
    save(store, 1, 0.5)
    save(store, 1, content=b"another")
    assert (store.newest(), store.best()) == (store.folder / "step-000000001.ckpt", None)


def test_going_back_removes_the_damaged_future(three: Store) -> None:
    three.place(30).write_bytes(b"damaged")
    assert three.newest() == three.folder / "step-000000020.ckpt"
    save(three, 25)
    assert steps(three) == [10, 20, 25]


def test_what_could_not_be_deleted_stays_listed_and_goes_the_next_time(three: Store) -> None:
    stubborn = three.folder / "step-000000020.ckpt"
    stubborn.unlink()
    stubborn.mkdir()
    save(three, 40)
    assert steps(three) == [10, 20, 30, 40]
    stubborn.rmdir()
    save(three, 50)
    assert steps(three) == [10, 40, 50]


def test_foreign_files_are_never_removed(store: Store) -> None:
    store.folder.mkdir()
    names = (
        "last.ckpt",
        "step-000000001.ckpt",
        "step-000000002.txt",
        "step-3.ckpt",
        "step-0000000099.ckpt",
        "step-x.ckpt",
        ".note.1.tmp",
        ".m.tmp",
    )
    for name in names:
        (store.folder / name).write_bytes(sealed(b"foreign"))
    for step in (4, 5, 6, 7):
        save(store, step, step / 10)
    store.sweep()
    assert store.newest() == store.folder / "step-000000007.ckpt"
    left = {path.name for path in store.folder.iterdir()}
    assert left == {*names, "step-000000006.ckpt", "step-000000007.ckpt", "manifest.json"}


def test_a_manifest_cannot_name_files_elsewhere(three: Store, notes: Notes) -> None:
    victim = three.folder.parent / "victim"
    victim.write_text("mine")
    text = three.manifest.read_text().replace("step-000000010.ckpt", "../victim")
    three.manifest.write_text(text)
    save(three, 40)
    save(three, 50)
    save(three, 60)
    assert victim.read_text() == "mine"
    assert notes.said == [f"{three.manifest} is damaged; files that it listed stay"]


def test_only_leftovers_of_our_own_writes_are_swept(three: Store) -> None:
    before = set(three.folder.iterdir())
    inside = three.folder / "folder"
    inside.mkdir()
    kept = [
        three.folder / ".last.ckpt.0a.tmp",
        three.folder / "step-000000001.ckpt.0a.tmp",
        inside / ".manifest.json.0a.tmp",
    ]
    gone = [three.folder / ".step-000000040.ckpt.0123456789ab.tmp", three.folder / ".manifest.json.0123456789ab.tmp"]
    for path in kept + gone:
        path.touch()
    three.sweep()
    assert set(three.folder.iterdir()) == {*before, inside, *kept[:2]}
    assert kept[2].exists()


def test_clearing_removes_every_checkpoint_listed_or_not_and_nothing_else(three: Store) -> None:
    three.place(40).write_bytes(sealed(b"an orphan"))
    (three.folder / "last.ckpt").write_bytes(b"foreign")
    three.clear()
    assert list(three.folder.iterdir()) == [three.folder / "last.ckpt"]
    assert (three.newest(), three.best()) == (None, None)


# what is damaged


def test_verified_gives_the_content_without_its_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(sealed(b"content"))
    assert verified(tmp_path / "a") == b"content"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (sealed(b"content")[:-1], "its SHA-256 differs"),
        (sealed(b""), "it is too short"),
        (b"", "it is too short"),
        (b"\0" * 99, "its SHA-256 differs"),
        (None, "it is missing"),
    ],
)
def test_verified_refuses_what_is_not_whole(tmp_path: Path, raw: bytes | None, reason: str) -> None:
    path = tmp_path / "a"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        verified(path)
    assert str(caught.value) == f"checkpoint {path} cannot be used ({reason}); use --overwrite to begin again"


def test_the_store_needs_neither_torch_nor_lightning() -> None:
    code = (
        "import sys; from torchinception.training import lock, store; print({'torch', 'lightning'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"

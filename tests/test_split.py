import hashlib
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchinception.data.samples import Sample, Samples
from torchinception.data.split import hash_name, hold_out
from torchinception.errors import DataError

CLASSES = ("roses", "tulips", "猫")
LOW = 2**64 // 10
Files = dict[str, int]  # name in a class folder -> number of its content
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=8)
NAMES = NAMES.filter(lambda name: name not in (".", ".."))
FOLDERS = st.lists(
    st.dictionaries(NAMES, st.integers(0, 40), min_size=2, max_size=30).filter(lambda f: len({*f.values()}) > 1),
    min_size=1,
    max_size=3,
)


def gather(*classes: Files) -> Samples:
    return Samples.gather(
        Path("data"),
        (
            Sample(Path(f"data/{CLASSES[label]}/{name}"), label, hashlib.sha256(f"{number}".encode()).hexdigest())
            for label, files in enumerate(classes)
            for name, number in files.items()
        ),
    )


def held(*classes: Files) -> list[set[str]]:
    """The names in each class folder that are held out; every picture is on one side, in order."""
    samples = gather(*classes)
    train, val = hold_out(samples, CLASSES[: len(classes)])
    kept, out = ({s.path for s in part} for part in (train, val))
    assert not kept & out
    assert [*train, *val] == [s for part in (kept, out) for s in samples if s.path in part]
    assert len(kept | out) == len(samples)
    return [{s.path.name for s in val if s.label == label} for label in range(len(classes))]


def numbered(count: int, start: int = 0) -> Files:
    return {f"{number:04}.jpg": number for number in range(start, start + count)}


def is_low(name: str, label: int = 0) -> bool:
    return hash_name(f"{CLASSES[label]}/{name}") < LOW


@pytest.fixture(scope="session")
def examples(full: bool) -> Callable[[Any], Any]:
    """1,000 examples with --full, the same hundred otherwise."""
    return settings(max_examples=1000 if full else 100, derandomize=not full, deadline=None)


def test_a_split_is_a_partition_with_both_sides_of_every_class(examples: Callable[[Any], Any]) -> None:
    @examples
    @given(FOLDERS)
    def check(folders: list[Files]) -> None:
        for files, names in zip(folders, held(*folders), strict=True):
            contents = {files[name] for name in names}
            assert names == {name for name, content in files.items() if content in contents}  # copies stay together
            assert 0 < len(contents) < len({*files.values()})

    check()


def test_neither_order_nor_contents_nor_other_classes_matter(examples: Callable[[Any], Any]) -> None:
    @examples
    @given(FOLDERS, st.randoms(use_true_random=False), st.integers(1, 10**6))
    def check(folders: list[Files], random: Any, shift: int) -> None:
        before = held(*folders)
        shuffled = [dict(random.sample([*files.items()], len(files))) for files in folders]
        changed = [{name: content + shift for name, content in files.items()} for files in shuffled]
        assert held(*changed) == before
        assert held(folders[0]) == before[:1]

    check()


def test_added_pictures_move_none_but_one_that_was_lent(examples: Callable[[Any], Any]) -> None:
    @examples
    @given(st.sets(NAMES, min_size=2, max_size=12), st.sets(NAMES, max_size=12))
    def check(first: set[str], more: set[str]) -> None:
        old = {name: number for number, name in enumerate(sorted(first))}
        new = old | {name: 100 + number for number, name in enumerate(sorted(more - first))}
        (before,), (after,) = held(old), held(new)
        lent = {name for name in old if (name in before) != is_low(name)}
        moved = {name for name in old if (name in before) != (name in after)}
        assert moved <= lent
        assert len(lent) <= 1
        if moved - before:  # from training to validation
            assert all(map(is_low, old))

    check()


def test_all_forms_of_unicode_are_one_name() -> None:
    names = [f"n\N{LATIN SMALL LETTER A WITH DIAERESIS}he {number} é.jpg" for number in range(200)]
    composed, decomposed = (
        held({unicodedata.normalize(form, name): number for number, name in enumerate(names)})[0]
        for form in ("NFC", "NFD")
    )
    assert composed == {unicodedata.normalize("NFC", name) for name in decomposed}
    assert not composed & decomposed


def test_what_is_held_out_stays_the_same_from_release_to_release() -> None:
    assert held(numbered(40)) == [{f"{number:04}.jpg" for number in (1, 9, 24, 25, 26, 27, 30)}]
    no_text = {os.fsdecode(b"caf\xe9 %d.jpg" % number): number for number in range(20)}
    assert {no_text[name] for name in held(no_text)[0]} == {0, 3, 7, 16}


SCRIPT = """
import locale, sys
from torchinception.data.split import hash_name
locale.setlocale(locale.LC_ALL, "")
print([n for n in range(300) if hash_name(f"r\\u00f6sen/{n} \\u732b.jpg") < 2**64 // 10])
"""


def test_neither_locale_nor_hash_seed_nor_encoding_matter() -> None:
    found = {
        subprocess.run([sys.executable, "-c", SCRIPT], env=os.environ | env, check=True, capture_output=True).stdout
        for env in (dict(LC_ALL="C", PYTHONHASHSEED="1", PYTHONUTF8="0"), dict(LC_ALL="C.UTF-8", PYTHONHASHSEED="2"))
    }
    assert len(found) == 1
    assert len(next(iter(found)).split()) > 10


def test_about_a_tenth_is_held_out() -> None:
    assert 900 <= len(held(numbered(10_000))[0]) <= 1100  # 100 is 3.3 standard deviations


def lent_to(low: bool) -> Files:
    """Three pictures whose hashes all lie on one side."""
    names = (f"{number}.jpg" for number in range(10**6))
    chosen = (name for name in names if is_low(name) == low)
    return {next(chosen): number for number in range(3)}


@pytest.mark.parametrize("low", [False, True], ids=["to validation", "to training"])
def test_a_class_on_one_side_lends_the_lowest_or_keeps_the_highest(low: bool) -> None:
    ranked = sorted(files := lent_to(low), key=lambda name: hash_name(f"roses/{name}"))
    assert held(files) == [set(ranked[:2]) if low else {ranked[0]}]


def test_what_was_lent_to_validation_returns_and_nothing_else_moves() -> None:
    files = lent_to(False)
    low = next(name for name in (f"{number}.png" for number in range(10**6)) if is_low(name))
    assert held(files | {low: 9}) == [{low}]


def test_a_copy_of_a_held_out_picture_is_held_out() -> None:
    names = [name for name in numbered(100) if not is_low(name)]
    low = next(name for name in numbered(100) if is_low(name))
    files = {name: number for number, name in enumerate(names)} | {low: 0}
    assert held(files) == held(dict(reversed(files.items()))) == [{low, names[0]}]


@pytest.mark.parametrize("files", [{"a.jpg": 1}, {"a.jpg": 1, "b.jpg": 1}])
def test_a_class_of_one_distinct_picture_is_refused_by_name(files: Files) -> None:
    with pytest.raises(DataError, match="class tulips has one distinct picture"):
        held(numbered(5), files)

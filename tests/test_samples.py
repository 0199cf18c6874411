import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchinception.data.samples import Sample, Samples, Texts
from torchinception.data.shards import Member, Row, TarMember

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "samples.py"
ROOT = Path("some/root")
TEXTS = st.lists(st.text(st.characters(exclude_categories=())))
NAMES = ("a.png", "b/ü 猫\n.png", os.fsdecode(b"caf\xe9.jpg"), "c" * 255, " -x ")


def digest(number: int) -> str:
    return f"{number:064x}"


def files() -> list[Sample]:
    return [Sample(ROOT / name, number % 3, digest(number)) for number, name in enumerate(NAMES)]


def members() -> list[Sample]:
    kinds: list[Member] = [TarMember("a/ü\udce9.png", 512, 99), TarMember("b/0.png", 2048, 1 << 40), Row(0, 0, 0)]
    kinds.append(Row(10**10, 7, 3))
    return [Sample(ROOT / f"{number // 2}", number, digest(number), member) for number, member in enumerate(kinds)]


@settings(deadline=None)
@given(TEXTS)
def test_any_text_comes_back(texts: list[str]) -> None:
    kept = Texts()
    for text in texts:
        kept.append(text)
    assert [kept[index] for index in range(len(kept))] == texts


@pytest.mark.parametrize("expected", [files(), members()], ids=["files", "members"])
def test_samples_come_back_in_any_selection_and_from_another_process(expected: list[Sample]) -> None:
    samples = Samples.gather(ROOT, expected)
    assert list(samples) == expected
    assert [samples[index] for index in (-1, 0)] == [expected[-1], expected[0]]
    assert list(samples[::-2]) == expected[::-2]
    assert list(samples[1:3][1:]) == expected[2:3]
    assert list(samples.select(np.array([2, 0, 2]))) == [expected[2], expected[0], expected[2]]
    assert list(samples.select(np.array([], int))) == []
    assert list(pickle.loads(pickle.dumps(samples[1:]))) == expected[1:]
    assert samples.labels.tolist() == [sample.label for sample in expected]
    assert [samples.digest(index).hex() for index in range(len(samples))] == [sample.digest for sample in expected]


@pytest.mark.parametrize("index", [5, -6])
def test_an_index_beyond_the_end_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        Samples.gather(ROOT, files())[index]


def test_equal_samples_are_equal_and_others_are_not() -> None:
    samples = Samples.gather(ROOT, files())
    assert samples == Samples.gather(ROOT, files())
    assert samples[:2] != samples[1:3]
    assert samples[:2] != samples[:3]
    assert samples != files()


def test_new_labels_leave_the_old_samples_as_they_were() -> None:
    samples = Samples.gather(ROOT, files())
    assert list(samples) == files()


def test_a_file_outside_the_root_keeps_its_path() -> None:
    outside = Sample(Path("/elsewhere/a.png"), 0, digest(0))
    samples = Samples.gather(Path("/root"), [outside])
    assert list(samples) == [outside]
    assert samples.name(0) == "/elsewhere/a.png"


def test_names_begin_at_the_root_in_a_tar_at_its_own_and_tell_the_row_of_a_table() -> None:
    found = [Samples.gather(ROOT, files()), Samples.gather(ROOT, members()), Samples.gather(ROOT / "0", members()[:1])]
    assert [[s.name(index) for index in range(len(s))] for s in found] == [
        list(NAMES),
        ["a/ü\udce9.png", "b/0.png", "1/row 0", f"1/row {10**10}"],
        ["a/ü\udce9.png"],
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what a process shares")
def test_a_million_samples_cost_less_than_300_mb_in_every_worker() -> None:
    command = [sys.executable, str(BENCHMARK), "memory", "arrays", "100000"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found.keys() == {"made", "forked", "sent"}
    assert 10 * max(found.values()) < 300_000_000

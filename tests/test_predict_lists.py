"""Lists that come in through a pipe: short ones are counted, and a slow one holds nothing up."""

import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from data_fixtures import tiny_classifier, write_classes

from torchinception.classifier import Classifier
from torchinception.errors import UsageError
from torchinception.prediction import Inputs, Output, Plan, Run, find_inputs
from torchinception.prediction.inputs import Picture

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say whether a pipe is empty")

Write = Callable[..., None]
PATIENCE_SECONDS = 20  # after which a pipe is closed, so that a test fails instead of waiting for ever


@pytest.fixture(scope="module")
def model() -> Classifier:
    return tiny_classifier("a", "b", "c")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return sorted((write_classes(tmp_path, photos=7) / "photos").iterdir())


@contextmanager
def many_open() -> Iterator[None]:
    """So many descriptors are taken that a pipe gets one of more than 1,024."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    assert taken[-1] > 1024
    try:
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextmanager
def coming(*first: Path) -> Iterator[tuple[Inputs, Write, Callable[[], None]]]:
    """A list through a pipe in which some paths are already, what writes more, and what ends it."""
    reading, writing = os.pipe()
    end = os.fdopen(writing, "wb", buffering=0)

    def write(*paths: Path) -> None:
        end.write(b"".join(os.fsencode(path) + b"\n" for path in paths))

    guard = threading.Timer(PATIENCE_SECONDS, end.close)
    guard.start()
    write(*first)
    with os.fdopen(reading, "rb") as stream:
        yield find_inputs(["-"], stream), write, end.close
    guard.cancel()
    end.close()


def test_a_list_may_come_through_any_descriptor(model: Classifier, photos: list[Path]) -> None:
    with many_open(), coming(*photos) as (inputs, _, end):
        end()
        assert [row.path for rows in Run(model, inputs, Plan(batch=4)) for row in rows] == photos


def test_rows_that_are_printed_appear_while_the_list_still_comes(model: Classifier, photos: list[Path]) -> None:
    with coming(*photos[:2]) as (inputs, write, end):
        run = iter(Run(model, inputs, Plan(batch=4)))
        assert [row.path for row in next(run)] == photos[:2]
        write(photos[2])
        assert [row.path for row in next(run)] == [photos[2]]
        write(*photos[3:])
        end()
        assert [row.path for rows in run for row in rows] == photos[3:]


def test_a_full_batch_of_a_file_does_not_wait_for_the_next(
    model: Classifier, photos: list[Path], tmp_path: Path
) -> None:
    with coming(*photos[:5]) as (inputs, write, end):
        run = iter(Run(model, inputs, Plan(batch=4, output=Output(tmp_path / "named.csv", "csv"))))
        assert [row.path for row in next(run)] == photos[:4]
        write(*photos[5:])
        end()
        assert [row.path for rows in run for row in rows] == photos[4:]


def test_a_file_is_the_same_however_slowly_its_list_comes(
    model: Classifier, photos: list[Path], tmp_path: Path
) -> None:
    plans = [Plan(batch=4, output=Output(tmp_path / name, "csv")) for name in ("quick.csv", "slow.csv")]
    with coming(*photos) as (inputs, _, end):
        end()
        list(Run(model, inputs, plans[0]))
    with coming() as (inputs, write, end):

        def dribble() -> None:
            for path in photos:
                threading.Event().wait(0.02)
                write(path)
            end()

        writer = threading.Thread(target=dribble)
        writer.start()
        assert [len(rows) for rows in Run(model, inputs, plans[1])] == [4, 3]
        writer.join()
    assert (tmp_path / "slow.csv").read_bytes() == (tmp_path / "quick.csv").read_bytes()


def test_a_short_list_is_counted_and_nothing_of_it_is_lost(photos: list[Path]) -> None:
    with coming(*photos) as (inputs, _, end):
        end()
        assert inputs.reckon(64) == 7
        assert list(filter(None, inputs)) == [Picture(path) for path in photos]
    with coming(*photos) as (inputs, _, end):
        end()
        assert inputs.reckon(7) is None, "there may be more"
        assert list(filter(None, inputs)) == [Picture(path) for path in photos]


def test_a_slow_list_is_not_waited_for_and_counts_as_short(model: Classifier, photos: list[Path]) -> None:
    with coming(*photos[:2]) as (inputs, write, end):
        assert inputs.reckon(64) == 63
        run = iter(Run(model, inputs, Plan(batch=4)))
        assert [row.path for row in next(run)] == photos[:2]
        write(*photos[2:])
        end()
        assert [row.path for rows in run for row in rows] == photos[2:]


def test_going_on_with_a_finished_file_takes_the_same_list_and_no_other(
    model: Classifier, photos: list[Path], tmp_path: Path
) -> None:
    plan = Plan(batch=4, output=Output(tmp_path / "named.csv", "csv"), resume=True)
    for expected in (7, 0):
        with coming(*photos) as (inputs, _, end):
            end()
            assert sum(map(len, Run(model, inputs, plan))) == expected
    with coming(*photos[1:]) as (inputs, _, end):
        end()
        with pytest.raises(UsageError, match="of other pictures than come in"):
            Run(model, inputs, plan)


def test_pictures_by_name_are_counted(photos: list[Path]) -> None:
    inputs = find_inputs([str(photos[0].parent)], None)
    assert inputs.reckon(3) == 7
    assert list(inputs) == [Picture(path) for path in photos]

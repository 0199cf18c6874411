"""What may be named for `inception predict`: shards, globs and ranges of them, and lists that come in."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from data_fixtures import tiny_classifier, write_classes
from shard_fixtures import files_of, write_parquet, write_tar
from store_fixtures import Notes

from torchinception.classifier import Classifier
from torchinception.data.remote import RemotePath
from torchinception.errors import MissingInputError, UsageError
from torchinception.prediction import Output, Plan, Run, find_inputs, find_pictures, predict_files
from torchinception.prediction.inputs import Picture, expand, read_paths


@pytest.fixture(scope="module")
def model() -> Classifier:
    return tiny_classifier("a", "b", "c")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """bag/000.png to 002.png, sneaker/000.png and 001.png."""
    return write_classes(tmp_path / "photos", bag=3, sneaker=2)


def paths_in(content: bytes, chunk: int = 1 << 16) -> list[str]:
    """`read_paths` of a pipe into which so many bytes are written at a time."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as end:
            for start in range(0, len(content), chunk):
                end.write(content[start : start + chunk])

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb") as end:
        found = [path for path in read_paths(end) if path is not None]
    thread.join()
    return found


@pytest.mark.parametrize("chunk", [1, 3, 1 << 16])
def test_a_list_has_a_path_a_line_or_a_zero_behind_each(chunk: int) -> None:
    assert paths_in(b"a b.png\r\n\n/c/\xc3\xa9.png\nlast", chunk) == ["a b.png", "/c/é.png", "last"]
    assert paths_in(b"a\nb.png\0c.png\0") == ["a\nb.png", "c.png"]
    assert paths_in(b"one.png", chunk) == ["one.png"]
    assert paths_in(b"") == []


def test_a_list_is_read_as_it_comes() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as end:
        found = read_paths(end)
        os.write(writing, b"a.png\nb.p")
        assert next(found) == "a.png"  # the pipe is still open
        if sys.platform != "win32":  # which does not say that nothing more has come
            assert next(found) is None
        os.write(writing, b"ng\n")
        assert next(found) == "b.png"
        os.close(writing)
        assert list(found) == []


def test_a_list_stands_alone_and_needs_an_open_stdin() -> None:
    with pytest.raises(UsageError, match="name nothing beside it"):
        find_inputs(["-", "a.png"], io.BytesIO())
    with pytest.raises(UsageError, match="closed"):
        find_inputs(["-"], None)


@pytest.mark.parametrize("name", ["named.csv", ""], ids=["csv", "printed"])
def test_an_empty_list_is_a_missing_input_and_replaces_nothing(model: Classifier, tmp_path: Path, name: str) -> None:
    path = tmp_path / "named.csv"
    path.write_text("an earlier run's")
    with Path(os.devnull).open("rb") as empty, pytest.raises(MissingInputError, match="no paths came in through -"):
        list(Run(model, find_inputs(["-"], empty), Plan(8, output=Output(path, "csv") if name else None)))
    assert [found.read_text() for found in tmp_path.iterdir()] == ["an earlier run's"]


def test_a_list_from_stdin_is_predicted_in_its_order(finished: Path, photos: Path, tmp_path: Path) -> None:
    names = ["sneaker/000.png", "none.png", "bag/001.png"]
    command = (
        sys.executable,
        "-m",
        "torchinception",
        "predict",
        str(finished),
        "-",
        "--csv",
        "named.csv",
        "--top",
        "1",
    )
    environment = os.environ | dict(TORCHINCEPTION_CACHE=str(tmp_path / "cache"))
    done = subprocess.run(command, input="\0".join(names), cwd=photos, env=environment, capture_output=True, text=True)
    assert (done.returncode, "1 of 3 pictures could not be read" in done.stderr) == (65, True), done.stderr
    assert "Fastest with" not in done.stderr, "so few are not measured for"
    assert [line.split(",")[0] for line in (photos / "named.csv").read_text().splitlines()] == ["path", *names]


def test_the_pictures_of_shards_are_those_of_the_folder(model: Classifier, photos: Path, tmp_path: Path) -> None:
    files = files_of(photos)
    shards = [write_tar(tmp_path / "a.tar", files), write_parquet(tmp_path / "b.parquet", files, rows=2)]
    right = list(predict_files(model, [photos / name for name, _ in files], batch=2))
    for shard in shards:
        rows = list(predict_files(model, [shard], batch=2))
        assert [row.prediction for row in rows] == [row.prediction for row in right]
        assert {row.path for row in rows} == {shard}
    assert [row.place for row in predict_files(model, shards[:1])] == [f"{shards[0]}: {name}" for name, _ in files]
    assert [row.show() for row in predict_files(model, shards[1:])][:2] == [f"{shards[1]}: row {i}" for i in (0, 1)]


def test_pictures_in_shards_need_no_labels(model: Classifier, photos: Path, tmp_path: Path) -> None:
    arrow, parquet = (pytest.importorskip(name, reason="needs [shards]") for name in ("pyarrow", "pyarrow.parquet"))
    files = [(name.replace("/", "-"), content) for name, content in files_of(photos)]
    shards = [write_tar(tmp_path / "a.tar", [*files, ("notes.txt", b"no picture")]), tmp_path / "b.parquet"]
    table = arrow.table(dict(image=[content for _, content in files]))
    parquet.write_table(table, shards[1], row_group_size=2)
    rows = [list(predict_files(model, [shard], batch=2)) for shard in shards]
    assert [row.error for row in rows[0] + rows[1]] == [""] * 10
    assert [row.prediction for row in rows[0]] == [row.prediction for row in rows[1]]


def test_a_bad_picture_in_a_shard_has_its_row_in_its_place(model: Classifier, photos: Path, tmp_path: Path) -> None:
    files = files_of(photos)
    files[1] = (files[1][0], b"broken")
    rows = list(predict_files(model, [write_tar(tmp_path / "a.tar", files)], batch=2))
    assert [row.error.split(";")[0] for row in rows] == ["", "not a picture", "", "", ""]


def test_a_shard_that_cannot_be_read_is_one_row_and_the_rest_goes_on(
    model: Classifier, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar at all" * 100)
    paths = [tmp_path / "a.tar", photos / "bag/000.png", tmp_path / "none.tar"]
    rows = list(predict_files(model, paths))
    assert [row.path for row in rows] == paths
    assert rows[0].error.startswith("not a plain tar")
    assert [bool(row.prediction) for row in rows] == [False, True, False]
    assert rows[2].error.startswith("missing")


def test_shards_are_found_in_folders_by_globs_and_by_ranges(photos: Path, tmp_path: Path) -> None:
    for number in (0, 1, 2):
        write_tar(tmp_path / "shards" / f"{number}.tar", files_of(photos))
    (tmp_path / "shards" / "a.png").touch()
    found = {
        pattern: [path.name for path in find_pictures([str(tmp_path / pattern)])]
        for pattern in ("shards", "shards/*.tar", "**/1.t*", "shards/{0..1}.tar")
    }
    tars = ["0.tar", "1.tar", "2.tar"]
    assert list(found.values()) == [[*tars, "a.png"], tars, ["1.tar"], tars[:2]]


def test_shards_behind_a_url_are_read_and_a_picture_there_is_refused(
    model: Classifier, photos: Path, tmp_path: Path
) -> None:
    fsspec = pytest.importorskip("fsspec", reason="URLs need the extra [shards]")
    content = write_tar(tmp_path / "a.tar", files_of(photos)).read_bytes()
    for name in ("0.tar", "1.tar", "a.png"):
        fsspec.filesystem("memory").pipe(f"/predicted/{name}", content)
    found = find_pictures(["memory://predicted/{0..1}.tar"])
    assert found == [RemotePath(f"memory://predicted/{number}.tar") for number in (0, 1)]
    assert [row.error for row in predict_files(model, found)] == [""] * 10
    with pytest.raises(MissingInputError, match=r"a\.png"):
        find_pictures(["memory://predicted/a.png"])


def test_the_number_of_pictures_counts_those_in_shards(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(b"no tar at all")
    write_tar(tmp_path / "a.tar", files_of(photos))
    inputs = find_inputs([str(tmp_path)], None)
    assert inputs.count == len(list(inputs)) == 1 + 5 + 5


def test_the_table_of_an_earlier_run_is_no_input(photos: Path, notes: Notes) -> None:
    write_parquet(photos / "named.parquet", files_of(photos))
    names = [picture.path.name for picture in find_inputs([str(photos)], None, notes, photos / "named.parquet")]
    assert len(names) == 5
    assert "named.parquet" not in names


def test_a_list_is_expanded_no_further_than_it_is_asked_for(photos: Path, tmp_path: Path) -> None:
    asked: list[int] = []
    endless = (asked.append(i) or photos / f"{i}.png" for i in range(10**9))
    assert next(expand(endless)) == Picture(photos / "0.png")
    assert asked == [0]

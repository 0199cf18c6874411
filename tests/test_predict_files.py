"""What is in the files that `inception predict` writes."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data_fixtures import tiny_classifier, write_classes
from predict_fixtures import KINDS, contents, finish, output, start

from torchinception.classifier import Classifier
from torchinception.errors import SaveError, UsageError
from torchinception.prediction import Output, features_file, find_inputs, predict_files

WIDTH = 84  # channels of the last stage


@pytest.fixture(scope="module")
def model() -> Classifier:
    return tiny_classifier("a", "b", "c")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """000.png to 010.png, of which 004.png is broken."""
    root = write_classes(tmp_path, photos=11) / "photos"
    (root / "004.png").write_bytes(b"broken")
    return root


def test_parquet_holds_what_the_csv_holds(model: Classifier, photos: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="parquet files need the extra [shards]")
    for name in KINDS[:2]:
        assert finish(model, photos, tmp_path / name, top=2).bad == 1
    with (tmp_path / "named.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "named.parquet").to_pylist()
    assert len(table) == 10 * 2 + 1
    assert [{key: "" if v is None else str(v) for key, v in row.items()} for row in table] == lines
    assert table[8] == dict(
        path=str(photos / "004.png"), rank=None, name=None, probability=None, error=lines[8]["error"]
    ) | {"class": None}


def test_features_are_the_average_of_a_stage_and_no_numbers_for_a_bad_picture(
    model: Classifier, photos: Path, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="parquet files need the extra [shards]")
    for name in KINDS[2:]:
        assert finish(model, photos, tmp_path / name, stage="inception_3a").bad == 1
    found = np.load(tmp_path / "features.npy")
    net = model.network
    right = []
    for picture in find_inputs([str(photos)], None):
        if picture.path.name != "004.png":
            x = model.preprocess.normalize(model.preprocess.cut(picture.open(None))[None])
            right.append(net.endpoints(x, ["inception_3a"])["inception_3a"].mean((2, 3))[0].detach().numpy())
    good = np.arange(11) != 4
    assert found.dtype == np.float32
    # folded batch norm, and sums in another order: seen at 2e-7 of values below 2
    np.testing.assert_allclose(found[good], np.stack(right), atol=2e-6)
    assert np.isnan(found[4]).all()
    with (tmp_path / "features.npy.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    assert [row["path"] for row in index] == [str(photos / f"{number:03}.png") for number in range(11)]
    assert [bool(row["error"]) for row in index] == list(~good)
    rows = parquet.read_table(tmp_path / "features.parquet").to_pylist()
    assert [row["path"] for row in rows] == [row["path"] for row in index]
    assert [row["error"] or "" for row in rows] == [row["error"] for row in index]
    assert rows[4]["features"] is None
    assert np.array_equal(np.array([row["features"] for row in rows if row["features"]], np.float32), found[good])


def test_without_a_stage_features_are_what_the_classifier_takes(
    model: Classifier, photos: Path, tmp_path: Path
) -> None:
    finish(model, photos, tmp_path / "features.npy", batch=11)
    found = torch.from_numpy(np.load(tmp_path / "features.npy"))
    assert found.shape == (11, WIDTH)
    probabilities = model.network.classifier(found).softmax(1)
    for row, values in zip(predict_files(model, sorted(photos.iterdir()), top=3), probabilities, strict=True):
        best = dict(zip(model.classes, values.tolist(), strict=True))
        named = row.prediction
        assert named is None or [best[name] for name in named.classes] == pytest.approx(named.probabilities, abs=1e-6)


def test_features_of_bad_pictures_alone_have_their_width_too(model: Classifier, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    finish(model, tmp_path / "a.png", tmp_path / "features.npy")
    assert np.load(tmp_path / "features.npy").shape == (1, WIDTH)


def test_an_unknown_stage_is_told_with_the_known_ones(model: Classifier, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no stage named mixed_9z in tiny_inception; stages: conv_1, .*inception_3a"):
        start(model, photos, tmp_path / "features.npy", stage="mixed_9z")


def test_rows_are_there_for_others_to_read_as_they_are_found(model: Classifier, photos: Path, tmp_path: Path) -> None:
    run = iter(start(model, photos, tmp_path / "named.csv"))
    for count in (2, 4):
        next(run)
        text = (tmp_path / "named.csv.part/0-of-1/rows").read_text()
        assert text.count(",1,") == count


@pytest.mark.parametrize("there", [False, True])
def test_a_table_ends_as_its_kind_does_whether_it_is_there_or_not(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "named.txt"
    if there:
        path.touch()
    with pytest.raises(UsageError, match=r"named\.txt does not end in \.csv; choose such a name for the table"):
        Output(path, "csv")
    with pytest.raises(UsageError, match=r"\.npy or \.parquet"):
        features_file(path)


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "named.csv").mkdir()
    with pytest.raises(UsageError, match=r"named\.csv is a folder; choose another name"):
        output(tmp_path / "named.csv")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows says it in other words")
def test_a_name_that_is_too_long_is_told_with_what_helps(model: Classifier, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=r"cannot write .*: File name too long; choose a shorter name"):
        start(model, photos, tmp_path / f"{'x' * 300}.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no text")
@pytest.mark.parametrize("name", KINDS)
def test_a_name_that_is_no_text_is_kept_where_the_format_can(
    model: Classifier, photos: Path, tmp_path: Path, name: str
) -> None:
    for path in photos.iterdir():
        path.unlink() if path.stem != "000" else path.rename(photos / os.fsdecode(b"caf\xe9.png"))
    finish(model, photos, tmp_path / name)
    text = b"".join(contents(tmp_path / name).values())
    assert (b"caf\\udce9.png" if name.endswith(".parquet") else b"caf\xe9.png") in text

import gzip
import importlib.util
from importlib import resources
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from torchinception.data.folder import Folder, scan
from torchinception.data.images import Picture, load_image
from torchinception.data.sample import CLASSES, write_sample
from torchinception.errors import SaveError

HOME = Path(str(resources.files("torchinception.data.sample")))
TOOL = Path(__file__).parents[1] / "tools" / "make_sample.py"
SOURCE = Path("/usr/share/datasets/fashion-mnist")
PREFIX = {"train": "train", "test": "t10k"}
PUBLISHED = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle-boot"  # labels 0 to 9, its README
with_source = pytest.mark.skipif(not SOURCE.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")


@pytest.fixture(scope="module")
def folder(sample: Path) -> Folder:
    return scan(sample)


def originals(split: str) -> tuple[Picture, Picture]:
    """Pictures (N, 28, 28) and labels (N,) as published."""
    pictures = gzip.decompress((SOURCE / f"{PREFIX[split]}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((SOURCE / f"{PREFIX[split]}-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", TOOL)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_a_folder_like_a_users_with_ten_classes_of_250_and_100_pictures(folder: Folder) -> None:
    counts = {split: np.bincount([s.label for s in samples]).tolist() for split, samples in folder.splits.items()}
    assert (folder.classes, folder.side_px) == (tuple(sorted(CLASSES)), 28)
    assert counts == {"train": [250] * 10, "test": [100] * 10}


def test_no_test_picture_is_trained_on(folder: Folder) -> None:
    train, test = ({s.digest for s in folder.splits[split]} for split in ("train", "test"))
    assert not train & test


def test_writing_it_twice_gives_the_same_pictures(folder: Folder, tmp_path: Path) -> None:
    assert scan(write_sample(tmp_path)).fingerprint == folder.fingerprint


def test_a_place_that_cannot_be_written_is_a_save_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="file"):
        write_sample(tmp_path / "file")


def test_it_takes_two_megabytes_at_most() -> None:
    assert sum(path.stat().st_size for path in HOME.iterdir() if path.is_file()) <= 2_000_000


def test_its_licence_and_its_provenance_are_beside_it() -> None:
    licence, provenance = (HOME / "LICENSE").read_text("utf-8"), (HOME / "README.md").read_text("utf-8")
    assert "MIT License" in licence
    assert "Zalando" in licence
    for fact in ("dataset-fashion-mnist", "tools/make_sample.py", "arXiv:1708.07747", "zalandoresearch/fashion-mnist"):
        assert fact in provenance


def test_the_names_are_the_published_ones_in_order() -> None:
    assert [name.lower().removesuffix("/top") for name in PUBLISHED.split()] == list(CLASSES)


@with_source
def test_the_tool_makes_both_sheets_byte_for_byte(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["make_sample.py", str(SOURCE), "--target", str(tmp_path)])
    tool.main()
    for sheet in ("train.png", "test.png"):
        assert (tmp_path / sheet).read_bytes() == (HOME / sheet).read_bytes()


@with_source
@pytest.mark.parametrize(("split", "count"), [("train", 250), ("test", 100)])
def test_every_picture_and_label_is_the_published_one(sample: Path, split: str, count: int) -> None:
    pictures, labels = originals(split)
    for label, name in enumerate(CLASSES):
        written = np.stack([load_image(p)[:, :, 0] for p in sorted((sample / split / name).iterdir())])
        assert np.array_equal(written, pictures[labels == label][:count]), name

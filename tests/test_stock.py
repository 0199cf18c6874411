"""torchvision's datasets by name, from files written here in the format that they are published in."""

import socket
import struct
from pathlib import Path

import numpy as np
import pytest
from data_fixtures import noise, tiny_classifier
from store_fixtures import Notes

from torchinception.data import stock
from torchinception.data.folder import scan
from torchinception.errors import MissingInputError, UsageError
from torchinception.evaluation import evaluate
from torchinception.files import cache_folder
from torchinception.progress import Listener

COUNTS = dict(train=30, t10k=20)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Fashion-MNIST as torchvision leaves it, with few pictures; labels go round."""
    raw = tmp_path / "files" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in COUNTS.items():
        pictures = np.stack([noise(count + n, 28, 28)[:, :, 0] for n in range(count)])
        labels = np.arange(count, dtype=np.uint8) % 10
        for kind, values in (("images-idx3", pictures), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            (raw / f"{part}-{kind}-ubyte").write_bytes(head + values.tobytes())
    return tmp_path / "files"


def test_it_has_torchvisions_pictures_and_classes(root: Path) -> None:
    from torchvision.datasets import FashionMNIST

    found = scan(f"torchvision:FashionMNIST@{root}")
    assert {split: len(samples) for split, samples in found.splits.items()} == {"train": 30, "test": 20}
    for split, samples in found.splits.items():
        for (picture, label), sample in zip(FashionMNIST(root, train=split == "train"), samples, strict=True):
            assert np.array_equal(np.asarray(picture.convert("RGB")), sample.picture())
            assert FashionMNIST.classes[label] == found.classes[sample.label]


def test_it_is_packed_once_into_equal_bytes(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = f"torchvision:FashionMNIST@{root}"
    first = {p.name: p.read_bytes() for p in stock.fetch(data, Listener()).iterdir()}
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(cache.with_name("other")))
    assert {p.name: p.read_bytes() for p in stock.fetch(data, Listener()).iterdir()} == first
    (root / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").unlink()
    assert len(scan(data).splits["train"]) == 30
    assert set(first) == {"train.tar", "test.tar"}


def test_a_missing_shard_alone_is_packed_anew(root: Path) -> None:
    folder = stock.fetch(data := f"torchvision:FashionMNIST@{root}", Listener())
    kept, before = (folder / "train.tar").stat(), (folder / "test.tar").read_bytes()
    (folder / "test.tar").unlink()
    stock.fetch(data, Listener())
    assert (folder / "test.tar").read_bytes() == before
    assert (folder / "train.tar").stat() == kept


def test_it_can_be_evaluated_on(root: Path) -> None:
    classes = scan(data := f"torchvision:FashionMNIST@{root}").classes
    found = evaluate(tiny_classifier(*classes), data)
    assert (found.split, found.pictures, found.mistakes[0].sample.picture().shape) == ("test", 20, (28, 28, 3))


def test_what_torchvision_downloaded_before_is_not_downloaded_again(root: Path, cache: Path) -> None:
    (cache / "torchvision").parent.mkdir()
    root.rename(cache / "torchvision")
    assert len(scan("torchvision:FashionMNIST").splits["test"]) == 20


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"no dataset 'FashionMnist'.*CIFAR10, CIFAR100, .*FashionMNIST"):
        scan("torchvision:FashionMnist")


def test_a_root_without_the_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=rf"not in {tmp_path} \(.*not found.*torchvision:CIFAR10@FOLDER"):
        scan(f"torchvision:CIFAR10@{tmp_path}")


def test_without_a_network_the_place_for_the_files_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    notes = Notes()
    with pytest.raises(MissingInputError, match=rf"MNIST are not in {cache}/torchvision"):
        scan("torchvision:MNIST", notes)
    assert "Fetching MNIST" in notes.said[0]
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.parametrize("name", stock.STOCK)
def test_every_known_name_is_torchvisions_and_takes_these_arguments(name: str, tmp_path: Path) -> None:
    for options in stock.STOCK[name].values():
        with pytest.raises(MissingInputError, match=f"files of {name} are not in"):
            stock._open(name, tmp_path, options, Listener(), download=False)


def test_the_cache_is_the_systems_unless_the_environment_names_another(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("TORCHINCEPTION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder().name == "torchinception"

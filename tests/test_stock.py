"""torchvision's datasets by name, from files written here in the format that they are published in."""

import socket
from pathlib import Path

import numpy as np
import pytest
from data_fixtures import encode, listing, noise, tiny_classifier
from stock_fixtures import WRITERS, write_idx, write_imagenette
from store_fixtures import Notes

from torchinception.data import stock
from torchinception.data.folder import scan
from torchinception.data.labels import match_classes
from torchinception.errors import MissingInputError, UsageError
from torchinception.evaluation import evaluate
from torchinception.files import cache_folder
from torchinception.progress import Listener
from torchinception.weights import imagenet


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Fashion-MNIST as torchvision leaves it, with few pictures; labels go round."""
    write_idx(tmp_path / "files", "FashionMNIST")
    return tmp_path / "files"


@pytest.mark.parametrize("name", WRITERS)
def test_each_has_torchvisions_pictures_and_classes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    for module in (datasets.cifar, datasets.flowers102):  # digests of the published files
        monkeypatch.setattr(module, "check_integrity", lambda path, md5: Path(path).is_file())
    WRITERS[name](tmp_path, name)
    found = scan(f"torchvision:{name}:{tmp_path}")
    assert set(found.splits) == set(stock.STOCK[name])
    for split, options in stock.STOCK[name].items():
        dataset = getattr(datasets, name)(tmp_path, **options)
        for number, sample in enumerate(found.splits[split]):
            picture, label = dataset[number]
            assert np.array_equal(np.asarray(picture.convert("RGB")), sample.picture())
            own = dataset.classes[label]
            assert found.classes[sample.label] == (own if isinstance(own, str) else own[0])
        assert len(found.splits[split]) == len(dataset) > 0


def test_it_is_packed_once_into_equal_bytes(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = f"torchvision:FashionMNIST:{root}"
    first = {p.name: p.read_bytes() for p in stock.fetch(data, Listener()).iterdir()}
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(cache.with_name("other")))
    assert {p.name: p.read_bytes() for p in stock.fetch(data, Listener()).iterdir()} == first
    (root / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").unlink()
    assert len(scan(data).splits["train"]) == 30
    assert set(first) == {"train.tar", "test.tar"}


def test_a_missing_shard_alone_is_packed_anew(root: Path) -> None:
    folder = stock.fetch(data := f"torchvision:FashionMNIST:{root}", Listener())
    kept, before = (folder / "train.tar").stat(), (folder / "test.tar").read_bytes()
    (folder / "test.tar").unlink()
    stock.fetch(data, Listener())
    assert (folder / "test.tar").read_bytes() == before
    assert (folder / "train.tar").stat() == kept


def test_it_can_be_evaluated_on(root: Path) -> None:
    classes = scan(data := f"torchvision:FashionMNIST:{root}").classes
    found = evaluate(tiny_classifier(*classes), data)
    assert (found.split, found.pictures, found.mistakes[0].sample.picture().shape) == ("test", 20, (28, 28, 3))


def test_what_torchvision_downloaded_before_is_not_downloaded_again(root: Path, cache: Path) -> None:
    (cache / "torchvision").parent.mkdir()
    root.rename(cache / "torchvision")
    assert len(scan("torchvision:FashionMNIST").splits["test"]) == 20


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        UsageError,
        match=r"no dataset 'FashionMnist'.*CIFAR10, CIFAR100, .*FashionMNIST, .*ImageNet, Imagenette, .*OxfordIIITPet",
    ):
        scan("torchvision:FashionMnist")


def test_a_root_without_the_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=rf"not in {tmp_path} \(.*not found.*torchvision:CIFAR10:FOLDER"):
        scan(f"torchvision:CIFAR10:{tmp_path}")


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


def test_imagenettes_classes_are_those_of_networks_trained_on_imagenet(tmp_path: Path) -> None:
    ids = write_imagenette(tmp_path, "Imagenette")
    found = scan(data := f"torchvision:Imagenette:{tmp_path}")
    assert match_classes(found.classes, imagenet.classes(), imagenet.names()) == {
        found.classes[s.label]: imagenet.classes().index(ids[n]) for n, s in enumerate(found.splits["val"])
    }
    net = tiny_classifier(*imagenet.classes(), names=imagenet.names())
    assert evaluate(net, data).pictures == len(ids) == 10


def write_imagenet(root: Path) -> Path:
    """Class folders as torchvision's ImageNet unpacks the archives."""
    for split in ("train", "val"):
        for seed, name in enumerate(("n01440764", "n01443537")):
            (root / split / name).mkdir(parents=True)
            for number in range(2):
                content = encode(noise(100 * len(split) + 10 * seed + number), "JPEG")
                (root / split / name / f"ILSVRC2012_{split}_{number:08}.JPEG").write_bytes(content)
    return root


@pytest.mark.parametrize("beside", ["", "meta.bin", "ILSVRC2012_img_val.tar"])
def test_imagenet_is_read_where_it_is(tmp_path: Path, beside: str) -> None:
    expected = scan(write_imagenet(tmp_path / "plain")).fingerprint
    root = write_imagenet(tmp_path / "imagenet")
    if beside:
        (root / beside).write_bytes(b"of torchvision")
    before = listing(root)
    found = scan(data := f"torchvision:ImageNet:{root}")
    assert (found.classes, found.fingerprint) == (("n01440764", "n01443537"), expected)
    assert scan(data).fingerprint == expected
    assert listing(root) == before
    assert evaluate(tiny_classifier(*imagenet.classes()), data).pictures == 4


def test_imagenet_is_asked_for_by_its_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be downloaded.*image-net.org.*torchvision:ImageNet:ROOT"):
        scan("torchvision:ImageNet")
    (tmp_path / "ILSVRC2012_img_val.tar").touch()
    with pytest.raises(MissingInputError, match=r"no train/ or val/ with folders of WordNet ids .*unpack them: from"):
        scan(f"torchvision:ImageNet:{tmp_path}")


def test_root_may_begin_at_a_drive_or_at_home(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    assert stock.split_name("torchvision:MNIST:C:\\data") == ("MNIST", "C:\\data")
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(scan("torchvision:FashionMNIST:~/files").splits["test"]) == 20


def test_offline_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("asked for an address")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCHINCEPTION_OFFLINE", "1")
    with pytest.raises(MissingInputError, match="MNIST are not in"):
        scan("torchvision:MNIST")


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

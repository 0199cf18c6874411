"""Pictures in tar and parquet files are found and refused as those in folders are."""

import gzip
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from data_fixtures import encode, listing, noise, write_classes
from shard_fixtures import files_of, write_keyed_tar, write_parquet, write_tar
from store_fixtures import Notes

from torchinception.data.folder import Folder, name_of, scan
from torchinception.data.images import load_image
from torchinception.errors import DataError, InceptionError, MissingInputError, UsageError

NAMES = ["b", "unused", "a"]  # neither sorted nor all there
Pack = Callable[[Path, list[tuple[str, bytes]]], Path]
PACKS: dict[str, tuple[str, Pack]] = {
    "class folders in a tar": ("tar", write_tar),
    "WebDataset with names": ("tar", write_keyed_tar),
    "WebDataset with numbers": ("tar", lambda path, files: numbered(path, files)),
    "parquet with names": ("parquet", write_parquet),
    "parquet with numbers": ("parquet", lambda path, files: write_parquet(path, files, NAMES)),
    "parquet of plain bytes": ("parquet", lambda path, files: write_parquet(path, files, plain=True)),
}


def numbered(path: Path, files: list[tuple[str, bytes]]) -> Path:
    write_keyed_tar(path, files, NAMES)
    (path.parent / "classes.txt").write_text("\n".join(NAMES) + "\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "folder", **{"train/a": 5, "train/b": 6, "val/a": 2, "val/b": 1})


def refused(root: Path, kind: type[InceptionError] = DataError) -> str:
    before = listing(root if root.is_dir() else root.parent)
    with pytest.raises(kind) as caught:
        scan(root)
    assert listing(root if root.is_dir() else root.parent) == before
    return str(caught.value)


def contents(found: Folder) -> dict[str, list[tuple[str, bytes, str]]]:
    return {
        split: sorted((found.classes[s.label], s.picture().tobytes(), s.digest) for s in samples)
        for split, samples in found.splits.items()
    }


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("flat", [True, False], ids=["flat", "in folders"])
def test_shards_hold_the_same_as_the_folder_they_were_packed_from(
    folder: Path, tmp_path: Path, pack: str, flat: bool
) -> None:
    suffix, write = PACKS[pack]
    train, val = (files_of(folder / split) for split in ("train", "val"))
    names = ["train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"]
    names = names if flat else ["train/0", "train/1", "val/0"]
    for name, files in zip(names, (train[:4], train[4:], val), strict=True):
        write(tmp_path / "shards" / f"{name}.{suffix}", files)
    expected, found = scan(folder), scan(tmp_path / "shards")
    assert (found.classes, found.side_px, found.fingerprint) == (("a", "b"), 8, expected.fingerprint)
    assert contents(found) == contents(expected)
    assert all(s.picture().tobytes() == load_image(s.path).tobytes() for s in expected.splits["val"])


@pytest.mark.parametrize("name", ["all.tar", "train-0.tar"])
def test_a_single_shard_can_be_named_itself_and_a_tenth_of_it_is_held_out(
    folder: Path, tmp_path: Path, name: str
) -> None:
    path = write_tar(tmp_path / "shards" / name, files_of(folder / "train"))
    one, other = scan(path).for_training(), scan(path.parent).for_training()
    assert one["val"]
    assert {k: {s.digest for s in v} for k, v in one.items()} == {k: {s.digest for s in v} for k, v in other.items()}


def test_a_split_may_be_shards_and_another_a_folder(folder: Path) -> None:
    expected = scan(folder).fingerprint
    write_keyed_tar(folder / "val" / "0.tar", files_of(folder / "val"))
    for name in "ab":
        shutil.rmtree(folder / "val" / name)
    assert scan(folder).fingerprint == expected


def test_a_tar_made_of_the_folder_itself_may_begin_with_a_dot(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "packed.tar", "w") as tar:
        tar.add(folder / "train", ".")
    assert len(scan(tmp_path / "packed.tar").splits["all"]) == 11


GOOD = [(f"{name}/{number}.png", encode(noise(10 * number + ord(name)))) for name in "ab" for number in range(3)]
KEYED = [(f"{n}.{kind}", content) for n, (_, png) in enumerate(GOOD) for kind, content in (("png", png), ("cls", b"a"))]
BAD_TARS = {
    "a broken picture": ("a/bad.png: broken", [*GOOD, ("a/bad.png", GOOD[0][1][:60])]),
    "an empty picture": ("a/bad.png: empty", [*GOOD, ("a/bad.png", b"")]),
    "another kind of file": ("a/bad.tif: not a picture", [*GOOD, ("a/bad.tif", b"II*")]),
    "no folder": ("bad.png: expected CLASS/PICTURE", [*GOOD, ("bad.png", GOOD[0][1])]),
    "a folder in a folder": ("x/a/bad.png: expected CLASS/PICTURE", [*GOOD, ("x/a/bad.png", GOOD[0][1])]),
    "a key without a label": ("bad.png: no bad.cls", [*KEYED, ("bad.png", GOOD[0][1])]),
    "a key without a picture": ("bad.cls: no picture", [*KEYED, ("bad.cls", b"a")]),
    "two pictures of a key": ("0.jpg: a second picture", [*KEYED, ("0.jpg", GOOD[0][1])]),
    "an empty label": ("bad.png: no label", [*KEYED, ("bad.png", GOOD[0][1]), ("bad.cls", b" ")]),
    "a negative label": ("bad.png: label -1", [*KEYED, ("bad.png", GOOD[0][1]), ("bad.cls", b"-1")]),
    "nothing": ("no pictures in", []),
}


@pytest.mark.parametrize("case", BAD_TARS)
def test_what_is_bad_in_a_tar_is_named_by_shard_and_member(tmp_path: Path, case: str) -> None:
    words, members = BAD_TARS[case]
    write_tar(tmp_path / "train-0001.tar", members)
    assert (words if "no pictures" in words else f"train-0001.tar: {words}") in refused(tmp_path)


def test_a_number_that_classes_txt_does_not_have_is_refused(tmp_path: Path) -> None:
    write_keyed_tar(tmp_path / "0.tar", GOOD, ["a", "b"])
    (tmp_path / "classes.txt").write_text("a\n")
    assert "3 files" in (text := refused(tmp_path))
    assert "0003.png: label 1, but there are 1 names" in text
    (tmp_path / "classes.txt").write_text("a\na\n")
    assert "twice" in refused(tmp_path)


def test_links_in_a_tar_are_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", GOOD)
    with tarfile.open(tmp_path / "0.tar", "a") as tar:
        link = tarfile.TarInfo("a/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "0.png"
        tar.addfile(link)
    assert "a/link.png: a link" in refused(tmp_path)


@pytest.mark.parametrize("name", ["0.tar.gz", "0.tgz", "0.tar"])
def test_a_compressed_tar_is_refused_with_advice(tmp_path: Path, name: str) -> None:
    packed = gzip.compress(write_tar(tmp_path / "0.tar", GOOD).read_bytes())
    (tmp_path / "0.tar").unlink()
    (tmp_path / name).write_bytes(packed)
    assert "gunzip" in refused(tmp_path)
    assert "gunzip" in refused(tmp_path / name)


@pytest.mark.parametrize("harm", ["cut at a member", "cut in a member", "a damaged header", "empty"])
def test_a_damaged_tar_is_refused_rather_than_read_in_part(tmp_path: Path, harm: str) -> None:
    whole = write_tar(tmp_path / "0.tar", GOOD).read_bytes()
    with tarfile.open(tmp_path / "0.tar") as tar:
        third = tar.getmembers()[2].offset
    damaged = whole[:third] + b"x" * 512 + whole[third + 512 :]
    cuts = {"cut at a member": whole[:third], "cut in a member": whole[: third + 600], "empty": b""}
    (tmp_path / "0.tar").write_bytes(cuts.get(harm, damaged))
    assert "0.tar: " in refused(tmp_path)


@pytest.mark.parametrize("suffix", ["tar", "parquet"])
def test_a_shard_that_changes_after_the_scan_is_refused(tmp_path: Path, suffix: str) -> None:
    write = write_tar if suffix == "tar" else write_parquet
    samples = scan(write(tmp_path / f"0.{suffix}", GOOD)).splits["all"]
    write(tmp_path / f"0.{suffix}", reversed(GOOD))
    with pytest.raises(DataError, match=rf"0.{suffix}: .*: changed; leave"):
        samples[0].picture()
    (tmp_path / f"0.{suffix}").unlink()
    with pytest.raises(DataError, match=rf"0.{suffix}: .*: missing"):
        samples[0].picture()


def test_a_broken_row_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "test.parquet", [*GOOD, ("a/bad.png", GOOD[0][1][:60])])
    assert "test.parquet: row 6: broken" in refused(tmp_path)


def test_columns_may_be_called_as_in_the_hubs_cifar(tmp_path: Path) -> None:
    expected = scan(write_parquet(tmp_path / "0.parquet", GOOD, ["b", "a"]))
    found = scan(write_parquet(tmp_path / "1.parquet", GOOD, ["b", "a"], columns=("img", "fine_label")))
    assert (found.classes, contents(found)) == (("a", "b"), contents(expected))


def test_keys_of_webdataset_may_have_other_files_and_extensions_in_capitals(tmp_path: Path) -> None:
    jpeg = encode(noise(1), "JPEG")
    kinds = dict(a0="jpeg", a1="JPG", b0="Jpeg", b1="jpg")
    members = [
        (f"{key}.{kind}", content)
        for key, picture in kinds.items()
        for kind, content in ((picture, jpeg), ("txt", b"a caption"), ("json", b"{}"), ("CLS", key[:1].encode()))
    ]
    found = scan(write_tar(tmp_path / "0.tar", [*members, ("a0.seg.png", b"a mask"), ("__index__.txt", b"")]))
    assert [found.classes[s.label] for s in found.splits["all"]] == ["a", "a", "b", "b"]


def test_other_columns_are_listed_with_what_is_expected(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(dict(picture=[b""], label=[1])), tmp_path / "0.parquet")
    assert "columns picture (binary), label (int64); expected image" in refused(tmp_path)
    (tmp_path / "0.parquet").write_bytes(b"PAR1 no more")
    assert "0.parquet: not a parquet file" in refused(tmp_path)


def test_without_pyarrow_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "0.parquet", GOOD)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'torchinception[shards]'" in refused(tmp_path, UsageError)


def test_shards_are_not_mixed_with_pictures_folders_or_names_without_a_split(tmp_path: Path) -> None:
    write_tar(tmp_path / "train-0.tar", GOOD)
    write_tar(tmp_path / "more.tar", GOOD)
    assert "more.tar: its name must say one split" in refused(tmp_path)
    (tmp_path / "more.tar").rename(tmp_path / "train-val.tar")
    assert "train-val.tar: its name must say one split" in refused(tmp_path)
    (tmp_path / "train-val.tar").unlink()
    (tmp_path / "README.md").touch()
    assert len(scan(tmp_path).splits["train"]) == 6
    (tmp_path / "a.png").write_bytes(GOOD[0][1])
    assert "holds shards (train-0.tar) and besides a.png" in refused(tmp_path)
    (tmp_path / "a.png").rename(write_classes(tmp_path, c=1) / "c" / "a.png")
    assert "besides c;" in refused(tmp_path)


def test_a_shard_that_is_not_there_is_a_missing_input(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"none.tar"):
        scan(tmp_path / "none.tar")


def test_it_is_said_when_shuffling_cannot_mix_the_classes(tmp_path: Path) -> None:
    files = [(f"{name}/{n}.png", encode(noise(100 * n + ord(name)))) for n in range(8) for name in "abcdefgh"]
    write_parquet(tmp_path / "mixed.parquet", files)
    write_parquet(tmp_path / "sorted.parquet", sorted(files))
    write_tar(tmp_path / "sorted.tar", sorted(files))  # one shard, so that all is mixed
    said = {}
    for name in ("mixed.parquet", "sorted.parquet", "sorted.tar"):
        scan(tmp_path / name, notes := Notes())
        said[name] = ["sorted by class" in line for line in notes.said]
    assert said == {"mixed.parquet": [], "sorted.parquet": [True], "sorted.tar": []}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("torchvision:MNIST", "MNIST"),
        ("torchvision:MNIST:/usr/share/x", "MNIST"),
        ("torchvision:MNIST:C:\\data", "MNIST"),
        ("shop/flowers.tar", "flowers"),
        ("shop/v1.2", "v1.2"),
    ],
)
def test_a_run_is_called_after_its_data(data: str, name: str) -> None:
    assert name_of(data) == name_of(Path(data)) == name

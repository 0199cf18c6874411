"""Shards behind URLs are those on this machine: the same pictures, in the same order, or an error that says why."""

import gc
import itertools
import json
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from conftest import SHORT, Result, outcome
from data_fixtures import write_classes
from fsspec.asyn import AsyncFileSystem
from shard_fixtures import files_of, write_keyed_tar, write_parquet, write_tar
from shard_server import ShardServer, serve
from test_shard_order import batches
from test_shards import contents

from torchinception.data import file_systems, parquet_shards, remote, tar_shards
from torchinception.data.augment import Augment
from torchinception.data.check import examine
from torchinception.data.file_systems import hide_secrets
from torchinception.data.folder import Folder, name_of, scan
from torchinception.data.module import Pictures, ResumableLoader
from torchinception.data.patterns import expand
from torchinception.data.remote import RemotePath, as_path
from torchinception.data.transforms import Preprocess
from torchinception.errors import DataError, ImageError, MissingInputError, UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_systems, "WAITS_S", (0.0, 0.0, 0.0, 0.0))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classes(tmp_path_factory.mktemp("folder"), **{"train/a": 12, "train/b": 12, "val/a": 2, "val/b": 2})


@pytest.fixture(params=["tar", "parquet"])
def packed(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """train-0, train-1, train-2 and val-0."""
    write = write_keyed_tar if request.param == "tar" else write_parquet
    files = files_of(folder / "train")
    for number in range(3):
        write(tmp_path / "shards" / f"train-{number}.{request.param}", files[8 * number : 8 * number + 8])
    write(tmp_path / "shards" / f"val-0.{request.param}", files_of(folder / "val"))
    return tmp_path / "shards"


@pytest.fixture
def server(packed: Path) -> Iterator[ShardServer]:
    with serve(packed) as server:
        yield server


@pytest.fixture
def memory(packed: Path) -> Iterator[str]:
    """The same in a bucket that can list what it has."""
    fs = fsspec.filesystem("memory")
    fs.put(f"{packed}/", "/bucket/flowers/", recursive=True)
    yield "memory://bucket/flowers"
    fs.rm("/bucket", recursive=True)


def all_of(server: ShardServer) -> str:
    suffix = next(server.folder.iterdir()).suffix
    return server.url(f"{{train-{{0..2}},val-0}}{suffix}")


def test_shards_of_a_web_server_hold_what_the_folder_holds(folder: Path, server: ShardServer) -> None:
    expected, found = scan(folder), scan(all_of(server))
    assert (found.classes, found.side_px, found.fingerprint) == (("a", "b"), 8, expected.fingerprint)
    assert contents(found) == contents(expected)
    assert scan(Path(all_of(server))).fingerprint == expected.fingerprint  # of https://, Path makes https:/


@pytest.mark.parametrize("place", ["", "/", "/*", "/{train,val}-*", "/train-{0..2}+val"])
def test_a_bucket_is_listed_and_patterns_choose(folder: Path, memory: str, packed: Path, place: str) -> None:
    suffix = next(packed.iterdir()).suffix
    if place == "/train-{0..2}+val":
        place = "/{train-{0..2},val-0}"
    assert scan(memory + place + (suffix if len(place) > 1 else "")).fingerprint == scan(folder).fingerprint


def test_a_bucket_may_have_folders_of_splits(folder: Path, memory: str, packed: Path) -> None:
    fs = fsspec.filesystem("memory")
    for path in packed.iterdir():
        split, _, name = path.name.partition("-")
        fs.put_file(path, f"/bucket/other/{split}/{name}")
    fs.pipe("/bucket/other/README.md", b"")
    assert scan("memory://bucket/other").fingerprint == scan(folder).fingerprint
    suffix = path.suffix
    for pattern in (f"*/*{suffix}", f"{{train,val}}/*{suffix}"):
        assert scan(f"memory://bucket/other/{pattern}").fingerprint == scan(folder).fingerprint


@pytest.mark.parametrize("pattern", ["{train-{0..2},val-0}", "*-*", "[tv]*"])
def test_patterns_name_shards_on_this_machine_too(folder: Path, packed: Path, pattern: str) -> None:
    suffix = next(packed.iterdir()).suffix
    for text in (f"{packed}/{pattern}{suffix}", f"file://{packed}/{pattern}{suffix}"):
        assert scan(text).fingerprint == scan(folder).fingerprint


def test_braces_are_webdatasets() -> None:
    assert expand("a-{008..011}.tar") == ["a-008.tar", "a-009.tar", "a-010.tar", "a-011.tar"]
    assert expand("{a,b{1..2}}/{x,}.tar") == [f"{a}/{b}.tar" for a in ("a", "b1", "b2") for b in ("x", "")]
    for wrong in ("a-{0..1.tar", "a}.tar", "{3..1}.tar", "{0..9999999}.tar", "{0..9999}{0..9999}.tar"):
        with pytest.raises(UsageError, match=r"brace|counts|stands for more"):
            expand(wrong)


class Bucket(AsyncFileSystem):
    """A folder of this machine, reached as S3 and Google's storage are: through a loop in another thread."""

    protocol = "bucket"
    folder: Path
    error: OSError | None = None

    async def _info(self, path: str, **_: object) -> dict[str, Any]:
        place = self.folder / path
        kind = "directory" if place.is_dir() else "file"
        return dict(name=path, size=place.stat().st_size, type=kind, ETag=str(place.stat().st_mtime_ns))

    async def _ls(self, path: str, detail: bool = True, **_: object) -> list[Any]:
        if self.error:
            raise self.error
        names = [f"{path}/{place.name}" for place in (self.folder / path).iterdir()]
        return [await self._info(name) for name in names] if detail else names

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
        return (self.folder / path).read_bytes()[start:end]


@pytest.mark.parametrize("place", ["", "/*-*"])
def test_an_asynchronous_file_system_is_read_by_forked_workers(
    packed: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bucket, "folder", packed.parent, raising=False)
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    data = f"bucket://{packed.name}{place}{next(packed.iterdir()).suffix if place else ''}"
    assert scan(data).fingerprint == scan(packed).fingerprint
    assert batches(load(data, 2)) == batches(load(str(packed), 0))


@pytest.mark.parametrize("error", [ConnectionError("no route"), PermissionError("not yours")])
def test_a_bucket_that_cannot_be_listed_is_named(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    monkeypatch.setattr(Bucket, "error", error)
    with pytest.raises(DataError, match=rf"bucket://none cannot be listed: .*{error}"):
        scan("bucket://none")


def test_an_archive_that_is_not_there_is_a_missing_input(memory: str) -> None:
    with pytest.raises(MissingInputError, match=r"zip://a.tar::memory://bucket/none.zip is not there"):
        scan("zip://a.tar::memory://bucket/none.zip")


def test_a_missing_shard_of_a_range_is_named(server: ShardServer, packed: Path, memory: str) -> None:
    suffix = next(packed.iterdir()).suffix
    for text in (server.url(f"train-{{0..3}}{suffix}"), f"{packed}/train-{{0..3}}{suffix}"):
        with pytest.raises(MissingInputError, match=rf"train-3{suffix} is not there"):
            scan(text)
    with pytest.raises(MissingInputError, match="no shards at memory://bucket/none"):
        scan("memory://bucket/none")


def test_what_a_web_server_cannot_list_is_named_by_range(server: ShardServer) -> None:
    for text in ("", "train-*.tar"):
        with pytest.raises(UsageError, match=r"lists no files; name the shards, as in …/train-\{0000..0007\}.tar"):
            scan(server.url(text))


def load(url: str, workers: int, share: tuple[int, int] = (0, 1)) -> ResumableLoader:
    pictures = Pictures(scan(url).splits["train"], Preprocess(size=8), Augment(), 3)
    return ResumableLoader(pictures, 3, workers, train=True, share=share)


def test_forked_workers_read_what_the_parent_reads_and_leave_its_connections_alone(
    packed: Path, server: ShardServer
) -> None:
    here = load(str(packed), 0)
    away = load(all_of(server), 2)
    assert batches(away) == batches(here)
    sample = away.dataset.samples[0]  # type: ignore[attr-defined]
    assert sample.picture().tobytes() == here.dataset.samples[0].picture().tobytes()  # type: ignore[attr-defined]


def test_a_fork_that_tidies_up_does_not_take_the_parents_connections_with_it(
    server: ShardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_systems, "SILENCE_S", 2.0)
    monkeypatch.setattr(file_systems, "WAITS_S", ())
    path = RemotePath(server.url(next(server.folder.iterdir()).name))
    content = path.read(0, 10)
    gc.collect()  # or a file that refers to itself keeps what the fork would let go of
    fork = multiprocessing.get_context("fork").Process(target=lambda: (path.read(1, 5), gc.collect()))
    fork.start()
    fork.join()
    assert (fork.exitcode, path.read(0, 10)) == (0, content)


def test_two_processes_of_two_workers_read_each_picture_once(server: ShardServer) -> None:
    url, seen = all_of(server), []
    for rank in range(2):
        loader = load(url, 2, (rank, 2))
        assert len(loader) == 4
        seen += [index for _, index in loader.sampler]
    assert sorted(seen) == list(range(24))


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_in_the_middle_of_an_epoch_hands_out_the_rest(server: ShardServer, workers: int) -> None:
    expected = batches(load(all_of(server), 0))
    first, second = load(all_of(server), 2), load(all_of(server), workers)
    for _ in itertools.islice(first, 5):
        pass
    second.load_state_dict(state := first.state_dict())
    assert batches(second, state["epoch"]) == expected[5:]


def test_a_server_that_fails_now_and_then_is_asked_again(folder: Path, server: ShardServer) -> None:
    server.failures = 3
    found = scan(all_of(server))
    assert (server.failures, found.fingerprint) == (0, scan(folder).fingerprint)
    server.failures = 4
    found.splits["val"][0].path.forget()
    assert found.splits["val"][0].picture().shape == (8, 8, 3)


def test_a_server_that_keeps_failing_is_named_and_nothing_else_is_read(server: ShardServer) -> None:
    found = scan(all_of(server))
    server.failures = 1000
    with pytest.raises(DataError, match=r"train-0.*: .*503.* 5 times; try again when it can be reached"):
        scan(all_of(server))
    if server.folder.joinpath("val-0.tar").exists():
        with pytest.raises(ImageError, match=r"train-0.tar: 0000.png: unreachable; .*503.* network is back"):
            found.splits["train"][0].picture()


def test_skipping_bad_files_skips_no_picture_that_the_network_withholds(
    server: ShardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise file_systems.UnreachableError("503, 5 times")

    for kind in (tar_shards.TarMember, parquet_shards.Row):
        monkeypatch.setattr(kind, "read", fail)
    with pytest.raises(DataError, match=r"unreachable; 503, 5 times; go on when the network is back"):
        scan(all_of(server), bad="skip")


def test_secrets_in_urls_are_not_in_reports(server: ShardServer, tmp_path: Path) -> None:
    url = f"{all_of(server)}?signature=SECRET"
    assert "SECRET" not in json.dumps(examine(url, tmp_path / "check").record())
    assert "SECRET" not in (tmp_path / "check/check.json").read_text()
    assert "SECRET" not in scan(url).splits["train"][0].place


def test_what_is_refused_is_not_asked_for_again(server: ShardServer) -> None:
    server.status = 403
    with pytest.raises(DataError, match="403"):
        scan(server.url("train-0.tar"))
    assert len(server.asked) <= 3


def test_a_server_that_ignores_ranges_is_refused_and_a_local_copy_helps(folder: Path, server: ShardServer) -> None:
    server.ranges = False
    found = scan(f"filecache::{all_of(server)}")
    assert (found.fingerprint, contents(found)) == (scan(folder).fingerprint, contents(scan(folder)))
    wide = write_classes(server.folder / "wide", a=2, b=2, side=900)  # not in the first block that is read
    write_tar(server.folder / "wide.tar", files_of(wide))
    write_parquet(server.folder / "wide.parquet", files_of(wide))
    for name in ("wide.tar", "wide.parquet"):
        with pytest.raises(DataError, match=rf"{name}: .*cannot serve parts of a file; put filecache:: before the URL"):
            scan(server.url(name))


def test_a_local_copy_is_read_even_if_the_server_has_a_newer_file(folder: Path, server: ShardServer) -> None:
    name = next(server.folder.iterdir()).name
    first = scan(f"filecache::{server.url(name)}")
    write = write_keyed_tar if name.endswith(".tar") else write_parquet
    write(server.folder / name, files_of(folder / "train"))
    assert contents(scan(f"filecache::{server.url(name)}")) == contents(first)
    assert len(scan(server.url(name)).splits["all"]) == 24


def test_local_copies_are_made_once_and_serve_workers(folder: Path, packed: Path, server: ShardServer) -> None:
    data = f"filecache::{all_of(server)}"
    assert batches(load(data, 2)) == batches(load(str(packed), 0))
    assert len([line for line in server.asked if line.startswith("GET")]) == 2 * 4  # is it there, and its content
    asked = len(server.asked)
    file_systems._make_file_system.cache_clear()
    assert scan(data).fingerprint == scan(folder).fingerprint
    assert server.asked[asked:] == []


@pytest.mark.parametrize("where", ["server", "memory"])
def test_a_shard_that_changes_after_the_scan_is_refused(
    folder: Path, packed: Path, where: str, request: pytest.FixtureRequest
) -> None:
    suffix = next(packed.iterdir()).suffix
    name, write = f"train-0{suffix}", write_keyed_tar if suffix == ".tar" else write_parquet
    there = request.getfixturevalue(where)
    url = there.url(name) if where == "server" else f"{there}/{name}"
    sample = scan(url).splits["all"][0]
    write(packed / name, reversed(files_of(folder / "train")[:8]))
    if where == "memory":
        fsspec.filesystem("memory").put_file(packed / name, f"/bucket/flowers/{name}")
    sample.path.forget()
    parquet_shards.row_group.cache_clear()
    with pytest.raises(DataError, match=rf"{name}: .*: changed; leave"):
        sample.picture()
    assert scan(url).splits["all"][0].digest != sample.digest


def test_the_contents_of_a_tar_are_remembered_until_it_changes(
    folder: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(folder / "train")
    write_tar(tmp_path / "web" / "0.tar", files)
    with serve(tmp_path / "web") as server:
        first = scan(server.url("0.tar"))
        signed = scan(server.url("0.tar?signature=of+today"))
        monkeypatch.setattr(tar_shards, "_read_contents", None)
        assert scan(server.url("0.tar")) == first
        assert scan(server.url("0.tar?signature=of+tomorrow")).fingerprint == signed.fingerprint
        monkeypatch.undo()
        monkeypatch.setenv("TORCHINCEPTION_CACHE", str(cache))
        places = list((cache / "indexes").iterdir())
        for damaged in (b"{", b"{}", places[0].read_bytes().replace(b"[[", b"[[1,")):
            for index in places:
                index.write_bytes(damaged)
            assert scan(server.url("0.tar")) == first
        write_tar(tmp_path / "web" / "0.tar", files[:12])
        assert len(scan(server.url("0.tar")).splits["all"]) == 12


def test_checking_reads_a_tar_in_large_blocks_and_training_one_picture_a_request(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BLOCK_BYTES", 5000)  # pictures lie across blocks
    path = write_tar(tmp_path / "web" / "0.tar", files_of(folder / "train"))
    with serve(path.parent) as server:
        found = scan(server.url("0.tar"))
        ranges = [line for line in server.asked if "bytes=" in line]
        assert len(ranges) == 1 + -(-path.stat().st_size // 5000)  # the first asks whether parts can be had
        assert found.fingerprint == scan(path).fingerprint
        server.asked.clear()
        member = found.splits["all"][3].member
        found.splits["all"][3].picture()
    assert server.asked == [f"GET /0.tar bytes={member.offset}-{member.offset + member.size - 1}"]


def test_what_is_held_out_is_the_same_from_a_url_and_from_this_machine(server: ShardServer) -> None:
    suffix = next(server.folder.iterdir()).suffix
    pattern = f"train-{{0..2}}{suffix}"
    for here, away in (
        (f"{server.folder}/{pattern}", server.url(pattern)),
        (server.folder / f"train-0{suffix}", server.url(f"train-0{suffix}")),
    ):
        one, other = (scan(data).for_training()["val"] for data in (here, away))
        assert [s.digest for s in one] == [s.digest for s in other]
        assert one.name(0) == other.name(0)


def test_a_second_start_reads_no_picture_again_unless_its_shard_has_changed(folder: Path, server: ShardServer) -> None:
    first, before = scan(all_of(server)), contents(scan(all_of(server)))
    server.asked.clear()
    assert scan(all_of(server)) == first
    again = [line for line in server.asked if line.startswith("GET")]
    suffix = next(server.folder.iterdir()).suffix
    if suffix == ".tar":
        assert again == []
    else:  # the end of each file, and its labels
        assert again
        assert not any(line in again for line in _reads(server, first))
    write = write_keyed_tar if suffix == ".tar" else write_parquet
    write(server.folder / f"val-0{suffix}", reversed(files_of(folder / "val")))
    server.asked.clear()
    assert contents(scan(all_of(server))) == before


def _reads(server: ShardServer, found: Folder) -> list[str]:
    """What is asked for to read one picture."""
    parquet_shards.row_group.cache_clear()
    server.asked.clear()
    found.splits["train"][0].picture()
    return server.asked[-1:]  # after the end of the file, which says where pictures are


def test_names_of_classes_may_lie_beside_remote_shards(folder: Path, tmp_path: Path) -> None:
    write_keyed_tar(tmp_path / "web" / "train-0.tar", files_of(folder / "train"), ["b", "a"])
    with serve(tmp_path / "web") as server:
        assert scan(server.url("train-0.tar")).classes == ("0", "1")
        (tmp_path / "web" / "classes.txt").write_text("b\na\n")
        assert scan(server.url("train-0.tar")).fingerprint == scan(tmp_path / "web" / "train-0.tar").fingerprint


def test_secrets_in_urls_are_not_in_errors(server: ShardServer) -> None:
    server.status = 403
    for url in (server.url("0.tar?signature=SECRET").replace("//", "//me:SECRET@"), "sftp2://me:SECRET@x/a.tar"):
        with pytest.raises((DataError, UsageError)) as caught:
            scan(url)
        assert "SECRET" not in str(caught.value) + str(caught.value.__cause__)
    assert "SECRET" not in repr(RemotePath(url))
    assert hide_secrets("s3://bucket/a@b.tar and a?b") == "s3://bucket/a@b.tar and a?b"


def test_a_url_has_the_parts_of_a_path() -> None:
    path = RemotePath("filecache::https://me:x@host/d/train-0.tar?signature=1/2")
    assert (path.name, path.stem, path.suffix, path.parent.name) == ("train-0.tar", "train-0", ".tar", "d")
    assert (path.parent / "a.txt").url == "filecache::https://me:x@host/d/a.txt?signature=1/2"
    assert str(path) == "filecache::https://***@host/d/train-0.tar?***"
    assert pickle.loads(pickle.dumps(path)) == path
    root = RemotePath("s3://bucket")
    assert (root.parent, str(root / "a.tar"), str((root / "a.tar").parent)) == (
        root,
        "s3://bucket/a.tar",
        "s3://bucket",
    )


@pytest.mark.parametrize("text", ["https://h/a.tar", "filecache::s3://b/a.tar", "memory://a", "hf://datasets/x/y"])
def test_a_slash_that_path_has_taken_is_put_back(text: str) -> None:
    assert remote.with_slashes(Path(text)) == text
    assert remote.is_remote(Path(text))
    assert not remote.is_remote(Path("/data/https/x:/y"))


def test_other_names_are_paths() -> None:
    for text in ("flowers", "/a/b.tar", "C:/x", "c:\\x", "a:b", "torchvision:MNIST:/data"):
        assert as_path(text) == Path(text)
    assert as_path("file:///a/b.tar") == as_path(Path("file:///a/b.tar")) == Path("/a/b.tar")


@pytest.mark.parametrize("url", ["s3://b/a.tar", "gs://b/a.tar", "sftp://host/a.tar"])
def test_a_file_system_that_is_not_installed_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = dict(s3="s3fs", gs="gcsfs", sftp="paramiko")[url.partition(":")[0]]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=package):
        scan(url)


def test_without_fsspec_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"pip install 'torchinception\[shards\]'"):
        scan("https://nowhere/a.tar")


def test_nothing_is_asked_for_offline(server: ShardServer, memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINCEPTION_OFFLINE", "1")
    for url in (all_of(server), f"filecache::{all_of(server)}"):
        with pytest.raises(UsageError, match="TORCHINCEPTION_OFFLINE is set"):
            scan(url)
    assert server.asked == []
    assert scan(memory).classes == ("a", "b")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("https://host/flowers.tar?signature=1", "flowers"),
        ("s3://bucket/flowers/", "flowers"),
        ("s3://bucket/flowers/train-{0000..0007}.tar", "flowers"),
        ("filecache::s3://bucket/*/train-*.tar", "bucket"),
        ("https://me:SECRET@host:80/{train,val}.tar", "host-80"),
        ("here/flowers/{train,val}-*.tar", "flowers"),
    ],
)
def test_a_run_is_called_after_its_data(data: str, name: str) -> None:
    assert name_of(data) == name_of(Path(data)) == name


def test_a_run_on_urls_is_a_run_on_the_same_shards_here(
    inception: Callable[..., Result], split: Path, tmp_path: Path
) -> None:
    for name in ("train", "val"):
        write_keyed_tar(tmp_path / "web" / f"{name}-0.tar", files_of(split / name))
    with serve(tmp_path / "web") as server:
        for out, data in (("away", server.url("{train,val}-0.tar?signature=SECRET")), ("here", tmp_path / "web")):
            result = inception("train", data, *SHORT, "--out", tmp_path / out)
            assert result.code == 0, result.err
            assert "SECRET" not in result.out + result.err
    assert outcome(tmp_path / "away") == outcome(tmp_path / "here")
    written = [path for path in (tmp_path / "away").rglob("*") if path.is_file()]
    assert not [path for path in written if b"SECRET" in path.read_bytes()]


def test_importing_needs_no_network_and_no_fsspec() -> None:
    code = "import sys, torchinception.data.folder; assert not {'fsspec', 'aiohttp', 'pyarrow'} & set(sys.modules)"
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", code) == 0

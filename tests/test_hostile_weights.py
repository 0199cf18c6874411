"""Files that were damaged on purpose: each is refused in so many words, or read; nothing else happens.

Formats without a checksum cannot tell a flipped bit of a weight; our own can, and must.
"""

import io
import pickle
import random
import resource
import signal
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_files as foreign
import h5py
import numpy as np
import pytest
import torch
from conftest import FORKS
from data_fixtures import tiny_classifier
from safetensors.torch import save_file

from torchinception.errors import MissingInputError, ModelFileError, UsageError
from torchinception.weights.bundle import load_model
from torchinception.weights.formats import read_tensors

RANDOM = np.random.default_rng(0)
LAYERS = {
    f"conv2d_{n}": {"kernel": RANDOM.standard_normal((3, 3, 2, 4)).astype("f4"), "bias": np.ones(4, "f4")}
    for n in range(3)
}
ARRAYS = {f"{layer}/{name}": array for layer, variables in LAYERS.items() for name, array in variables.items()}
CHECKSUMS = ("torch", "npz", "tensorflow v1", "tensorflow v1, snappy", "tensorflow v1, tar.gz", "tensorflow v2")
SECONDS = 10  # a read of these files takes some milliseconds
SPARE_BYTES = 2 << 30  # of addresses; libraries that are loaded late take some
GROWTH_BYTES = 200 << 20  # of memory, over hundreds of reads of files of some kilobytes


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def write_keras_3(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for number, (layer, variables) in enumerate(LAYERS.items()):
            group = file.create_group(f"layers/conv2d_{number}/vars" if number else "layers/conv2d/vars")
            group.attrs["name"] = layer
            for place, array in enumerate(variables.values()):
                group.create_dataset(
                    str(place), data=array, **({} if number else dict(chunks=True, compression="gzip"))
                )


def write_keras_zip(path: Path) -> None:
    write_keras_3(path)
    layers = [dict(class_name="Conv2D", config=dict(name=name)) for name in LAYERS]
    with zipfile.ZipFile(path.with_name("zip"), "w") as archive:
        archive.writestr("config.json", str(dict(config=dict(layers=layers))).replace("'", '"'))
        archive.write(path, "model.weights.h5")
    path.with_name("zip").replace(path)


def write_torch(path: Path, zipped: bool, trap: bool) -> None:
    content: dict[str, Any] = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
    content |= {"trap": Trap(path.with_name("it ran"))} if trap else {}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


BLOBS = {layer: list(variables.values()) for layer, variables in LAYERS.items()}
VICTIMS: dict[str, Callable[[Path], None]] = {
    "model.safetensors": lambda path: tiny_classifier("a", "b", "c").save(path),
    "safetensors": lambda path: save_file({name: torch.from_numpy(array) for name, array in ARRAYS.items()}, path),
    "torch": lambda path: write_torch(path, zipped=True, trap=False),
    "torch, legacy": lambda path: write_torch(path, zipped=False, trap=False),
    "torch, with a trap": lambda path: write_torch(path, zipped=True, trap=True),
    "torch, legacy, with a trap": lambda path: write_torch(path, zipped=False, trap=True),
    "keras .h5": lambda path: foreign.write_keras_h5(path, LAYERS),
    "keras .h5, packed": lambda path: foreign.write_keras_h5(path, LAYERS, compression="gzip", fletcher32=True),
    "keras .weights.h5": write_keras_3,
    "keras .keras": write_keras_zip,
    "tensorflow v1": lambda path: foreign.write_tf_v1(path, ARRAYS, parts={"conv2d_0/kernel": 2}),
    "tensorflow v1, snappy": lambda path: foreign.write_tf_v1(path, ARRAYS, compress=True),
    "tensorflow v1, tar.gz": lambda path: foreign.write_tf_tar(path, ARRAYS),
    "tensorflow v2": lambda path: foreign.write_tf_v2(path, ARRAYS),
    "npz": lambda path: write_npz(path, ARRAYS),
    "npz, with a trap": lambda path: write_npz(path, ARRAYS | {"trap": np.array([Trap(path.with_name("it ran"))])}),
    "caffe": lambda path: foreign.write_caffe(path, BLOBS),
    "caffe, old": lambda path: foreign.write_caffe(path, BLOBS, old=True),
}


def harmed(content: bytes, chance: random.Random) -> bytes:
    """One to three harms, half of them near an end, where headers and footers are."""
    harm = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 3])):
        near = min(len(harm), chance.choice([64, 1024, len(harm), len(harm)]))
        at = chance.randrange(near) if chance.random() < 0.5 else len(harm) - 1 - chance.randrange(near)
        size = chance.choice([1, 4, 8, 100])
        match chance.randrange(7):
            case 0 | 1:
                harm[at] ^= 1 << chance.randrange(8)
            case 2:
                lie = chance.choice([0, 1, 0x7F, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1])
                harm[at : at + size] = lie.to_bytes(8, chance.choice(["little", "big"]))[:size]
            case 3:
                harm[at : at + size] = chance.randbytes(size)
            case 4:
                del harm[at : at + size]
            case 5:
                other = chance.randrange(len(harm))
                harm[at:at] = harm[other : other + size]
            case 6:
                del harm[at + 1 :]
    return bytes(harm)


def attack(kind: str, folder: Path, log: Path, seeds: list[int]) -> None:
    """In a process of its own: read one damaged file after another, and note what came of each."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPARE_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    path = folder / "victim"
    VICTIMS[kind](path)
    files = sorted(file for file in folder.iterdir() if file.name.startswith("victim"))
    whole = {file: file.read_bytes() for file in files}
    original = load_model(path) if kind == "model.safetensors" else None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with log.open("a", buffering=1) as notes:
        for seed in seeds:
            chance = random.Random(f"{kind} {seed}")
            file = chance.choice(files)
            file.write_bytes(harmed(whole[file], chance))
            notes.write(f"{seed} ")
            signal.alarm(SECONDS)  # kills this process
            outcome = told(path, original, exact=kind in CHECKSUMS)
            signal.alarm(0)
            file.write_bytes(whole[file])
            if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > GROWTH_BYTES >> 10:
                outcome = "took too much memory"
            notes.write(f"{outcome}\n")


def told(path: Path, original: tuple[Any, Any] | None, exact: bool) -> str:
    try:
        tensors = read_tensors(path).tensors
        held = {name: (tensor.numpy().shape, tensor.numpy().tobytes()) for name, tensor in tensors.items()}
        same = held == {name: (array.shape, array.tobytes()) for name, array in ARRAYS.items()}
        outcome = "read" if same or not exact else "was read as something else"
    except (ModelFileError, MissingInputError, UsageError):
        outcome = "refused"
    except BaseException as error:  # noqa: BLE001
        return f"raised {error!r}".replace("\n", " ")
    if original is None:
        return outcome
    try:
        net, spec = load_model(path)
    except (ModelFileError, MissingInputError, UsageError):
        return "refused"
    except BaseException as error:  # noqa: BLE001
        return f"raised {error!r}".replace("\n", " ")
    before, after = original[0].state_dict(), net.state_dict()
    same = spec == original[1] and all(torch.equal(before[name], after[name]) for name in before)
    return "read" if same else "was read as another model"


@pytest.mark.parametrize("kind", VICTIMS)
def test_a_damaged_file_is_refused_or_read_and_nothing_else(
    tmp_path: Path, full: bool, survived: Callable[[str], None], kind: str
) -> None:
    left = list(range(125 if full else 13))  # of each of 18 kinds
    log = tmp_path / "log"
    log.touch()
    deaths: dict[int, int | None] = {}
    while left:
        folder = tmp_path / f"from {left[0]}"
        folder.mkdir()
        process = FORKS.Process(target=attack, args=(kind, folder, log, left))
        process.start()
        process.join()
        assert not (folder / "it ran").exists(), "code ran from a file"
        begun = [int(line.split()[0]) for line in log.read_text().splitlines()]
        if process.exitcode != 0:
            assert begun
            assert begun[-1] in left, "died before the first file"
            deaths[begun[-1]] = process.exitcode
            log.write_text(log.read_text() + f"died by {process.exitcode}\n")
        left = [seed for seed in left if seed > begun[-1]]
    outcomes = dict(line.split(" ", 1) for line in log.read_text().splitlines())
    wrong = {seed: outcome for seed, outcome in outcomes.items() if outcome not in ("read", "refused")}
    assert not wrong, f"{kind}: {wrong}"
    assert len(outcomes) == (125 if full else 13)
    for outcome in outcomes.values():
        survived(f"damaged weights, {kind}: {outcome}")


@pytest.mark.parametrize("kind", VICTIMS)
def test_an_undamaged_file_is_read_unless_it_holds_code(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "victim"
    VICTIMS[kind](path)
    if "trap" not in kind:
        assert read_tensors(path).tensors
        return
    refused(path)
    assert not (tmp_path / "it ran").exists()
    if "npz" in kind:
        np.load(path, allow_pickle=True)["trap"]
    else:
        torch.load(path, weights_only=False)
    assert (tmp_path / "it ran").exists()  # the trap works


# harms that chance does not find


def refused(path: Path, cause: str = ".") -> None:
    with pytest.raises(ModelFileError, match=cause):
        pytest.fail(f"read as {read_tensors(path)}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def raw_table(blocks: list[tuple[bytes, bytes]], handles: list[int], index: bytes | None = None) -> bytes:
    """A table with right checksums; `handles` are the blocks that its index names."""
    out, places = b"", []
    for content, kind in blocks:
        places.append(foreign.varint(len(out)) + foreign.varint(len(content)))
        out += content + kind + struct.pack("<I", foreign.masked(content + kind))
    rows = [(bytes([65 + n]), places[which]) for n, which in enumerate(handles)]
    content = foreign.block(rows)
    place = index or foreign.varint(len(out)) + foreign.varint(len(content))
    out += content + b"\0" + struct.pack("<I", foreign.masked(content + b"\0"))
    return out + (b"\0\0" + place).ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def test_a_snappy_bomb_is_refused(path: Path) -> None:
    path.write_bytes(raw_table([(foreign.varint(2**32 - 1) + b"\0a" + b"\xfe\1\0" * 1000, b"\1")], [0]))
    refused(path, "Snappy: 4,294,967,295 bytes declared")


def test_a_snappy_block_that_tells_less_than_it_holds_is_refused(path: Path) -> None:
    path.write_bytes(raw_table([(foreign.varint(5) + b"\0a" + b"\xfe\1\0" * 1000, b"\1")], [0]))
    refused(path, "Snappy: more bytes than declared")


@pytest.mark.parametrize(
    "stream", [b"\4\2\1\0", b"\4\0a\2\0\0", b"\4\0a\2\5\0", b"\4\xf0", b"\4\xfc\xff\xff\xff\xff", b"\4\1"]
)
def test_snappy_that_points_elsewhere_is_refused(path: Path, stream: bytes) -> None:
    path.write_bytes(raw_table([(stream, b"\1")], [0]))
    refused(path, "Snappy")


@pytest.mark.parametrize("handles", [[0, 0], [1, 0], [0, 1, 1]])
def test_a_table_that_lists_blocks_twice_is_refused(path: Path, handles: list[int]) -> None:
    path.write_bytes(raw_table([(foreign.block([]), b"\0")] * 2, handles))
    refused(path, "in no order")


def test_an_index_that_lists_itself_is_refused(path: Path) -> None:
    content = foreign.block([(b"a", b"\0\x11")])
    assert len(content) == 14
    path.write_bytes(raw_table([(content, b"\0")], [0], index=b"\0\x0e"))
    refused(path)


def test_keys_in_no_order_are_refused(path: Path) -> None:
    path.write_bytes(foreign.table([(b"b", b""), (b"b", b"")]))
    refused(path, "keys of a table in no order")


def test_deep_nesting_is_not_followed(path: Path) -> None:
    nested = b""
    for _ in range(2000):
        nested = foreign.message(7, nested)
    path.write_bytes(foreign.message(1, b"net") + foreign.message(100, foreign.message(1, b"a") + nested))
    refused(path)
    path.write_bytes(b"\x12" + b"\x0b" * 100_000)  # groups that begin and never end
    refused(path)


@pytest.mark.parametrize("sizes", [[2**40], [2**32, 2**32], [-1], [3] * 100, [0, 2**60]])
def test_absurd_shapes_are_refused(path: Path, sizes: list[int]) -> None:
    shape = foreign.message(7, foreign.message(1, b"".join(map(foreign.varint, sizes))))
    layer = foreign.message(1, b"a") + foreign.message(7, shape + foreign.message(5, bytes(12)))
    path.write_bytes(foreign.message(1, b"net") + foreign.message(100, layer))
    refused(path, "shape")


def test_a_tar_bomb_is_refused(path: Path) -> None:
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("a.ckpt")
        member.size = 1 << 28
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    refused(path, "declared")


def test_a_gzip_that_is_cut_off_is_refused(path: Path) -> None:
    foreign.write_tf_tar(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:-1])
    refused(path, "cut off")


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'touch it_ran'\ntR.",
        b'cbuiltins\neval\n(S\'open("it_ran", "w")\'\ntR.',
        b"ctorch\nload\n(S'other.pth'\ntR.",
        b"ctorch.hub\nload\n(S'it_ran'\ntR.",
        b"cposix\nsystem\n\x94\x93.",
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_calls_in_a_pickle_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: bytes, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    if zipped:
        with zipfile.ZipFile("file", "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\2" + code)
            archive.writestr("a/version", b"3\n")
    else:
        head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True))]
        Path("file").write_bytes(b"".join(head) + b"\x80\2" + code + pickle.dumps([], 2))
    refused(tmp_path / "file")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_pickle_that_asks_for_memory_is_refused(path: Path) -> None:
    for code in (b"\x8e" + struct.pack("<Q", 2**40), b"X" + struct.pack("<I", 2**32 - 1), b"(" * 10**5 + b"."):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\4" + code)
            archive.writestr("a/version", b"3\n")
        refused(path)

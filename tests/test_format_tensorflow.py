import random
import struct
import tarfile
from pathlib import Path

import foreign_files as foreign
import numpy as np
import pytest
from format_fixtures import HYPOTHESIS, SOME, assert_holds, refused
from hypothesis import given
from hypothesis import strategies as st

from torchinception.errors import MissingInputError, ModelFileError
from torchinception.weights.formats import read_tensors
from torchinception.weights.formats.crc32c import crc32c
from torchinception.weights.formats.snappy import decompress


@pytest.mark.parametrize("how", ["packed", "single", "content"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("block_bytes", [0, 4096, 1 << 20])
def test_a_v1_checkpoint_comes_back(path: Path, how: str, compress: bool, block_bytes: int) -> None:
    foreign.write_tf_v1(path, SOME, how=how, compress=compress, block_bytes=block_bytes)
    assert_holds(read_tensors(path), "tensorflow", SOME)


def test_partitioned_variables_are_put_together(path: Path) -> None:
    foreign.write_tf_v1(path, SOME, parts={"Net/Conv_1/weights": 3, "double": 2, "brain": 4})
    assert_holds(read_tensors(path), "tensorflow", SOME)


@pytest.mark.parametrize("slices", [[(0, 2), (0, 2)], [(0, 3), (2, 2)], [(0, 2)], [(0, 2), (3, 2)], [(0, 4), (0, 4)]])
def test_slices_that_do_not_cover_a_variable_once_are_refused(path: Path, slices: list[tuple[int, int]]) -> None:
    rows = {}
    for number, part in enumerate(slices):
        data = foreign.tensor_proto(np.ones(part[1], "f4"), "packed")
        value = foreign.message(1, b"a") + foreign.message(2, foreign.slice_proto([part])) + foreign.message(3, data)
        rows[f"{number}".encode()] = foreign.message(2, value)
    entry = foreign.message(1, b"a") + foreign.message(2, foreign.shape_proto([4])) + foreign.number(3, 1)
    path.write_bytes(foreign.table([(b"", foreign.message(1, foreign.message(1, entry))), *rows.items()]))
    refused(path, "do not cover it once|overlap|outside")


def test_a_tar_of_one_checkpoint_comes_back(path: Path) -> None:
    foreign.write_tf_tar(path, SOME)
    assert_holds(read_tensors(path), "tensorflow", SOME)


def test_a_tar_without_a_checkpoint_is_refused(path: Path) -> None:
    foreign.write_tf_tar(path, SOME, "readme.txt")
    refused(path, "no .ckpt in it")


def test_a_link_in_a_tar_is_not_followed(path: Path) -> None:
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("a.ckpt")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    refused(path, "no .ckpt in it")


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("compress", [False, True])
def test_a_v2_checkpoint_comes_back_by_each_of_its_names(path: Path, shards: int, compress: bool) -> None:
    prefix = path.with_name("model.ckpt")
    foreign.write_tf_v2(prefix, SOME, shards, compress)
    for name in ("model.ckpt", "model.ckpt.index", f"model.ckpt.data-00000-of-0000{shards}"):
        assert_holds(read_tensors(path.with_name(name)), "tensorflow", SOME)


def test_a_v2_checkpoint_without_its_data_is_a_missing_input(path: Path) -> None:
    foreign.write_tf_v2(path, SOME)
    Path(f"{path}.data-00000-of-00001").unlink()
    with pytest.raises(MissingInputError, match="data-00000-of-00001"):
        read_tensors(path)


def test_every_flipped_bit_of_tensorflows_checkpoints_is_noticed_or_harmless(path: Path) -> None:
    """Only padding of the footer and the unread block of metadata are under no checksum."""
    foreign.write_tf_v1(path.with_name("v1"), SOME)
    foreign.write_tf_v2(path.with_name("v2"), SOME)
    for name, file in (("v1", "v1"), ("v2", "v2.index"), ("v2", "v2.data-00000-of-00001")):
        whole = path.with_name(file).read_bytes()
        noticed = 0
        for bit in random.Random(0).sample(range(8 * len(whole)), 60):
            content = bytearray(whole)
            content[bit // 8] ^= 1 << bit % 8
            path.with_name(file).write_bytes(content)
            try:
                assert_holds(read_tensors(path.with_name(name)), "tensorflow", SOME)
            except ModelFileError:
                noticed += 1
        assert noticed > 50
        path.with_name(file).write_bytes(whole)


def test_text_is_refused_but_tensorflow_2s_graph_of_objects_is_left_out(path: Path) -> None:
    def write(name: str) -> None:
        entry = (
            foreign.number(1, 7) + foreign.number(5, 3) + foreign.varint(53) + struct.pack("<I", foreign.masked(b"txt"))
        )
        kept = foreign.number(1, 4) + foreign.message(2, foreign.shape_proto([3])) + entry[2:]
        rows = sorted([(name.encode(), entry), (b"kept", kept)])
        path.with_name("m.index").write_bytes(foreign.table([(b"", foreign.number(1, 1)), *rows]))

    path.with_name("m.data-00000-of-00001").write_bytes(b"txttxt")
    write("_CHECKPOINTABLE_OBJECT_GRAPH")
    assert_holds(read_tensors(path.with_name("m")), "tensorflow", {"kept": np.frombuffer(b"txt", "u1")})
    write("words")
    refused(path.with_name("m"), "words is of type 7")


def test_crc32c_is_that_of_the_published_examples() -> None:
    """RFC 3720, B.4."""
    examples = {bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43, bytes(range(32)): 0x46DD794E}
    assert {content: crc32c(content) for content in examples} == examples


def test_crc32c_is_that_of_a_plain_one() -> None:
    content = random.Random(0).randbytes(300_000)
    lengths = [*range(70), 4095, 4096, 4097, 131_072, 131_075, 300_000]
    assert [crc32c(content[:n]) for n in lengths] == [foreign.plain_crc32c(content[:n]) for n in lengths]


@HYPOTHESIS
@given(st.lists(st.sampled_from([b"", b"abcabcabc", b"a" * 200, bytes(range(256)) * 2, bytes(70_000)])), st.binary())
def test_snappy_gives_back_what_was_compressed(parts: list[bytes], rest: bytes) -> None:
    content = rest.join(parts) + rest
    assert decompress(memoryview(foreign.squeeze(content))) == content


def test_snappy_with_a_far_copy_is_read() -> None:
    content = bytes(4) + random.Random(0).randbytes(70_000) + b"\1\2\3\4" * 20
    content += content[100:164]
    squeezed = foreign.squeeze(content)
    assert any(squeezed[at] & 3 == 3 for at in range(len(squeezed)))
    assert decompress(memoryview(squeezed)) == content

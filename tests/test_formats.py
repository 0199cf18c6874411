import io
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_files as foreign
import h5py
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save_file

from torchinception.errors import MissingInputError, ModelFileError, UsageError
from torchinception.weights.formats import Contents, read_tensors
from torchinception.weights.formats.crc32c import crc32c
from torchinception.weights.formats.snappy import decompress

RANDOM = np.random.default_rng(0)
SOME = {
    "Net/Conv_1/weights": RANDOM.standard_normal((3, 2, 4, 5)).astype("f4"),
    "Net/Conv_1/BatchNorm/beta": np.zeros(5, "f4"),
    "Net/Conv_2/weights": RANDOM.standard_normal((1, 1, 700, 3)).astype("f4"),
    "double": RANDOM.standard_normal((2, 3)),
    "half": RANDOM.standard_normal(3).astype("f2"),
    "brain": RANDOM.standard_normal((4, 1)).astype(ml_dtypes.bfloat16),
    "step": np.array(-(2**40), np.int64),
    **{f"int/{kind}": np.array([1, 100], kind) for kind in ("uint8", "uint16")},
    **{f"int/{kind}": np.array([-100, 100], kind) for kind in ("int8", "int16", "int32")},
    "flag": np.array([True, False]),
    "empty": np.zeros((2, 0), "f4"),
}
HYPOTHESIS = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def as_array(tensor: torch.Tensor) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def assert_holds(contents: Contents, kind: str, expected: foreign.Arrays) -> None:
    assert contents.format == kind
    assert set(contents.tensors) == set(expected)
    for name, array in expected.items():
        found = as_array(contents.tensors[name])
        told = (found.dtype, found.shape, found.tobytes())
        assert told == (array.dtype, array.shape, array.tobytes()), name


def refused(path: Path, cause: str = ".") -> None:
    with pytest.raises(ModelFileError, match=cause) as caught:
        pytest.fail(f"read as {read_tensors(path)}")
    assert str(path) in str(caught.value)
    assert "download or export it again" in str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a file"  # without a suffix, which tells nothing


# PyTorch and safetensors


def torch_tensors() -> dict[str, torch.Tensor]:
    wide = torch.arange(12.0).reshape(3, 4)
    kinds = {str(kind): torch.ones(2, dtype=kind) for kind in (torch.bfloat16, torch.float16, torch.int64, torch.bool)}
    return {"a.weight": torch.randn(3, 4), "turned": wide.T, "part": wide[1], "scalar": torch.tensor(2.0), **kinds}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("key", ["", "state_dict", "model_state_dict", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_state_dicts_of_pytorch_come_back(path: Path, zipped: bool, key: str, prefix: str) -> None:
    tensors = torch_tensors()
    content: Any = {prefix + name: tensor for name, tensor in tensors.items()}
    content = {key: content, "epoch": 3} if key else content
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = read_tensors(path)
    assert found.format == "torch"
    assert list(found.tensors) == list(tensors)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())
    assert all(found.tensors[name].dtype == tensor.dtype for name, tensor in tensors.items())


def test_parameters_are_read_without_their_gradients(path: Path) -> None:
    torch.save({"a": torch.nn.Parameter(torch.ones(2))}, path)
    assert not read_tensors(path).tensors["a"].requires_grad


def test_a_prefix_that_not_all_have_stays(path: Path) -> None:
    torch.save({"module.a": torch.ones(2), "b": torch.ones(1)}, path)
    assert list(read_tensors(path).tensors) == ["module.a", "b"]


WRONG: dict[str, Callable[[], object]] = {
    "nothing": dict,
    "a list": lambda: [torch.ones(2)],
    "a tensor": lambda: torch.ones(2),
    "a number among tensors": lambda: {"epoch": 3, "a": torch.ones(2)},
    "a number for a name": lambda: {1: torch.ones(2)},
    "tensors further inside": lambda: {"a": {"b": torch.ones(2)}},
    "sparse": lambda: {"a": torch.eye(2).to_sparse()},
    "sparse rows": lambda: {"a": torch.eye(2).to_sparse_csr()},
    "without values": lambda: {"a": torch.ones(2, device="meta")},
    "quantized": lambda: {"a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)},
}


@pytest.mark.filterwarnings("ignore:.*torch.quantize:UserWarning", "ignore:Sparse CSR:UserWarning")
@pytest.mark.parametrize("content", WRONG)
@pytest.mark.parametrize("zipped", [True, False])
def test_anything_but_a_dict_of_plain_tensors_is_refused(path: Path, content: str, zipped: bool) -> None:
    torch.save(WRONG[content](), path, _use_new_zipfile_serialization=zipped)
    refused(path)


def test_views_that_would_fill_the_memory_are_refused(path: Path) -> None:
    torch.save({"a": torch.ones(1).expand(2**40)}, path)
    refused(path, "views of 4,398,046,511,104 bytes")


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("zipped", [True, False, None])
def test_no_code_runs_from_a_pickle(path: Path, zipped: bool | None) -> None:
    mark = path.with_name("it ran")
    with path.open("wb") as file:
        if zipped is None:
            pickle.dump({"a": Trap(mark)}, file)
        else:
            torch.save({"a": Trap(mark), "b": torch.ones(2)}, file, _use_new_zipfile_serialization=zipped)
    refused(path)
    assert not mark.exists()


def test_a_whole_model_is_refused(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)
    refused(path)


def test_torchscript_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/constants.pkl", b"")
        archive.writestr("m/data.pkl", b"")
    refused(path)


def rezip(path: Path, **options: Any) -> None:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w", **options) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def test_a_compressed_zip_is_refused(path: Path) -> None:
    torch.save({"a": torch.zeros(100_000)}, path)
    rezip(path, compression=zipfile.ZIP_DEFLATED)
    refused(path, "compressed, which torch.save never does")


def test_a_zip_that_declares_more_than_it_holds_is_refused(path: Path) -> None:
    torch.save({"a": torch.zeros(100)}, path)
    content = bytearray(path.read_bytes())
    place = content.find(b"PK\1\2")
    content[place + 20 : place + 28] = struct.pack("<II", 3 << 29, 3 << 29)
    path.write_bytes(content)
    refused(path, "declares 1,610,")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"spec": "{}"}])
def test_safetensors_come_back(path: Path, metadata: dict[str, str] | None) -> None:
    tensors = {name: tensor.contiguous().clone() for name, tensor in torch_tensors().items()}
    save_file(tensors, path, metadata)
    assert_holds(read_tensors(path), "safetensors", {name: as_array(tensor) for name, tensor in tensors.items()})


# TensorFlow


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


@HYPOTHESIS
@given(
    arrays.arrays(st.sampled_from(["f4", "f8", "i4", "i8", "f2", "u1"]), arrays.array_shapes(min_dims=0, min_side=0))
)
def test_every_array_survives_every_format(tmp_path: Path, array: np.ndarray) -> None:
    foreign.write_tf_v1(tmp_path / "v1", {"a": array})
    foreign.write_tf_v2(tmp_path / "v2", {"a": array})
    for name in ("v1", "v2"):
        assert_holds(read_tensors(tmp_path / name), "tensorflow", {"a": array})
    foreign.write_keras_h5(tmp_path / "h5", {"layer": {"a": array}})
    assert_holds(read_tensors(tmp_path / "h5"), "hdf5", {"layer/a": array})


# Caffe

BLOBS = {
    "conv1/7x7_s2": [RANDOM.standard_normal((4, 3, 7, 7)).astype("f4"), RANDOM.standard_normal(4).astype("f4")],
    "one": [RANDOM.standard_normal((1, 1, 5, 5)).astype("f4"), np.ones(1, "f4")],
    "loss3/classifier": [RANDOM.standard_normal((5, 6)).astype("f4"), RANDOM.standard_normal(5).astype("f4")],
    "relu": [],
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_caffes_blobs_come_back(path: Path, old: bool, single: bool, kind: str) -> None:
    blobs = {name: [blob.astype(kind) for blob in some] for name, some in BLOBS.items()}
    foreign.write_caffe(path, blobs, old, {"loss3/classifier": "InnerProduct"}, single)
    expected = {f"{name}/{place}": blob for name, some in blobs.items() for place, blob in enumerate(some)}
    assert_holds(read_tensors(path), "caffe", expected)


@pytest.mark.parametrize("layers", [{}, {"relu": []}, {"": [np.ones(2, "f4")]}])
def test_a_net_without_named_weights_is_refused(path: Path, layers: dict[str, list[np.ndarray]]) -> None:
    foreign.write_caffe(path, layers)
    refused(path, "tensors|without a name")


# Keras

KERAS_WARNS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of its own arrays


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KERAS_BACKEND", "torch")
        environment.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        import keras
    return keras


def keras_model(keras: Any) -> Any:
    """Names and order of layers are those of no counter; a branch makes the order in the file another one."""
    layer = keras.layers
    picture = keras.Input((8, 8, 3))
    first = layer.Conv2D(4, 3, use_bias=False, name="conv2d_9")(picture)
    second = layer.Conv2D(4, 3, name="conv2d_2")(picture)
    x = layer.Concatenate()([layer.BatchNormalization(scale=False)(second), layer.BatchNormalization()(first)])
    x = layer.SeparableConv2D(5, 3, name="block2_sepconv1")(x)
    x = layer.BatchNormalization(scale=False, center=False)(x)
    x = layer.DepthwiseConv2D(3)(x)
    model = keras.Model(picture, layer.Dense(2, name="predictions")(layer.Flatten()(x)))
    model.set_weights([RANDOM.standard_normal(weight.shape).astype("f4") for weight in model.get_weights()])
    model.compile("adam")
    return model


def by_name(model: Any) -> dict[str, np.ndarray]:
    return {
        f"{layer.name}/{weight.name}": weight.numpy() for layer in model.layers for weight in layer.weights
    }  # fmt: skip


@KERAS_WARNS
@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5", "model.keras"])
def test_what_keras_saves_comes_back_under_its_names(tmp_path: Path, keras: Any, name: str) -> None:
    model = keras_model(keras)
    (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    assert_holds(read_tensors(tmp_path / name), "hdf5", by_name(model))


@KERAS_WARNS
def test_a_keras_file_without_names_in_it_is_read_by_its_config(tmp_path: Path, keras: Any) -> None:
    keras.backend.clear_session()
    model = keras_model(keras)
    model.layers[-1].name = "predictions"
    model.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as old, zipfile.ZipFile(tmp_path / "b.keras", "w") as new:
        weights = io.BytesIO(old.read("model.weights.h5"))
        with h5py.File(weights, "r+") as file:
            file.visititems(lambda name, thing: thing.attrs.pop("name", None) and None)
        new.writestr("config.json", old.read("config.json"))
        new.writestr("model.weights.h5", weights.getvalue())
    (tmp_path / "c").write_bytes(weights.getvalue())
    assert_holds(read_tensors(tmp_path / "b.keras"), "hdf5", by_name(model))
    refused(tmp_path / "c", "name of layer")


@KERAS_WARNS
def test_a_batch_norm_without_beta_is_told_by_the_config(tmp_path: Path, keras: Any) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(center=False)])
    model.save(tmp_path / "a.keras")
    assert_holds(read_tensors(tmp_path / "a.keras"), "hdf5", by_name(model))


@KERAS_WARNS
def test_a_model_inside_a_model_is_read_if_no_names_clash(tmp_path: Path, keras: Any) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), keras_model(keras), keras.layers.Dense(2, name="head")])
    model.save_weights(tmp_path / "a.weights.h5")
    expected = by_name(model.layers[0]) | by_name(keras.Sequential(model.layers[1:]))
    assert_holds(read_tensors(tmp_path / "a.weights.h5"), "hdf5", expected)


LAYERS = {
    "conv2d_5": {"kernel": SOME["Net/Conv_1/weights"]},
    "batch_normalization_5": {"beta": np.ones(5, "f4"), "moving_mean": np.zeros(5, "f4")},
    "add": {},
    "block2_sepconv1": {
        "depthwise_kernel": np.ones((3, 3, 4, 1), "f4"),
        "pointwise_kernel": np.ones((1, 1, 4, 5), "f4"),
    },
}
NAMED = {f"{layer}/{name}": array for layer, variables in LAYERS.items() for name, array in variables.items()}


@pytest.mark.parametrize(
    "scope", ["{variable}:0", "{layer}/{variable}:0", "{layer}/{layer}/{variable}:0", "a/b/{variable}"]
)
@pytest.mark.parametrize("root", ["/", "model_weights"])
@pytest.mark.parametrize("chunks", [0, 2])
def test_keras_2s_files_come_back_however_weights_are_scoped(path: Path, scope: str, root: str, chunks: int) -> None:
    foreign.write_keras_h5(path, LAYERS, scope, root, chunks)
    assert_holds(read_tensors(path), "hdf5", NAMED)


@pytest.mark.parametrize("filters", [dict(compression="gzip", shuffle=True, fletcher32=True), dict(compression="lzf")])
def test_packed_arrays_are_read(path: Path, filters: dict[str, Any]) -> None:
    foreign.write_keras_h5(path, LAYERS, **filters)
    assert_holds(read_tensors(path), "hdf5", NAMED)


def big_endian(file: Any) -> None:
    file["conv2d_5"]["more"] = np.ones(3, ">f4")
    file["conv2d_5"].attrs["weight_names"] = ["more"]


def test_big_endian_numbers_are_turned(path: Path) -> None:
    foreign.write_keras_h5(path, {"conv2d_5": {}})
    with h5py.File(path, "r+") as file:
        big_endian(file)
    assert_holds(read_tensors(path), "hdf5", {"conv2d_5/more": np.ones(3, "f4")})


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3,))
    file.create_virtual_dataset("add/x", layout)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "is a link to elsewhere": lambda file: file.update({"add/x": h5py.SoftLink("/conv2d_5")}),
    "'y' is a link to elsewhere": lambda file: file.update({"add/y": h5py.ExternalLink("/etc/passwd", "x")}),
    "under two names": lambda file: file.update({"add/x": file["conv2d_5"]}),
    "'z' is there under two names": lambda file: file.update({"add/z": file["/"]}),
    "lies in another file": lambda file: file["add"].create_dataset("x", (3,), "f4", external=[("/etc/passwd", 0, 12)]),
    "is virtual": virtual,
    "/add/text holds no plain numbers": lambda file: file.update({"add/text": "text"}),
    "/add/bytes holds no plain numbers": lambda file: file.update({"add/bytes": np.array([b"abc"])}),
    "/add/pair holds no plain numbers": lambda file: file.update({"add/pair": np.zeros(2, "f4,i4")}),
    "/add/i holds no plain numbers": lambda file: file.update({"add/i": np.zeros(2, "c8")}),
    "/add/rows holds no plain numbers": lambda file: file["add"].create_dataset("rows", (2,), h5py.vlen_dtype("f4")),
    "/add/at holds no plain numbers": lambda file: file["add"].create_dataset("at", (2,), h5py.ref_dtype),
    "neither group nor dataset": lambda file: file.update({"add/kind": np.dtype("f4")}),
    "packed by filters .6.": lambda file: file["add"].create_dataset("x", (3,), "f4", scaleoffset=2),
    "arrays of 4,000,744 bytes declared": lambda file: file["add"].create_dataset("x", (10**6,), "f4"),
    "arrays of 400,000,744 bytes declared": lambda file: file["add"].create_dataset(
        "x", (1,), "f4", maxshape=(None,), chunks=(10**8,)
    ),
    "has the shape": lambda file: file["add"].create_dataset("x", (2**40, 2**20), "f4", chunks=(1, 1)),
    "groups nested deeper": lambda file: file.create_group("/".join("abcdefghij" * 4)),
    "listed twice": lambda file: file["add"].attrs.create("weight_names", ["/conv2d_5/conv2d_5/kernel:0"]),
    "two tensors are named": lambda file: file.attrs.create("layer_names", ["conv2d_5", "conv2d_5"]),
    "add/conv2d_5 is no array": lambda file: file["add"].attrs.create("weight_names", ["/conv2d_5"]),
    "KeyError": lambda file: file.attrs.create("layer_names", ["conv2d_6"]),
}


@pytest.mark.parametrize("cause", REFUSED)
def test_hdf5_that_weights_do_not_need_is_refused(path: Path, cause: str) -> None:
    foreign.write_keras_h5(path, LAYERS)
    with h5py.File(path, "r+") as file:
        REFUSED[cause](file)
    refused(path, cause)


def test_a_bomb_of_packed_zeros_is_refused(path: Path) -> None:
    foreign.write_keras_h5(path, {"a": {"kernel": np.zeros(2 * 10**7, "f4")}}, compression="gzip")
    assert path.stat().st_size < 10**6
    refused(path, "arrays of 80,")


def test_a_keras_file_with_bombs_in_its_zip_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(10**8))
    refused(path, "weights of 100,000,000 bytes declared")


def test_h5py_is_asked_for_by_the_extra_that_brings_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign.write_keras_h5(path, LAYERS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r"pip install 'torchinception\[keras\]'"):
        read_tensors(path)


# all


@pytest.mark.parametrize(
    "content", [b"", b"hello\n" * 50, b"\xff" * 100, b"\x1f\x8b" + bytes(50), b"\x0a" * 30, b"PK\3\4"]
)
def test_other_files_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("name", ["none.pth", "."])
def test_a_missing_file_is_a_missing_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingInputError):
        read_tensors(tmp_path / name)


def test_a_file_above_the_cap_is_refused_unread(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 << 30)  # sparse
    refused(path, "5,368,709,120 bytes")


def test_reading_needs_no_foreign_library() -> None:
    code = "import sys, torchinception.weights.formats; print({'h5py', 'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=True
    )
    assert done.stdout == "set()\n"

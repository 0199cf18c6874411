import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_files as foreign
import h5py
import numpy as np
import pytest
from format_fixtures import SOME, assert_holds, refused

from torchinception.errors import UsageError
from torchinception.weights.formats import read_tensors

RANDOM = np.random.default_rng(0)
KERAS_WARNS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of its own arrays


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

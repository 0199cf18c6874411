"""TF-slim's and Caffe's files: same variables, same answer as a plain evaluation of the source's own graph.

Neither library can be installed any more. Names and shapes are those of `slim_variables.txt`, in slim's order of
creation, and of `caffe_layers.txt`, as read from the prototxt; values are random, in files of the real formats.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import caffe_graph
import numpy as np
import pytest
import slim_graphs
import torch
from foreign_files import write_caffe, write_tf_tar, write_tf_v1, write_tf_v2
from tensorflow_ops import CLASSES, Given
from torch import Tensor

import torchinception
import torchinception.data.sample
from torchinception.classifier import Classifier
from torchinception.data.images import load_image
from torchinception.errors import ModelFileError
from torchinception.weights.formats import Contents
from torchinception.weights.sources import find_source, translate

Arrays = dict[str, np.ndarray[Any, np.dtype[np.float32]]]
HERE = Path(__file__).parent
SIZES = dict(InceptionV1=224, InceptionV2=224, InceptionV3=299, InceptionV4=299, InceptionResnetV2=299)
SOURCES = dict(
    InceptionV1="slim_inception_v1",
    InceptionV2="slim_inception_v2",
    InceptionV3="slim_inception_v3",
    InceptionV4="slim_inception_v4",
    InceptionResnetV2="slim_inception_resnet_v2",
)
DOUBLE = 1e-9  # of the largest logit: both sides have the same float32 weights, and float64 sums in another order
SINGLE = 1e-4  # of the largest logit: up to a few hundred layers, each rounded to float32's 6e-8
WRITERS: dict[str, Callable[[Path, Arrays], None]] = {"InceptionV1": write_tf_tar, "InceptionV2": write_tf_v2}


@cache
def listed() -> dict[str, dict[str, tuple[int, ...]]]:
    found: dict[str, dict[str, tuple[int, ...]]] = {scope: {} for scope in SIZES}
    for line in (HERE / "slim_variables.txt").read_text().splitlines():
        name, sizes = line.split()
        found[name.partition("/")[0]][name] = tuple(map(int, sizes.split("x")))
    return found


@cache
def caffe_listed() -> dict[str, list[tuple[int, ...]]]:
    rows = [line.split() for line in (HERE / "caffe_layers.txt").read_text().splitlines()]
    return {name: [tuple(map(int, sizes.split("x"))) for sizes in blobs] for name, *blobs in rows}


def fill(name: str, shape: tuple[int, ...], inputs: int, generator: np.random.Generator) -> Any:
    """Kernels as wide as He has them, variances about 1, all else about 0."""
    if len(shape) > 1:
        return (generator.standard_normal(shape, np.float32) * np.float32((2 / inputs) ** 0.5)).astype(np.float32)
    if name.endswith("variance"):
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    return (generator.standard_normal(shape, np.float32) * np.float32(0.1)).astype(np.float32)


def slim_variables(scope: str) -> Arrays:
    generator, found = np.random.default_rng(0), {}
    for name, shape in listed()[scope].items():
        inputs = int(np.prod(shape[:2] if "depthwise" in name else shape[:-1]))
        found[name] = fill(name, shape, inputs, generator)
    return found


@pytest.fixture(scope="module", params=SIZES)
def slim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Arrays, Classifier]:
    scope = request.param
    variables = slim_variables(scope)
    path = tmp_path_factory.mktemp("slim") / scope
    WRITERS.get(scope, write_tf_v1)(path, variables)
    classifier = torchinception.load(path)
    for file in path.parent.iterdir():
        file.unlink()
    return scope, variables, classifier


@pytest.fixture(scope="module")
def caffe(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Any]], Classifier]:
    generator = np.random.default_rng(0)
    blobs = {
        name: [fill("", shape, int(np.prod(shape[1:])), generator) for shape in shapes]
        for name, shapes in caffe_listed().items()
    }
    blobs["conv1/7x7_s2"][0] /= 64  # its input is of 0 to 255
    path = tmp_path_factory.mktemp("caffe") / "bvlc_googlenet.caffemodel"
    write_caffe(path, blobs)
    return blobs, torchinception.load(path)


def pixels(size: int) -> Tensor:
    return torch.randint(256, (1, 3, size, size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def distance(found: Tensor, right: Tensor) -> float:
    return ((found - right).abs().max() / right.abs().max()).item()


def in_double(classifier: Classifier, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    net = classifier.network.double()
    try:
        with torch.inference_mode():
            logits, heads = net(x, aux=True)
        return logits, heads
    finally:
        net.float()


@pytest.mark.parametrize("scope", SIZES)
def test_a_slim_graph_creates_the_listed_variables_in_the_listed_order(scope: str) -> None:
    assert list(slim_graphs.shapes(scope, SIZES[scope]).items()) == list(listed()[scope].items())


@torch.inference_mode()
def test_slims_graph_and_our_network_come_to_the_same_logits(slim: tuple[str, Arrays, Classifier]) -> None:
    scope, variables, classifier = slim
    picture = pixels(SIZES[scope])
    x = (picture.double() / 255 - 0.5) * 2
    given = Given({name: torch.from_numpy(array) for name, array in variables.items()})

    right, aux = slim_graphs.evaluate(scope, given, x)
    logits, heads = in_double(classifier, x)

    assert given.used == list(variables)  # each once
    assert classifier.spec.origin["source"] == SOURCES[scope]  # recognized by its keys
    assert logits.shape == (1, 1000)
    assert distance(logits, right[:, 1:]) <= DOUBLE  # without the background
    assert len(heads) == (0 if aux is None else 1)
    for head in heads.values():
        assert aux is not None
        assert distance(head, aux[:, 1:]) <= DOUBLE
    assert distance(classifier.logits(picture), right[:, 1:]) <= SINGLE


def test_slims_variables_by_name_are_those_by_order(slim: tuple[str, Arrays, Classifier]) -> None:
    """Slim creates variables, gammas aside, in the order in which our parameters are defined."""
    _, variables, classifier = slim
    state = classifier.network.state_dict()
    ours = {key: value for key, value in state.items() if not key.endswith(("bn.weight", "num_batches_tracked"))}

    for (key, value), (name, array) in zip(ours.items(), variables.items(), strict=True):
        assert np.array_equal(value.numpy(), in_torch_layout(name, array, value.ndim)), (key, name)
    assert all((state[key] == 1).all() for key in state if key.endswith("bn.weight"))


def in_torch_layout(name: str, array: Any, ndim: int) -> Any:
    """With axes (out, in, height, width), and without the background."""
    if "depthwise" in name:  # channel after channel, each with its multiples
        channels, times = array.shape[2:]
        return np.stack([array[:, :, c, m] for c in range(channels) for m in range(times)])[:, None]
    array = np.moveaxis(array, (-1, -2), (0, 1)) if array.ndim > 1 else array
    array = array.reshape(array.shape[:ndim])
    return array[1:] if len(array) == CLASSES else array


@torch.inference_mode()
def test_caffes_graph_and_our_network_come_to_the_same_logits(caffe: tuple[dict[str, list[Any]], Classifier]) -> None:
    blobs, classifier = caffe
    picture = pixels(224)
    x = picture.flip(1).double() - torch.tensor([104.0, 117, 123]).view(3, 1, 1)  # blue, green, red

    given = {name: [torch.from_numpy(blob) for blob in pair] for name, pair in blobs.items()}
    right = caffe_graph.evaluate(given, x)
    logits, heads = in_double(classifier, x.flip(1))

    assert classifier.spec.origin["source"] == "caffe_googlenet"
    assert distance(logits, right["loss3"]) <= DOUBLE
    assert distance(heads["inception_4a"], right["loss1"]) <= DOUBLE
    assert distance(heads["inception_4d"], right["loss2"]) <= DOUBLE
    assert distance(classifier.logits(picture), right["loss3"]) <= SINGLE


def test_caffes_blobs_by_name_are_those_by_order(caffe: tuple[dict[str, list[Any]], Classifier]) -> None:
    """Our auxiliary heads are defined behind all stages, Caffe's amid them."""
    blobs, classifier = caffe
    order = sorted(blobs, key=lambda name: name.partition("/")[0] if name.startswith("loss") else "")
    arrays = [blob for name in order for blob in blobs[name]]

    for (key, value), array in zip(classifier.network.state_dict().items(), arrays, strict=True):
        right = array[:, ::-1] if key == "trunk.conv_1.conv.weight" else array  # blue, green, red
        assert np.array_equal(value.numpy(), right), key


@pytest.mark.parametrize(("size", "source"), [(224, "slim_inception_v1"), (299, "slim_inception_v3")])
@pytest.mark.parametrize("name", ["train.png", "test.png"])
def test_slims_preparation_is_its_crop_its_stretch_and_its_scale(size: int, source: str, name: str) -> None:
    preprocess = find_source(source).preprocess
    picture = load_image(Path(torchinception.data.sample.__file__).with_name(name))
    top, left = picture.shape[0] // 16, picture.shape[1] // 16  # central_crop of 87.5 %
    middle = picture[top : picture.shape[0] - top, left : picture.shape[1] - left] / 255
    for axis in (0, 1):  # resize_bilinear: pixel i is from i * old / new
        old = middle.shape[axis]
        matrix = np.zeros((size, old))
        for i in range(size):
            whole, rest = divmod(i * old, size)
            matrix[i, whole] += 1 - rest / size
            matrix[i, min(whole + 1, old - 1)] += rest / size
        middle = np.moveaxis(np.tensordot(matrix, middle, (1, axis)), 0, axis)
    right = torch.from_numpy((middle - 0.5) * 2).permute(2, 0, 1)

    found = preprocess.normalize(preprocess.cut(picture)[None])[0]

    half_a_level = 1 / 255  # here the resized picture is rounded to whole grey levels
    misplaced = 2 * sum(picture.shape[:2]) * 2**-23  # float32's places in the picture, from black to white a pixel
    assert (found - right).abs().max() <= half_a_level + misplaced


def test_caffes_scale_is_grey_levels_less_their_mean() -> None:
    picture = pixels(32)
    right = picture.double() - torch.tensor([123.0, 117, 104]).view(3, 1, 1)  # red, green, blue
    found = find_source("caffe_googlenet").preprocess.normalize(picture)
    assert (found - right).abs().max() <= 255 * 4 * 2**-23  # a division, a difference and a division in float32


def zeros(scope: str) -> dict[str, Tensor]:
    """Of the listed shapes, without the memory."""
    return {name: torch.zeros(()).expand(shape) for name, shape in listed()[scope].items()}


@pytest.mark.parametrize("scope", SIZES)
@pytest.mark.parametrize("which", [0, 5, -2])
def test_a_missing_variable_of_slim_is_named(scope: str, which: int) -> None:
    tensors = zeros(scope)
    name = list(tensors)[which]
    del tensors[name]
    with pytest.raises(ModelFileError, match=f"missing {name}"):
        read(tensors, scope)


@pytest.mark.parametrize("scope", SIZES)
def test_a_variable_that_slim_does_not_have_is_named(scope: str) -> None:
    with pytest.raises(ModelFileError, match=f"unknown {scope}/Conv2d_9z_1x1/weights"):
        read(zeros(scope) | {f"{scope}/Conv2d_9z_1x1/weights": torch.zeros(1, 1, 3, 3)}, scope)


@pytest.mark.parametrize("scope", SIZES)
def test_a_variable_of_slim_of_another_shape_is_named(scope: str) -> None:
    name = f"{scope}/Mixed_5b/Branch_1/Conv2d_0a_1x1/weights"
    tensors = zeros(scope)
    tensors[name] = tensors[name].transpose(2, 3)  # the layout of another library
    with pytest.raises(ModelFileError, match=name):
        read(tensors, scope)


def read(tensors: dict[str, Tensor], scope: str) -> None:
    translate(Contents(Path("model.ckpt"), "tensorflow", tensors), find_source(SOURCES[scope]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda blobs: blobs.pop("inception_4c/5x5"), "missing inception_4c/5x5/0, inception_4c/5x5/1"),
        (lambda blobs: blobs.update(loss4=[np.ones(1, np.float32)]), "unknown loss4/0"),
        (lambda blobs: blobs["loss1/fc"].insert(0, blobs["loss1/fc"].pop(0)[:, :-1]), "loss1/fc/0 is"),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_a_wrong_layer_of_caffe_is_named(change: Callable[[Any], object], told: str, tmp_path: Path) -> None:
    blobs = {name: [np.zeros(shape, np.float32) for shape in shapes] for name, shapes in caffe_listed().items()}
    change(blobs)
    write_caffe(tmp_path / "wrong", blobs)
    with pytest.raises(ModelFileError, match=told):
        torchinception.load(tmp_path / "wrong")


@pytest.mark.parametrize(("old", "heads"), [(True, True), (False, False)], ids=["of 2014", "for deployment"])
def test_caffes_other_files_give_the_same_network(
    old: bool, heads: bool, caffe: tuple[dict[str, list[Any]], Classifier], tmp_path: Path
) -> None:
    blobs, classifier = caffe
    kept = {name: pair for name, pair in blobs.items() if heads or not name.startswith(("loss1", "loss2"))}
    write_caffe(tmp_path / "other", kept, old=old)
    found, right = torchinception.load(tmp_path / "other").network.state_dict(), classifier.network.state_dict()
    assert found.keys() == {key for key in right if heads or not key.startswith("aux.")}
    assert all(torch.equal(found[key], right[key]) for key in found)

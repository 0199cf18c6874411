"""Keras's files as Keras writes them, loaded by us: the same logits from the same pictures.

The weights are ours, random, and handed to Keras's graphs by structure (`copy_to_keras`): what comes back by name from
each kind of file has to be the same bit for bit.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import torch
from peer_pictures import write_pictures
from peer_weights import copy_to_keras, defined, distance, randomize, settle
from torch import Tensor

from torchinception import Classifier, load
from torchinception.data.images import load_image
from torchinception.models import Inception, create
from torchinception.weights.convert import convert

# Keras 3.15 reads torch's tensors in NumPy's old way
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
TOLERANCE = 1e-4  # of the largest value, in float32
MODELS = {
    "keras_inception_v3": ("inception_v3", "InceptionV3"),
    "keras_inception_resnet_v2": ("inception_resnet_v2", "InceptionResNetV2"),
    "keras_xception": ("xception", "Xception"),
}
Save = Callable[[Any, Path], None]


class Case(NamedTuple):
    """Our network, and Keras's two with its weights: with classifier, and pooled without; x is Keras's own input."""

    source: str
    net: Inception
    full: Any
    pooled: Any
    pictures: list[Path]
    x: Tensor


def save_weights_as_published(model: Any, path: Path) -> None:
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:  # what `save_weights("….h5")` did in Keras 1 and 2
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


SAVES: dict[str, Save] = {
    "weights.h5 of Keras 2": save_weights_as_published,
    "model.h5 of Keras 2": lambda model, path: save_and_move(model.save, path, ".h5"),
    ".weights.h5": lambda model, path: save_and_move(model.save_weights, path, ".weights.h5"),
    ".keras": lambda model, path: save_and_move(model.save, path, ".keras"),
}


def save_and_move(save: Callable[[Path], None], path: Path, suffix: str) -> None:
    """Keras tells kinds by suffixes, we do not."""
    save(path.with_suffix(suffix))
    path.with_suffix(suffix).rename(path)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest, keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Keras numbers the layers of its second model where those of the first ended: `conv2d_94`."""
    network, name = MODELS[request.param]
    keras.backend.clear_session()  # the first begins at 0
    build = getattr(keras.applications, name)
    full = build(weights=None, classifier_activation=None)
    pooled = build(weights=None, include_top=False, pooling="avg")
    pictures = write_pictures(tmp_path_factory.mktemp("pictures"))
    x = keras_input(keras, getattr(keras.applications, network), pictures)
    with torch.device("meta"):
        net = create(network)
    net = randomize(net, torch.float32)
    copy_to_keras(defined(net), full)  # makes ones of the gammas that Keras has not
    settle(net, x[:2].permute(0, 3, 1, 2))
    copy_to_keras(defined(net), full)
    copy_to_keras(defined(net.trunk), pooled)
    return Case(request.param, net, full, pooled, pictures, x)


def keras_input(keras: Any, application: ModuleType, pictures: Sequence[Path]) -> Tensor:
    """(N, H, W, 3) by Keras's own means; `load_img` would take the nearest pixel if not asked for better."""
    images = [keras.utils.load_img(path, target_size=(299, 299), interpolation="bilinear") for path in pictures]
    batch = np.stack([keras.utils.img_to_array(image) for image in images])
    return torch.from_numpy(application.preprocess_input(batch))  # type: ignore[attr-defined]


def test_pictures_get_keras_logits_and_its_first_class(case: Case, tmp_path: Path) -> None:
    save_weights_as_published(case.full, tmp_path / "weights")
    found = load(tmp_path / "weights", source=case.source)

    logits, right = found.network(prepared(found, case.pictures)), case.full(case.x, training=False)

    assert distance(logits, right) <= TOLERANCE
    assert logits.argmax(1).equal(right.argmax(1))


def test_pictures_get_keras_features_from_a_file_without_top(case: Case, tmp_path: Path) -> None:
    save_weights_as_published(case.pooled, tmp_path / "notop")
    found = load(tmp_path / "notop", source=case.source, classes=3)

    features = found.network.trunk(prepared(found, case.pictures[:1])).mean((2, 3))

    assert found.classes == ("class_0", "class_1", "class_2")
    assert distance(features, case.pooled(case.x[:1], training=False)) <= TOLERANCE


@pytest.mark.parametrize(
    ("save", "top"), [*((save, True) for save in SAVES), *((save, False) for save in SAVES if "weights" in save)]
)
def test_weights_by_name_are_those_by_the_graphs_order_bit_for_bit(
    case: Case, save: str, top: bool, tmp_path: Path
) -> None:
    """Files list layers in another order than the graph meets them; `conv2d_94` and on are those of `pooled`."""
    SAVES[save](case.full if top else case.pooled, tmp_path / "saved")

    found = convert(tmp_path / "saved", source=case.source).tensors

    right = {k: v for k, v in case.net.state_dict().items() if top or not k.startswith("classifier.")}
    assert found.keys() == right.keys()
    unlike = [key for key in right if not found[key].equal(right[key])]
    assert [key for key in unlike if not key.endswith("num_batches_tracked")] == []  # Keras does not count


@pytest.mark.parametrize("case", ["keras_inception_v3"], indirect=True)
def test_the_second_model_of_a_process_is_numbered_from_94(case: Case, tmp_path: Path) -> None:
    """So that the test above is about such numbers."""
    for model, first in ((case.full, "conv2d"), (case.pooled, "conv2d_94")):
        save_weights_as_published(model, tmp_path / first)
        with h5py.File(tmp_path / first) as file:
            names = [name for name in file if name.startswith("conv2d")]
        assert min(names, key=lambda name: int(name[7:] or 0)) == first


def prepared(classifier: Classifier, pictures: Sequence[Path]) -> Tensor:
    cuts = torch.stack([classifier.preprocess.cut(load_image(picture)) for picture in pictures])
    return classifier.preprocess.normalize(cuts)

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_fixtures import encode, noise, tiny_classifier
from engine_fixtures import AT_ONCE
from PIL import Image

import torchinception as ti
from torchinception.classifier import Classifier, load
from torchinception.data.images import Source
from torchinception.errors import ImageError
from torchinception.models import Inception

CLASSES = tuple("abcdefg")


@pytest.fixture(scope="module")
def model() -> Classifier:
    return tiny_classifier(*CLASSES)


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    """One picture as everything that `predict` takes."""
    content = encode(noise(0, 40, 50), "JPEG")
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    image = Image.open(io.BytesIO(content))
    return [path, str(path), content, image, np.array(image)]


def test_path_bytes_image_array_and_a_list_of_them_agree_exactly(model: Classifier, sources: list[Source]) -> None:
    alone = [model.predict(source) for source in sources]
    assert alone == [alone[0]] * len(sources)
    assert [len(found) for found in alone] == [1] * len(sources)
    together = model.predict(sources)
    assert together == [together[0]] * len(sources)


def test_a_picture_is_named_alike_in_any_company(model: Classifier) -> None:
    pictures = [noise(seed, 30, 30) for seed in range(40)]  # more than a batch
    for found, picture in zip(model.predict(pictures, top=7), pictures, strict=True):
        (alone,) = model.predict(picture, top=7)
        assert found.classes == alone.classes
        # the order of a convolution's sums depends on the batch's size: some units of the last place of float32
        assert found.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_the_probabilities_of_all_classes_sum_to_one_and_fall(model: Classifier) -> None:
    (found,) = model.predict(noise(0), top=99)
    assert sorted(found.classes) == sorted(CLASSES)
    assert list(found.probabilities) == sorted(found.probabilities, reverse=True)
    assert sum(found.probabilities) == pytest.approx(1, abs=1e-6)  # seven float32 near 1/7: half a unit each, 1e-8


def test_top_cuts_the_list_and_changes_nothing_else(model: Classifier) -> None:
    (three,), (all_seven,) = model.predict(noise(0), top=3), model.predict(noise(0), top=7)
    assert (three.classes, three.probabilities) == (all_seven.classes[:3], all_seven.probabilities[:3])


def test_probabilities_are_the_softmax_of_the_networks_own_answer(model: Classifier) -> None:
    picture = noise(0, 32, 32)
    pixels = torch.from_numpy(picture[2:30, 2:30].transpose(2, 0, 1).astype(np.float32))  # 28 of 32 pixels
    with torch.inference_mode():
        expected = model.network((pixels / 127.5 - 1)[None]).softmax(1)[0]
    (found,) = model.predict(picture, top=7)
    answer = dict(zip(found.classes, found.probabilities, strict=True))
    # a rounding in the scaling, at most 1e-7 of a pixel, is amplified by 11 layers at most a hundredfold
    assert [answer[name] for name in CLASSES] == pytest.approx(expected.tolist(), abs=1e-5)


def test_no_pictures_give_no_predictions(model: Classifier) -> None:
    assert model.predict([]) == []


@pytest.mark.parametrize("bad", [b"hello", "none.jpg", np.zeros((2, 2), np.float32)])
def test_a_bad_picture_among_good_ones_is_an_image_error(model: Classifier, bad: Source) -> None:
    with pytest.raises(ImageError):
        model.predict([noise(0), bad])


def test_predicting_leaves_network_and_picture_as_they_were(model: Classifier) -> None:
    before, picture = {k: v.clone() for k, v in model.network.state_dict().items()}, noise(0)
    model.predict(picture)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())
    assert np.array_equal(picture, noise(0))
    assert not model.network.training


def test_a_loaded_model_answers_like_the_saved_one(model: Classifier, tmp_path: Path) -> None:
    model.save(tmp_path / "model.safetensors")
    for path in (tmp_path / "model.safetensors", str(tmp_path)):  # the file, or the run's folder
        loaded = load(path)
        assert loaded.spec == model.spec
        assert loaded.predict(noise(0), top=7) == model.predict(noise(0), top=7)


def test_a_new_process_gives_the_same_probabilities_bit_for_bit(
    model: Classifier, sources: list[Source], tmp_path: Path
) -> None:
    model.save(tmp_path / "m")
    script = """if True:
        import json, sys, torchinception as ti
        found = ti.load(sys.argv[1]).predict(sys.argv[2:], top=7)
        print(json.dumps([[p.classes, [x.hex() for x in p.probabilities]] for p in found]))"""
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "m"), str(sources[0])]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (here,) = model.predict(sources[0], top=7)
    assert json.loads(printed) == [[list(here.classes), [x.hex() for x in here.probabilities]]]


def test_the_public_names_are_the_classes_of_their_modules() -> None:
    assert (ti.Classifier, ti.load) == (Classifier, load)


def test_it_computes_with_the_engine_that_it_is_given(model: Classifier) -> None:
    class Constant:
        def run_uint8(self, pictures: torch.Tensor) -> torch.Tensor:
            return torch.eye(7)[[3] * len(pictures)]

    other = tiny_classifier(*CLASSES)
    other.use(Constant())  # type: ignore[arg-type]
    assert [found.classes[0] for found in other.predict([noise(0), noise(1)])] == ["d", "d"]


def test_once_its_weights_change_so_do_its_answers(model: Classifier) -> None:
    other = tiny_classifier(*CLASSES)
    other.use(ti.engine(other, "onnx"))
    assert other.predict(noise(0))[0].classes == model.predict(noise(0))[0].classes
    with torch.no_grad():
        other.network.classifier.bias[4] += 100
    assert other.predict(noise(0))[0].classes[0] == "e"
    assert other.engine.name == AT_ONCE
    other.network.load_state_dict(model.network.state_dict())
    assert other.predict(noise(0)) == model.predict(noise(0))


def replace_parameter(net: Inception) -> None:
    net.classifier.bias = torch.nn.Parameter(net.classifier.bias.detach() + torch.eye(7)[4] * 100)


def replace_twice(net: Inception) -> None:
    """The second one is likely to get the memory of the first."""
    for _ in range(2):
        net.classifier.bias.data = net.classifier.bias.data + torch.eye(7)[4] * 50


def share_and_write(net: Inception) -> None:
    """Another parameter of the same memory, which was written to as often as the first."""
    before = net.classifier.bias._version
    net.classifier.bias = torch.nn.Parameter(net.classifier.bias.data)
    with torch.no_grad():
        for _ in range(before):
            net.classifier.bias.add_(torch.eye(7)[4] * 100)
    assert net.classifier.bias._version == before > 0


def replace_layer(net: Inception) -> None:
    net.classifier = torch.nn.Linear(net.classifier.in_features, 7)
    net.classifier.bias.data[4] = 100


@pytest.mark.parametrize("change", [replace_parameter, replace_twice, share_and_write, replace_layer])
def test_weights_that_are_replaced_are_noticed(change: Callable[[Inception], None]) -> None:
    other = tiny_classifier(*CLASSES)
    other.use(ti.engine(other, "onnx"))
    used = other.engine
    other.predict(noise(0))
    assert other.engine is used
    change(other.network)
    assert other.predict(noise(0))[0].classes[0] == "e"
    used = other.engine
    other.predict(noise(1))
    assert (used.name, other.engine is used) == (AT_ONCE, True)


def test_features_are_those_of_its_network(model: Classifier) -> None:
    batch = torch.from_numpy(noise(0, 28, 28))[None].permute(0, 3, 1, 2)
    found = model.features(batch, "conv_1")
    with torch.inference_mode():
        expected = model.network.endpoints(model.preprocess.normalize(batch), ["conv_1"])["conv_1"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)

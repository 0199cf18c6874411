"""What an explanation says besides its map, whose class and stage it takes, and what it refuses."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from data_fixtures import noise, tiny_classifier

from torchinception.classifier import Classifier
from torchinception.data.transforms import Preprocess
from torchinception.errors import ImageError, UsageError
from torchinception.explaining import METHODS, explain, heat_maps
from torchinception.explaining.explanation import default_stage
from torchinception.models import NETWORKS, create
from torchinception.weights.bundle import ModelSpec


@pytest.mark.parametrize("method", METHODS)
def test_an_explanation_covers_the_cut_picture_and_says_what_predict_says(method: str) -> None:
    model, picture = tiny_classifier("a", "b", "c", "d", "e", "f"), noise(3, 50, 70)
    found = explain(model, picture, method)
    (predicted,) = model.predict(picture)
    assert found.best == predicted
    assert (found.label, found.probability) == (predicted.classes[0], predicted.probabilities[0])
    assert np.array_equal(found.picture, model.preprocess.cut(picture).permute(1, 2, 0).numpy())
    assert (found.heat.shape, found.heat.dtype) == ((28, 28), np.float32)
    assert np.isfinite(found.heat).all()
    assert (found.heat != 0).any()
    assert (found.gap is None) == (method != "integrated-gradients")
    assert found.stage == (None if found.method in ("integrated-gradients", "occlusion") else "inception_3b")
    assert found.heads == {}


def test_the_smoothed_heat_of_integrated_gradients_still_sums_to_the_difference() -> None:
    model = tiny_classifier("a", "b")
    found = explain(model, noise(1, 40, 40), "integrated-gradients", target="b")
    x = model.preprocess.normalize(torch.from_numpy(found.picture.copy()).permute(2, 0, 1)[None])
    with torch.no_grad():
        difference = (model.network(x) - model.network(torch.zeros_like(x)))[0, 1].item()
    assert found.heat.sum(dtype=np.float64) == pytest.approx(difference, rel=0.01)


def test_many_cut_pictures_get_the_maps_that_each_gets_alone() -> None:
    model, pictures = tiny_classifier("a", "b", "c"), [noise(seed, 28, 28) for seed in range(5)]
    batch = torch.stack([model.preprocess.cut(picture) for picture in pictures])
    alone = [explain(model, p, target="abc"[i % 3]).heat for i, p in enumerate(pictures)]
    found = heat_maps(model, batch, [i % 3 for i in range(5)])
    # a batch of another size is summed in another order
    np.testing.assert_allclose(found, np.stack(alone), atol=1e-5 * np.max(alone))
    assert heat_maps(model, batch[:0], []).shape == (0, 28, 28)


def test_explaining_leaves_the_network_as_it_is_and_works_where_gradients_are_off() -> None:
    model, picture = tiny_classifier("a", "b"), noise(1, 40, 40)
    for parameter in model.network.parameters():
        parameter.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    heats: list[npt.NDArray[np.float32]] = []
    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with mode():
            heats += [explain(model, picture, method).heat for method in METHODS]
    for one, other in zip(heats, heats[len(METHODS) :], strict=False):
        assert np.array_equal(one, other)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.network.state_dict().items())
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.network.modules())


@pytest.mark.parametrize("name", NETWORKS)
def test_by_default_the_last_stage_is_looked_at(name: str) -> None:
    with torch.device("meta"):
        model = Classifier.__new__(Classifier)
        model.network, model.preprocess = create(name), Preprocess(size=NETWORKS[name].size)
    assert default_stage(model) == list(NETWORKS[name].stages)[-1]


def test_on_a_small_picture_it_is_the_last_with_more_than_one_cell() -> None:
    model = tiny_classifier("a", "b", size=10)  # 10 -> 4 -> 1
    assert explain(model, noise(1, 20, 20)).stage == "inception_2d"


def test_a_class_is_found_by_its_id_and_by_its_name() -> None:
    model = tiny_classifier("n1", "n2", "n3", names=("crane", "crane", "tench"))
    for wanted, label in (("n2", "n2"), ("tench", "n3"), ("n3", "n3"), ("crane (n1)", "n1")):
        found = explain(model, noise(1, 40, 40), target=wanted)
        assert found.label == label
        assert found.probability == dict(zip(found.best.classes, found.best.probabilities, strict=True))[label]
    assert found.name == "crane (n1)"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (dict(target="tenhc"), "does not know the class tenhc; nearest to tenhc: tench"),
        (dict(target="crane"), "2 classes are called crane"),
        (dict(stage="mixed_9z"), "no stage named mixed_9z in tiny_inception; stages: conv_1, inception_1a"),
        (dict(stage="x", method="layer-activations"), "no stage named x in tiny_inception; stages: conv_1"),
        (dict(method="lime"), "no method named lime; methods: gradcam, integrated-gradients"),
        (dict(method="occlusion", stage="conv_1"), "leave the stage out"),
        (dict(method="layer-activations", target="n1"), "leave the class out"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(options: dict[str, str], text: str) -> None:
    model = tiny_classifier("n1", "n2", "n3", names=("crane", "crane", "tench"))
    with pytest.raises(UsageError, match=text):
        explain(model, noise(1, 40, 40), **options)  # type: ignore[arg-type]


def test_a_broken_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="not a picture"):
        explain(tiny_classifier("a", "b"), b"no picture")


def with_heads(size: int) -> Classifier:
    torch.manual_seed(0)
    net, look = create("googlenet_bn", 6, aux=True), Preprocess(size=size)
    return Classifier(net, ModelSpec(network=net.name, classes=tuple("abcdef"), aux=True, preprocess=look))


def test_each_auxiliary_head_tells_its_three_likeliest() -> None:
    model, picture = with_heads(224), noise(1, 224, 224)
    found = explain(model, picture)
    x = model.preprocess.normalize(torch.from_numpy(found.picture.copy()).permute(2, 0, 1)[None])
    with torch.no_grad():
        _, opinions = model.network(x, aux=True)
    assert list(found.heads) == ["inception_4a", "inception_4d"]
    for stage, logits in opinions.items():
        best = logits.softmax(1)[0].topk(3)
        assert found.heads[stage].classes == tuple("abcdef"[i] for i in best.indices)
        assert found.heads[stage].probabilities == tuple(best.values.tolist())


def test_heads_that_cannot_take_the_picture_are_silent() -> None:
    assert explain(with_heads(64), noise(1, 80, 80)).heads == {}

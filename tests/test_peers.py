"""Same weights, same answer: each port against the library it is a port of, at its own size.

Weights and statistics of batch norm are random, and handed over by structure (`peer_weights.py`). The peers come with
the `dev` extra; their own weights are never fetched.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pretrainedmodels
import pytest
import pytorch_fid.inception as fid
import timm
import torch
from peer_weights import copy_to_keras, copy_weights, defined, executed, randomize
from torch import Tensor, nn
from torchvision.models import googlenet, inception_v3

from torchinception.models import NETWORKS, Inception, create

TOLERANCE = 1e-12  # of the largest value: in float64 only the order of a sum can differ; up to 2e-15 was seen
KERAS_TOLERANCE = 1e-5  # Keras's batch norm computes in float32 whatever it is given; up to 2e-6 was seen
LIBRARIES = {
    "timm": timm.create_model,
    "pretrainedmodels": lambda name: getattr(pretrainedmodels, name)(pretrained=None),
}
BARE = dict(weights=None, init_weights=False, transform_input=False)  # torchvision's options


@pytest.mark.parametrize(
    ("network", "library", "name"),
    [
        ("inception_v3_torch", "timm", "inception_v3"),
        ("inception_v4", "timm", "inception_v4"),
        ("inception_resnet_v2", "timm", "inception_resnet_v2"),
        ("xception_torch", "timm", "legacy_xception"),
        ("bn_inception", "pretrainedmodels", "bninception"),
    ],
)
def test_same_weights_give_the_same_logits(network: str, library: str, name: str) -> None:
    x, net = picture(network), ours(network)
    layers, logits = executed(build(lambda: LIBRARIES[library](name)), x)

    copy_weights(layers, defined(net))

    assert distance(net(x), logits) <= TOLERANCE


@pytest.mark.parametrize(
    ("network", "peer", "heads"),
    [
        ("googlenet_torch", googlenet, {"inception_4d": "aux2", "inception_4a": "aux1"}),
        ("inception_v3_torch", inception_v3, {"mixed_6e": "AuxLogits"}),
    ],
)
def test_same_weights_give_torchvisions_logits_and_those_of_its_auxiliary_heads(
    network: str, peer: Callable[..., nn.Module], heads: dict[str, str]
) -> None:
    there = build(lambda: peer(aux_logits=True, **BARE))
    there.training = True  # of the outermost module alone: it puts out the heads' logits too, as (main, last, first)
    x, net = picture(network), ours(network, aux=True)
    layers, outputs = executed(there, x)
    apart = {module for head in heads.values() for module in there.get_submodule(head).modules()}

    copy_weights([layer for layer in layers if layer not in apart], [*defined(net.trunk), net.classifier])
    for stage, head in heads.items():
        copy_weights(defined(there.get_submodule(head)), defined(net.aux[stage]))
    logits, opinions = net(x, aux=True)

    found = (logits, *(opinions[stage] for stage in heads))
    assert all(distance(a, b) <= TOLERANCE for a, b in zip(found, outputs, strict=True))


def test_same_weights_give_pytorch_fids_logits_and_features(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        blank = inception_v3(aux_logits=False, num_classes=1008, **BARE).state_dict()
    monkeypatch.setattr(fid, "load_state_dict_from_url", lambda *_, **__: blank)  # the download
    graph = build(fid.fid_inception_v3)
    monkeypatch.setattr(fid, "fid_inception_v3", lambda: graph)  # with its random weights
    taps = fid.InceptionV3((0, 1, 2, 3), resize_input=False, normalize_input=False)
    x, net = picture("inception_v3_fid"), ours("inception_v3_fid", classes=1008)
    layers, logits = executed(graph, x)

    copy_weights(layers, defined(net))

    ends = net.endpoints(x, ["pool_3a", "pool_5a", "mixed_6e", "mixed_7c"])
    ends["mixed_7c"] = ends["mixed_7c"].mean((2, 3), keepdim=True)
    assert distance(net(x), logits) <= TOLERANCE
    assert all(distance(a, b) <= TOLERANCE for a, b in zip(ends.values(), taps(x), strict=True))


@pytest.mark.parametrize(
    ("network", "peer"),
    [("xception", "Xception"), ("inception_v3", "InceptionV3"), ("inception_resnet_v2", "InceptionResNetV2")],
)
def test_same_weights_give_keras_logits(network: str, peer: str, keras: Any) -> None:
    model = getattr(keras.applications, peer)(weights=None, classifier_activation=None)
    net, x = randomize(ours(network)).float(), picture(network).float()

    copy_to_keras(defined(net), model)

    assert distance(net(x), model(x.permute(0, 2, 3, 1), training=False)) <= KERAS_TOLERANCE


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def build(peer: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):  # where its own initialization costs nothing
        net = peer()
    return randomize(net)


def ours(network: str, **options: Any) -> Inception:
    with torch.device("meta"):
        net = create(network, **options).double().eval()
    return net.to_empty(device="cpu")


def picture(network: str) -> Tensor:
    size = NETWORKS[network].size
    return torch.randn(1, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def distance(found: Tensor, right: Tensor) -> float:
    return ((found - right).abs().max() / right.abs().max()).item()

"""What is exported loads strictly where it goes, and answers there as here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from data_fixtures import full_disk
from peer_weights import randomize
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import googlenet, inception_v3

import torchinception as ti
from torchinception.errors import SaveError, UsageError
from torchinception.models import NETWORKS, Inception, create
from torchinception.weights.export import export

TOLERANCE = 1e-12  # of the largest value, in float64
BARE = dict(weights=None, init_weights=False, transform_input=False)


def ours(network: str, *, aux: bool = False) -> Inception:
    with torch.device("meta"):
        net = create(network, 7, aux=aux)
    return randomize(net)  # type: ignore[return-value]


def picture(network: str) -> Tensor:
    size = NETWORKS[network].size
    return torch.randn(1, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def answer_alike(net: Inception, peer: nn.Module) -> bool:
    x = picture(net.name)
    right = net(x)
    return bool((peer.double().eval()(x) - right).abs().max() <= TOLERANCE * right.abs().max())


@pytest.mark.parametrize(
    ("network", "peer", "aux"),
    [
        ("googlenet_torch", googlenet, True),
        ("inception_v3_torch", inception_v3, True),
        ("inception_v3_torch", inception_v3, False),
    ],
)
def test_torchvision_loads_it_strictly(tmp_path: Path, network: str, peer: Any, aux: bool) -> None:
    net = ours(network, aux=aux)
    export(net, tmp_path / "out.pth", "torchvision")
    with torch.device("meta"):
        there = peer(num_classes=7, aux_logits=aux, **BARE)
    there.load_state_dict(torch.load(tmp_path / "out.pth", weights_only=True), assign=True)
    assert answer_alike(net, there)


@pytest.mark.parametrize(
    ("network", "name", "file"),
    [
        ("inception_v3_torch", "inception_v3", "out.safetensors"),
        ("inception_v4", "inception_v4", "out.safetensors"),
        ("inception_resnet_v2", "inception_resnet_v2", "out.pth"),
        ("xception_torch", "legacy_xception", "out.pth"),
    ],
)
def test_timm_loads_it_strictly(tmp_path: Path, network: str, name: str, file: str) -> None:
    net, path = ours(network), tmp_path / file
    export(net, path, "timm")
    with torch.device("meta"):
        there = timm.create_model(name, num_classes=7)
    tensors = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    there.load_state_dict(tensors, assign=True)
    assert answer_alike(net, there)


@pytest.mark.parametrize(
    ("network", "peer"),
    [("xception", "Xception"), ("inception_v3", "InceptionV3"), ("inception_resnet_v2", "InceptionResNetV2")],
)
def test_keras_takes_every_array_by_its_name(tmp_path: Path, network: str, peer: str, keras: Any) -> None:
    net = ours(network).float()
    export(net, tmp_path / "out.npz", "keras-npz")
    model = getattr(keras.applications, peer)(weights=None, classes=7, classifier_activation=None)
    arrays = dict(np.load(tmp_path / "out.npz"))
    for layer, name in numbered(model):
        for variable in layer.weights:
            variable.assign(arrays.pop(f"{name}/{variable.name}"))
    x = picture(network).float()
    with torch.no_grad():
        right = net(x)
        found = model(x.permute(0, 2, 3, 1), training=False)
    assert not arrays
    assert (found - right).abs().max() <= 1e-4 * right.abs().max()  # float32, and gammas folded


def test_keras_arrays_come_back(tmp_path: Path) -> None:
    net = ours("inception_v3").float()
    export(net, tmp_path / "out.npz", "keras-npz")
    model = ti.load(tmp_path / "out.npz", names=list("abcdefg"))
    x = picture("inception_v3").float()
    assert model.spec.origin["source"] == "keras_inception_v3"
    with torch.no_grad():
        right, found = net(x), model.network(x)
    assert (found - right).abs().max() <= 1e-4 * right.abs().max()  # gammas folded


def numbered(model: Any) -> list[tuple[Any, str]]:
    """Layers with weights, and their names; those that Keras numbers, from 0 in the order of creation."""
    found = []
    for kind in ("conv2d", "batch_normalization"):
        auto = [layer for layer in model.layers if layer.name.rstrip("_0123456789") == kind]
        auto.sort(key=lambda layer: int((layer.name.removeprefix(kind) or "_0")[1:]))
        found += [(layer, f"{kind}_{i}") for i, layer in enumerate(auto)]
    seen = {id(layer) for layer, _ in found}
    return found + [(layer, layer.name) for layer in model.layers if layer.weights and id(layer) not in seen]


def test_what_the_target_does_not_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.pth"
    with torch.device("meta"):
        other_eps = create("inception_v4", 7, bn_eps=0.5)
        heads = create("inception_v4", 7, aux=True)
        tiny = create("tiny_inception", 7)
    for net, to, why in (
        (tiny, "torchvision", "torchvision has no tiny_inception; it takes googlenet_torch"),
        (tiny, "caffe", "targets: torchvision, timm, keras-npz"),
        (heads, "timm", "has no auxiliary heads"),
        (other_eps, "timm", "eps"),
    ):
        with pytest.raises(UsageError, match=why):
            export(net, path, to)
    assert not path.exists()


def test_an_export_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "out.pth").write_text("old")
    with full_disk(100_000), pytest.raises(SaveError, match=r"out\.pth"):
        export(ours("xception_torch").float(), tmp_path / "out.pth", "timm")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]

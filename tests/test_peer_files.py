"""Other libraries' files as they write them, loaded by us: the same logits from the same pictures.

Weights and statistics of batch norm are random. Each library saves its own network and prepares the pictures itself;
of ours only `load` takes part. What differs is the order of sums in float32, and how pixels are scaled.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import facenet_pytorch
import numpy as np
import pretrainedmodels
import pytest
import timm
import torch
from peer_weights import executed, randomize, settle
from PIL import Image
from pretrainedmodels.utils import TransformImage
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn
from torchvision.models import GoogLeNet_Weights, Inception_V3_Weights, googlenet, inception_v3
from torchvision.transforms.functional import pil_to_tensor

from torchinception import Classifier, load
from torchinception.data.images import load_image

TOLERANCE = 1e-4  # of the largest value, in float32; up to 1e-5 was seen
INPUT_TOLERANCE = 1e-6  # of the largest value: scaling rounds in another order
SHAPES = [  # width, height, mode, suffix: wide and tall, smaller and larger than the input, and exactly as large
    (320, 240, "RGB", "jpg"),
    (240, 320, "RGB", "png"),
    (500, 375, "RGB", "jpg"),
    (299, 299, "RGB", "png"),
    (64, 48, "RGB", "bmp"),
    (900, 333, "L", "jpg"),
    (150, 400, "P", "png"),
    (333, 500, "RGB", "webp"),
]
V3_HEAD = {"mixed_6e": "AuxLogits"}
Prepare = Callable[[Image.Image], Tensor]


class Peer(NamedTuple):
    """A library's network with random weights, its own preparation, and its auxiliary heads in the order of outputs."""

    net: nn.Module
    prepare: Prepare
    heads: Mapping[str, str] = {}


class Case(NamedTuple):
    """What the peer made of the pictures, its layers as they were met, its file, and what we loaded from it."""

    source: str
    peer: Peer
    layers: list[nn.Module]
    outputs: list[Tensor]
    path: Path
    found: Classifier


def random_net(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"), warnings.catch_warnings():  # where its own initialization costs nothing
        warnings.filterwarnings("ignore", "The parameter 'pretrained'|Arguments other than a weight enum")  # Cadene's
        warnings.filterwarnings("ignore", "The default weight initialization of inception_v3", FutureWarning)
        net = build()
    return randomize(net).float()


def torchvision_peer(build: Callable[..., nn.Module], weights: object, heads: Mapping[str, str]) -> Peer:
    net = random_net(lambda: build(weights=None, aux_logits=True, init_weights=False, transform_input=True))
    net.training = True  # of the outermost module alone: it puts out the heads' logits too, as (main, last, first)
    return Peer(net, weights.transforms(), heads)  # type: ignore[attr-defined]


def timm_peer(name: str) -> Peer:
    net = random_net(lambda: timm.create_model(name))
    return Peer(net, create_transform(**resolve_data_config({}, model=net)))


def cadene_peer(name: str, classes: int = 1000) -> Peer:
    settings = pretrainedmodels.pretrained_settings[name]["imagenet"]
    prepare = TransformImage(settings, scale=settings.get("scale", 0.875))
    net = random_net(lambda: getattr(pretrainedmodels, name)(num_classes=classes, pretrained=None))
    return Peer(net, prepare)


def facenet_peer(classes: int | None) -> Peer:
    def prepare(image: Image.Image) -> Tensor:
        face = image.resize((160, 160), Image.Resampling.BILINEAR)
        return facenet_pytorch.fixed_image_standardization(pil_to_tensor(face).float())

    build = facenet_pytorch.InceptionResnetV1
    return Peer(random_net(lambda: build(classify=classes is not None, num_classes=classes)), prepare)


PEERS: dict[str, Callable[[], Peer]] = {
    "torchvision_googlenet": lambda: torchvision_peer(
        googlenet, GoogLeNet_Weights.IMAGENET1K_V1, {"inception_4d": "aux2", "inception_4a": "aux1"}
    ),
    "torchvision_inception_v3": lambda: torchvision_peer(inception_v3, Inception_V3_Weights.IMAGENET1K_V1, V3_HEAD),
    "timm_inception_v3": lambda: timm_peer("inception_v3"),
    "timm_inception_v4": lambda: timm_peer("inception_v4"),
    "timm_inception_resnet_v2": lambda: timm_peer("inception_resnet_v2"),
    "timm_xception": lambda: timm_peer("legacy_xception"),
    "cadene_bn_inception": lambda: cadene_peer("bninception"),
    "cadene_inception_v3": lambda: cadene_peer("inceptionv3"),
    "cadene_inception_v4": lambda: cadene_peer("inceptionv4", 1001),
    "cadene_inception_resnet_v2": lambda: cadene_peer("inceptionresnetv2", 1001),
    "cadene_xception": lambda: cadene_peer("xception"),
    "facenet": lambda: facenet_peer(1000),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Like photographs: fields of colour that fade into each other, and noise."""
    folder, draws = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    paths = [folder / f"{i}.{suffix}" for i, (*_, suffix) in enumerate(SHAPES)]
    for path, (width, height, mode, _) in zip(paths, SHAPES, strict=True):
        fields = Image.fromarray(draws.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        smooth = np.asarray(fields.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
        noisy = (smooth + draws.normal(0, 16, smooth.shape)).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(noisy)
        (image.quantize() if mode == "P" else image.convert(mode)).save(path)
    return paths


@pytest.fixture(scope="module", params=PEERS)
def case(
    request: pytest.FixtureRequest, pictures: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    peer = PEERS[request.param]()
    path = tmp_path_factory.mktemp("file") / "weights.pth"
    x = torch.stack([peer.prepare(Image.open(picture).convert("RGB")) for picture in pictures])
    layers, outputs = executed(settle(peer.net, x), x)
    torch.save(peer.net.state_dict(), path)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    yield Case(request.param, peer, list(layers), outputs, path, load(path, source=request.param))
    path.unlink()


def test_pictures_get_the_peers_logits_and_the_same_first_class(case: Case, pictures: list[Path]) -> None:
    cuts = torch.stack([case.found.preprocess.cut(load_image(picture)) for picture in pictures])
    with torch.no_grad():
        logits, opinions = case.found.network(case.found.preprocess.normalize(cuts), aux=True)
    right = [output[:, 1:] if output.shape[1] == 1001 else output for output in case.outputs]

    heads = [opinions[stage] for stage in case.peer.heads]
    assert all(distance(a, b) <= TOLERANCE for a, b in zip([logits, *heads], right, strict=True))
    assert logits.argmax(1).equal(right[0].argmax(1))


def distance(found: Tensor, right: Tensor) -> float:
    return ((found - right).abs().max() / right.abs().max()).item()

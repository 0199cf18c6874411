"""Other libraries' files as they write them, loaded by us: the same logits from the same pictures.

Weights and statistics of batch norm are random. Each library saves its own network and prepares the pictures itself;
of ours only `load` takes part. What differs is the order of sums in float32, and how pixels are scaled.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import facenet_pytorch
import pretrainedmodels
import pytest
import pytorch_fid.inception as fid
import timm
import torch
from peer_pictures import SHAPES, SQUARES, write_pictures
from peer_weights import Layers, copy_weights, defined, distance, executed, randomize, settle
from PIL import Image
from pretrainedmodels.utils import TransformImage
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn
from torch.nn.functional import normalize
from torchvision.models import GoogLeNet_Weights, Inception_V3_Weights, googlenet, inception_v3
from torchvision.transforms.functional import pil_to_tensor, to_tensor

from torchinception import Classifier, load
from torchinception.data.images import load_image
from torchinception.models import Inception, create
from torchinception.weights import imagenet
from torchinception.weights.convert import convert

TOLERANCE = 1e-4  # of the largest value, in float32; up to 1.3e-5 was seen
V3_HEAD = {"mixed_6e": "AuxLogits"}
Prepare = Callable[[Image.Image], Tensor]


class Peer(NamedTuple):
    """A library's network with random weights, its own preparation, and its auxiliary heads in the order of outputs.

    Cadene's gives the head's output in training only, when it drops values at random too.
    """

    net: nn.Module
    prepare: Prepare
    heads: Mapping[str, str] = {}


class Case(NamedTuple):
    """The peer's own input and outputs of the pictures, its layers as they were met, and what we load of its file."""

    source: str
    peer: Peer
    pictures: list[Path]
    x: Tensor
    layers: Layers
    outputs: Sequence[Tensor]
    found: Classifier


def random_net(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"), warnings.catch_warnings():  # where its own initialization costs nothing
        warnings.filterwarnings("ignore", "The parameter 'pretrained'|Arguments other than a weight enum")  # Cadene's
        warnings.filterwarnings("ignore", "The default weight initialization of inception_v3", FutureWarning)
        net = build()
    return randomize(net, torch.float32)


def torchvision_peer(build: Callable[..., nn.Module], weights: object, heads: Mapping[str, str]) -> Peer:
    net = random_net(lambda: build(weights=None, aux_logits=True, init_weights=False, transform_input=True))
    net.training = True  # of the outermost module alone: it puts out the heads' logits too, as (main, last, first)
    return Peer(net, weights.transforms(), heads)  # type: ignore[attr-defined]


def timm_peer(name: str) -> Peer:
    net = random_net(lambda: timm.create_model(name))
    return Peer(net, create_transform(**resolve_data_config({}, model=net)))


def cadene_peer(name: str, classes: int = 1000, heads: Mapping[str, str] | None = None) -> Peer:
    settings = pretrainedmodels.pretrained_settings[name]["imagenet"]
    prepare = TransformImage(settings, scale=settings.get("scale", 0.875))
    net = random_net(lambda: getattr(pretrainedmodels, name)(num_classes=classes, pretrained=None))
    return Peer(net, prepare, heads or {})


def facenet_peer() -> Peer:
    def prepare(image: Image.Image) -> Tensor:
        face = image.resize((160, 160), Image.Resampling.BILINEAR)
        return facenet_pytorch.fixed_image_standardization(pil_to_tensor(face).float())

    return Peer(random_net(lambda: facenet_pytorch.InceptionResnetV1(classify=True, num_classes=10)), prepare)


def fid_peer() -> Peer:
    def build() -> nn.Module:
        with pytest.MonkeyPatch.context() as patch:
            blank = inception_v3(aux_logits=False, num_classes=1008, weights=None, init_weights=False).state_dict()
            patch.setattr(fid, "load_state_dict_from_url", lambda *_, **__: blank)  # the download
            return fid.fid_inception_v3()

    return Peer(random_net(build), lambda image: 2 * to_tensor(image) - 1)


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
    "cadene_inception_v3": lambda: cadene_peer("inceptionv3", heads=V3_HEAD),
    "cadene_inception_v4": lambda: cadene_peer("inceptionv4", 1001),
    "cadene_inception_resnet_v2": lambda: cadene_peer("inceptionresnetv2", 1001),
    "cadene_xception": lambda: cadene_peer("xception"),
    "pytorch_fid": fid_peer,
    "facenet": facenet_peer,
}


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=PEERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    source, folder = request.param, tmp_path_factory.mktemp("case")
    pictures = write_pictures(folder, SQUARES if source == "pytorch_fid" else SHAPES)
    peer = PEERS[source]()
    x = torch.stack([peer.prepare(Image.open(picture).convert("RGB")) for picture in pictures])
    layers, outputs = executed(settle(peer.net, x[: 8 if source == "facenet" else 2]), x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    torch.save(peer.net.state_dict(), folder / "weights.pth")
    unnamed = source in ("pytorch_fid", "facenet")
    with pytest.warns(UserWarning, match="does not say what its") if unnamed else nullcontext():
        found = load(folder / "weights.pth", source=source)
    return Case(source, peer, pictures, x, layers, outputs, found)


def test_pictures_get_the_peers_logits_and_its_first_class(case: Case) -> None:
    logits, opinions = case.found.network(prepared(case.found, case.pictures), aux=True)
    right = [output[:, 1:] if output.shape[1] == 1001 else output for output in case.outputs]

    found = [logits, *(opinions[stage] for stage in case.peer.heads)]
    assert all(distance(a, b) <= TOLERANCE for a, b in zip(found[: len(right)], right, strict=True))
    assert logits.argmax(1).equal(right[0].argmax(1))


def test_weights_by_name_are_those_by_order_of_execution_bit_for_bit(case: Case) -> None:
    """But for facenet-pytorch's last three layers, which are one of ours: a product, which rounds; see the logits.

    Order knows nothing of what a source does around its layers: the background class of 1001, blue ahead of red.
    """
    classes, end = case.outputs[0].shape[1], -3 if case.source == "facenet" else -1
    apart = {module for head in case.peer.heads.values() for module in case.peer.net.get_submodule(head).modules()}
    layers = [layer for layer in case.layers if layer not in apart]
    net = ours(case.found.spec.network, classes, aux=bool(apart))

    copy_weights(layers[:end], defined(net.trunk))
    if end == -1:
        copy_weights(layers[end:], [net.classifier])
    for stage, head in case.peer.heads.items():
        copy_weights(defined(case.peer.net.get_submodule(head)), defined(net.aux[stage]))

    right, found = net.state_dict(), case.found.network.state_dict()
    if classes == 1001:
        right |= {key: right[key][1:] for key in ("classifier.weight", "classifier.bias")}
    if case.source == "cadene_bn_inception":
        right["trunk.conv_1.conv.weight"] = right["trunk.conv_1.conv.weight"].flip(1)
    same = {key: found[key].equal(right[key]) for key in right if end == -1 or key.startswith("trunk.")}
    assert found.keys() == right.keys()
    assert [key for key in same if not same[key]] == []


@pytest.mark.parametrize("case", [name for name in PEERS if name.startswith(("torchvision", "timm"))], indirect=True)
def test_zips_bare_pickles_and_safetensors_hold_the_same(case: Case, tmp_path: Path) -> None:
    weights, right = case.peer.net.state_dict(), case.found.network.state_dict()
    save_file(weights, tmp_path / "weights.safetensors")
    torch.save(weights, tmp_path / "weights.pth", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        found = convert(path, source=case.source).tensors
        assert found.keys() == right.keys()
        assert all(found[key].equal(right[key]) for key in right)


@pytest.mark.parametrize("case", ["torchvision_googlenet", "torchvision_inception_v3"], indirect=True)
def test_torchvisions_weights_load_with_and_without_auxiliary_heads_and_for_one_class(
    case: Case, tmp_path: Path
) -> None:
    """pytorch/vision#480 and #3648: there each of these is a ValueError or a list of keys."""
    path, heads = case.pictures[0].with_name("weights.pth"), tuple(case.peer.heads.values())
    torch.save(
        {key: v for key, v in case.peer.net.state_dict().items() if not key.startswith(heads)}, tmp_path / "bare"
    )

    bare = load(tmp_path / "bare", source=case.source)
    without = load(path, source=case.source, aux=False)
    single = load(path, source=case.source, aux=False, classes=1)
    with pytest.warns(UserWarning, match="weights are fresh") as told:
        fresh = load(tmp_path / "bare", source=case.source, aux=True)

    right = {key: v for key, v in case.found.network.state_dict().items() if not key.startswith("aux.")}
    assert (len(bare.network.aux), len(without.network.aux), len(fresh.network.aux)) == (0, 0, len(heads))
    assert [all(stage in str(note.message) for stage in case.peer.heads) for note in told] == [True]
    for net in (bare.network, without.network, single.network, fresh.network):
        found = net.state_dict()
        assert all(found[key].equal(right[key]) for key in right if net is not single.network or "trunk." in key)
    assert single.network(case.x[:1]).shape == (1, 1)


@pytest.mark.parametrize("case", ["torchvision_googlenet"], indirect=True)
def test_the_auxiliary_heads_of_googlenet_are_not_swapped(case: Case) -> None:
    """pytorch/vision#8736: aux1 hangs on 4a, though its logits come last."""
    first, second = case.found.network.aux["inception_4a"], case.found.network.aux["inception_4d"]
    right = case.peer.net.state_dict()
    assert defined(first)[0].weight.equal(right["aux1.conv.conv.weight"])
    assert defined(second)[0].weight.equal(right["aux2.conv.conv.weight"])


@pytest.mark.parametrize("case", ["cadene_inception_v4", "cadene_inception_resnet_v2"], indirect=True)
def test_the_first_of_cadenes_1001_outputs_is_no_class(case: Case) -> None:
    """Cadene/pretrained-models.pytorch#31: ImageNet's first class is the second output."""
    assert case.peer.net.last_linear.weight.shape[0] == 1001
    assert case.found.classes == imagenet.classes()
    assert case.found.network.classifier.bias.equal(case.peer.net.last_linear.bias[1:])


@pytest.mark.parametrize("case", ["timm_inception_v3"], indirect=True)
def test_a_file_without_a_classifier_gives_the_peers_features(case: Case, tmp_path: Path) -> None:
    with torch.device("meta"):
        net = timm.create_model("inception_v3", num_classes=0)
    net.load_state_dict({k: v for k, v in case.peer.net.state_dict().items() if k[:3] != "fc."}, assign=True)
    torch.save(net.state_dict(), tmp_path / "features.pth")

    found = load(tmp_path / "features.pth", source=case.source, classes=3)

    features = found.network.trunk(prepared(found, case.pictures[:2])).mean((2, 3))
    assert distance(features, net.eval()(case.x[:2])) <= TOLERANCE


@pytest.mark.parametrize("case", ["facenet"], indirect=True)
def test_facenets_file_without_identities_gives_its_embedding_before_it_is_scaled(case: Case, tmp_path: Path) -> None:
    net = facenet_pytorch.InceptionResnetV1(classify=False).eval()
    net.load_state_dict({k: v for k, v in case.peer.net.state_dict().items() if not k.startswith("logits.")})
    torch.save(net.state_dict(), tmp_path / "embedding.pt")
    with pytest.warns(UserWarning, match="512 outputs"):
        found = load(tmp_path / "embedding.pt", source="facenet_embedding")

    embedding = found.network(prepared(found, case.pictures))

    assert len(net.state_dict()) == 714
    assert distance(normalize(embedding), net(case.x)) <= TOLERANCE


@pytest.mark.parametrize("case", ["pytorch_fid"], indirect=True)
def test_pytorch_fids_features_of_other_sizes_differ_by_whole_grey_levels(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytorch-fid resizes to fractions of grey levels; ours are rounded, by at most half of one. See mseitzer#32, #70.

    That moves these features by 1 to 2.5 % of the largest, and those of pictures of 299 x 299 not at all.
    """
    monkeypatch.setattr(fid, "fid_inception_v3", lambda: case.peer.net)
    there = fid.InceptionV3([3]).eval()
    moved = []
    for picture in write_pictures(tmp_path)[:5]:
        right = there(to_tensor(Image.open(picture).convert("RGB"))[None])[0].flatten(1)
        moved.append(distance(case.found.network.trunk(prepared(case.found, [picture])).mean((2, 3)), right))
    assert moved[3] <= TOLERANCE  # 299 x 299
    assert all(TOLERANCE < value <= 0.05 for value in moved[:3] + moved[4:])


def prepared(classifier: Classifier, pictures: Sequence[Path]) -> Tensor:
    cuts = torch.stack([classifier.preprocess.cut(load_image(picture)) for picture in pictures])
    return classifier.preprocess.normalize(cuts)


def ours(network: str, classes: int, *, aux: bool) -> Inception:
    with torch.device("meta"):
        net = create(network, classes, aux=aux)
    return net.to_empty(device="cpu")

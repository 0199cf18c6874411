"""What is measured: a network by its name or a model, real pictures, and the answers in float64."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from torchinception.classifier import load
from torchinception.data.transforms import Preprocess
from torchinception.engines.checked import check_pictures
from torchinception.engines.eager_engine import EagerEngine
from torchinception.errors import UsageError
from torchinception.models import NETWORKS, Inception, create, find_spec
from torchinception.progress import Listener
from torchinception.weights.bundle import ModelSpec, save_model

SETTLED = 8  # pictures that batch norm takes its statistics from


@dataclass(frozen=True)
class Subject:
    """A network in a model file, the pictures that every side is given, and what float64 PyTorch answers.

    `pictures` are float32 (N, C, size, size) for the network's input, contiguous; `right` is float64 (N, classes).
    """

    name: str
    net: Inception
    file: Path
    pictures: Tensor
    right: Tensor

    @property
    def size_px(self) -> int:
        """The side of a picture."""
        return self.pictures.shape[-1]


def make_subject(target: str, count: int, folder: Path, listener: Listener | None = None) -> Subject:
    """The name of a network, which then has random weights, or a model as `load` takes it.

    Args:
        target: which.
        count: how many pictures.
        folder: where its model file is written.
        listener: hears of a download.

    Raises:
        InceptionError: there is no such network or model, or the file cannot be used.
    """
    if target in NETWORKS:
        preprocess = Preprocess(size=find_spec(target).size)
        net = _random(target, _inputs(SETTLED, preprocess))
        classes = tuple(f"class {number}" for number in range(net.classifier.out_features))
        spec = ModelSpec(network=target, classes=classes, preprocess=preprocess, **net.options)
    else:
        model = load(target, aux=False, listener=listener)
        net, spec = model.network, model.spec
        preprocess = spec.preprocess
        if net.channels != 3:
            raise UsageError(f"{target} takes pictures of {net.channels} channels; only those of 3 are measured")
    file = folder / "model.safetensors"
    save_model(file, net, spec)
    pictures = _inputs(count, preprocess)
    exact = EagerEngine(net, precision="fp64")
    return Subject(target, net, file, pictures, torch.cat([exact.run(picture[None]) for picture in pictures]))


def check_target(target: str) -> None:
    """Tell of a misspelt name ahead of all measuring; of what may be a file `make_subject` tells.

    Raises:
        UsageError: no network has that name.
    """
    if not ({".", "/", "\\"} & set(target) or Path(target).exists()):
        find_spec(target)


def _inputs(count: int, preprocess: Preprocess) -> Tensor:
    return preprocess.normalize(check_pictures(count, preprocess).permute(0, 3, 1, 2)).contiguous()


@torch.no_grad()
def _random(name: str, pictures: Tensor) -> Inception:
    """Weights as at the beginning of training, but with statistics of every layer and logits that pictures decide.

    As drawn, values would grow or vanish from layer to layer, and all pictures would have the same answer.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = create(name, dropout=0.0)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # the statistics of these pictures alone
        norm.bias.add_(1)  # ReLUs that cut off half of all values would multiply rounding a thousandfold
    if not norms:
        settle_biases(net, pictures, 1)
    logits = net.train()(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()
    net.classifier.bias.sub_(logits.mean(0))
    return net


@torch.no_grad()
def settle_biases(net: Inception, pictures: Tensor, mean: float) -> None:
    """Where convolutions have biases instead of batch norm: each channel of this mean and of deviation 1.

    That is how Krähenbühl et al. (arXiv:1511.06856) begin training. As published, GoogLeNet's logits differ from
    picture to picture by a sixtieth of the largest.
    """

    def settle(layer: nn.Conv2d, _: object, y: Tensor) -> Tensor:
        assert layer.bias is not None
        deviation, before = torch.std_mean(y, (0, 2, 3))
        deviation.clamp_min_(1e-5)  # of a channel that is the same everywhere
        layer.weight.div_(deviation.view(-1, 1, 1, 1))
        layer.bias.sub_(before).div_(deviation).add_(mean)
        return (y - before.view(-1, 1, 1)) / deviation.view(-1, 1, 1) + mean

    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d) and module.bias is not None]
    hooks = [layer.register_forward_hook(settle) for layer in layers]
    net(pictures)
    for hook in hooks:
        hook.remove()

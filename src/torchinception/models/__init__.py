"""The networks by name: one file per paper, each file the paper's tables.

>>> net = create("tiny_inception", classes=3)
>>> net(torch.zeros(2, 3, 28, 28)).shape
torch.Size([2, 3])
"""

import difflib

import torch

from torchinception.errors import UsageError
from torchinception.models.bn_inception import BN_INCEPTION, BN_INCEPTION_SLIM
from torchinception.models.googlenet import GOOGLENET, GOOGLENET_BN, GOOGLENET_NAIVE, GOOGLENET_SLIM, GOOGLENET_TORCH
from torchinception.models.inception_resnet import INCEPTION_RESNET_V1, INCEPTION_RESNET_V2, INCEPTION_RESNET_V2_PAPER
from torchinception.models.inception_v3 import INCEPTION_V2, INCEPTION_V3, INCEPTION_V3_FID, INCEPTION_V3_TORCH
from torchinception.models.inception_v4 import INCEPTION_V4
from torchinception.models.small_inception import SMALL_INCEPTION, TINY_INCEPTION
from torchinception.models.spec import Spec
from torchinception.models.xception import XCEPTION, XCEPTION_TORCH
from torchinception.network import Inception, Options

__all__ = ["NETWORKS", "Inception", "Options", "Spec", "create", "find_spec"]

NETWORKS: dict[str, Spec] = {
    "googlenet": GOOGLENET,
    "googlenet_bn": GOOGLENET_BN,
    "googlenet_torch": GOOGLENET_TORCH,
    "googlenet_slim": GOOGLENET_SLIM,
    "googlenet_naive": GOOGLENET_NAIVE,
    "bn_inception": BN_INCEPTION,
    "bn_inception_slim": BN_INCEPTION_SLIM,
    "inception_v2": INCEPTION_V2,
    "inception_v3": INCEPTION_V3,
    "inception_v3_torch": INCEPTION_V3_TORCH,
    "inception_v3_fid": INCEPTION_V3_FID,
    "inception_v4": INCEPTION_V4,
    "inception_resnet_v1": INCEPTION_RESNET_V1,
    "inception_resnet_v2": INCEPTION_RESNET_V2,
    "inception_resnet_v2_paper": INCEPTION_RESNET_V2_PAPER,
    "xception": XCEPTION,
    "xception_torch": XCEPTION_TORCH,
    "small_inception": SMALL_INCEPTION,
    "tiny_inception": TINY_INCEPTION,
}


def find_spec(name: str) -> Spec:
    """The `Spec` of a network.

    Raises:
        UsageError: no network has that name; the nearest one is named.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    near = difflib.get_close_matches(name, NETWORKS, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"no network named {name}; {hint}networks: {', '.join(NETWORKS)}")


def create(
    name: str,
    classes: int | None = None,
    *,
    aux: bool = False,
    channels: int = 3,
    bn_eps: float | None = None,
    bn_momentum: float | None = None,
    dropout: float | None = None,
    initialize: bool = True,
) -> Inception:
    """A network with fresh weights, initialized as published.

    Args:
        name: one of `NETWORKS`.
        classes: number of outputs; default: as published.
        aux: build the auxiliary heads too, where the paper has them.
        channels: number of input channels.
        bn_eps: the constant in every batch norm; default: as published.
        bn_momentum: how far every batch norm's statistics move a step, as PyTorch counts; default 0.1.
        dropout: fraction dropped before the classifier; default: as published.
        initialize: False leaves memory as it is, for weights that are about to be loaded.

    Raises:
        UsageError: an unknown name, or numbers of classes or channels below one.
    """
    spec = find_spec(name)
    classes = spec.classes if classes is None else classes
    if not all(isinstance(count, int) and count >= 1 for count in (classes, channels)):
        raise UsageError(f"{name} needs whole numbers of classes and channels from 1, not {classes!r} and {channels!r}")
    options = Options()
    if bn_eps is not None:
        options["bn_eps"] = bn_eps
    if bn_momentum is not None:
        options["bn_momentum"] = bn_momentum
    if dropout is not None:
        options["dropout"] = dropout
    return build(name, spec, classes, aux=aux, channels=channels, options=options, initialize=initialize)


def build(
    name: str,
    spec: Spec,
    classes: int,
    *,
    aux: bool,
    channels: int = 3,
    options: Options | None = None,
    initialize: bool = True,
) -> Inception:
    """`create` for a `Spec` that need not stand in `NETWORKS`."""
    options = options or {}
    device = torch.get_default_device()
    with torch.device("meta"):  # the modules' own initialization costs nothing there
        net = Inception(
            name,
            spec.stages,
            classes,
            channels=channels,
            dropout=options.get("dropout", spec.dropout),
            aux={stage: head(classes) for stage, head in spec.aux.items()} if aux else {},
            min_size=spec.min_size,
            aux_sizes=spec.aux_sizes,
        )
    net.options = options
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = options.get("bn_eps", module.eps)
            module.momentum = options.get("bn_momentum", module.momentum)
    if device.type != "meta":
        net.to_empty(device=device)
        if initialize:
            spec.initialize(net)
    return net

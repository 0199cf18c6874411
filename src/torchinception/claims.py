"""What the textbook says of the family in figures, what the primary sources say, and what the networks here say.

Figures of networks are computed from the networks, on the meta device; those in `source` are the papers' words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from torchinception.layers import Residual
from torchinception.models import Inception, create
from torchinception.summary import compare, depth, summarize
from torchinception.textbook import Factorized, inception_v3

# AlexNet as published (Krizhevsky et al. 2012, section 3.5): filters and weights in each. It has two groups, so that
# layers 2, 4 and 5 see half of the channels: 11x11x3, 5x5x48, 3x3x256, 3x3x192 twice, 6x6x256, 4096, 4096.
ALEXNET = ((96, 363), (256, 1200), (384, 2304), (384, 1728), (256, 1728), (4096, 9216), (4096, 4096), (1000, 4096))


@dataclass(frozen=True)
class Claim:
    """A claim, what its source says, what was computed (in words, and the `numbers`), and a verdict."""

    textbook: str
    source: str
    computed: str
    verdict: str
    numbers: Mapping[str, float]


def check_claims() -> tuple[Claim, ...]:
    """Every claim: each function below gives one, `computed` still without its numbers."""
    every = (_layout, _heads, _reductions, _sizes, _two_3x3, _factorized, _seven_by_seven, _version_4)
    return tuple(replace(c, computed=c.computed.format(**c.numbers)) for c in (claim() for claim in every))


def _layout() -> Claim:
    net, (totals,) = _build("googlenet"), compare(["googlenet"])
    modules = [stage for stage in net.trunk._modules if "inception" in stage]
    first, second = (modules.index(stage) + 1 for stage in net.aux)
    return Claim(
        "v1: 22 layers, 9 modules, auxiliary classifiers after the 3rd and the 6th",
        "1409.4842 section 5: 22 layers with weights, 27 with pools; classifiers on 4a and 4d",
        "{layers} layers with weights, {modules} modules, classifiers after modules {first} and {second}",
        "true",
        dict(layers=totals.depth, modules=len(modules), first=first, second=second),
    )


def _heads() -> Claim:
    with torch.enable_grad():
        logits, heads = _build("googlenet")(torch.empty(1, 3, 224, 224, device="meta"), aux=True)
    return Claim(
        "v1: auxiliary classifiers cure vanishing gradients",
        "1409.4842 section 5 expects more gradient; 1512.00567 section 4 finds no benefit early in training, "
        "a small one near its end, and takes them for regularizers",
        "gradients cross {main} layers from the main classifier, {inception_4a} and {inception_4d} from the "
        "auxiliary ones; no cure follows from that",
        "disputed",
        dict(main=depth(logits)) | {stage: depth(head) for stage, head in heads.items()},
    )


def _reductions() -> Claim:
    naive, reduced = summarize("googlenet_naive"), summarize("googlenet")
    before, after = (next(r.macs for r in s.rows if r.stage == "inception_3a") for s in (naive, reduced))
    return Claim(
        "v1: 1x1 convolutions ahead of 3x3 and 5x5 save most of the work",
        "1409.4842 section 4: without them even a few 5x5 are prohibitively expensive",
        "module 3a: {naive_macs:,} multiply-adds without, {macs:,} with them, {times:.2f} times fewer; "
        "network: {naive:,} parameters without, {reduced:,} with them",
        "true",
        dict(naive_macs=before, macs=after, times=before / after, naive=naive.parameters, reduced=reduced.parameters),
    )


def _sizes() -> Claim:
    googlenet, vgg16, vgg19 = compare(["googlenet", "vgg16", "vgg19"])
    alexnet = sum(filters * (weights + 1) for filters, weights in ALEXNET)
    classifier = sum(p.numel() for p in _build("googlenet").classifier.parameters())
    return Claim(
        "v1 has 1/12 of AlexNet's parameters and 1/3 of VGGNet's",
        "1409.4842 section 1: 12 times fewer than AlexNet; 1512.00567 section 1: 5 M to 60 M, and VGGNet has "
        "3 times AlexNet's, not GoogLeNet's",
        "AlexNet has {alexnet_over_googlenet:.1f} times GoogLeNet's ({no_classifier:.1f} without its classifier, "
        "{with_aux:.1f} with auxiliary ones), VGG-16 {vgg16_over_googlenet:.1f} times, VGG-19 "
        "{vgg19_over_googlenet:.1f} times; VGG-16 has {vgg16_over_alexnet:.2f} times AlexNet's",
        "garbled",
        dict(
            alexnet=alexnet,
            alexnet_over_googlenet=alexnet / googlenet.parameters,
            no_classifier=alexnet / (googlenet.parameters - classifier),
            with_aux=alexnet / googlenet.parameters_with_aux,
            vgg16_over_googlenet=vgg16.parameters / googlenet.parameters,
            vgg19_over_googlenet=vgg19.parameters / googlenet.parameters,
            vgg16_over_alexnet=vgg16.parameters / alexnet,
        ),
    )


def _two_3x3() -> Claim:
    net = _build("googlenet")
    modules = (stage for stage in net.trunk._modules if "inception" in stage)
    shapes = [net.get_parameter(f"trunk.{stage}.2.1.conv.weight").shape[:2] for stage in modules]
    whole = sum(5 * 5 * n * wide for wide, n in shapes)
    first = sum(3 * 3 * (n * wide + wide * wide) for wide, n in shapes)
    second = sum(3 * 3 * (n * n + n * wide) for wide, n in shapes)
    return Claim(
        "v2: two 3x3 in place of a 5x5 save parameters",
        "1512.00567 section 3.1: 28 % at equal widths; 1502.03167 appendix: with its wider filters, 25 % more",
        "{equal_pct:+.0f} % at equal widths; GoogLeNet's nine 5x5 ({whole:,} weights) all widen: {first_pct:+.1f} % "
        "if the first 3x3 does, {second_pct:+.1f} % if the second does",
        "conditional",
        dict(whole=whole, first=first, second=second, equal_pct=100 * (2 * 3 * 3 / (5 * 5) - 1))
        | dict(first_pct=100 * (first / whole - 1), second_pct=100 * (second / whole - 1)),
    )


def _factorized() -> Claim:
    saved, net = {}, _build("inception_v3")
    for n in (3, 5, 7):
        with torch.device("meta"):
            pair, whole = Factorized(64, 64, n), nn.Conv2d(64, 64, n)
        saved[f"n{n}"] = 100 * (1 - sum(p.numel() for p in pair.parameters() if p.ndim == 4) / whole.weight.numel())
    for stage in ("mixed_6b", "mixed_6c", "mixed_6e"):
        wide, tall = (net.get_parameter(f"trunk.{stage}.1.{place}.conv.weight") for place in (1, 2))
        square = tall.shape[0] * wide.shape[1] * tall.shape[2] * wide.shape[3]
        saved[f"v3_c{wide.shape[1]}"] = 100 * (1 - (wide.numel() + tall.numel()) / square)
    return Claim(
        "v2: 1xn and nx1 in place of nxn save 33 % of the work",
        "1512.00567 section 3.2: 33 % for n = 3 at equal widths; good on grids of 12 to 20 cells, not in early layers",
        "1 - 2/n at equal widths: {n3:.1f} % for n = 3, {n5:.1f} % for 5, {n7:.1f} % for 7; in v3 (n = 7, to 192 "
        "channels) {v3_c128:.1f} % from 128, {v3_c160:.1f} % from 160, {v3_c192:.1f} % from 192",
        "conditional",
        saved,
    )


def _seven_by_seven() -> Claim:
    with torch.device("meta"):
        heads = create("inception_v3", aux=True).aux, inception_v3().aux
    kernel = max(m.kernel_size[0] for m in heads[0].modules() if isinstance(m, nn.Conv2d))
    parameters, more = (sum(p.numel() for p in head.parameters()) for head in heads)
    return Claim(
        "v3: a 7x7 convolution in the auxiliary classifier",
        '1512.00567 table 3: "factorized 7x7" is about the first layers, "BN-auxiliary" about batch norm',
        "the largest kernel is {kernel}x{kernel}, of {parameters:,} parameters; with 7x7 {parameters_7x7:,}",
        "false",
        dict(kernel=kernel, parameters=parameters, parameters_7x7=more),
    )


def _version_4() -> Claim:
    names = ("inception_v4", "inception_resnet_v1", "inception_resnet_v2")
    return Claim(
        "v4 joins Inception with residual connections",
        "1602.07261 section 3: v4 has none; Inception-ResNet-v1 and v2, in the same paper, do",
        "residual connections: {inception_v4} in v4, {inception_resnet_v1} in Inception-ResNet-v1, "
        "{inception_resnet_v2} in v2 as released",
        "garbled",
        {name: sum(isinstance(m, Residual) for m in _build(name).modules()) for name in names},
    )


def _build(name: str) -> Inception:
    with torch.device("meta"):
        return create(name, aux=True)

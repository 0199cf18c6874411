"""Cadene's pretrained-models.pytorch: BN-Inception, Inception-v3, v4, Inception-ResNet-v2, Xception.

Traps:
    - v4 and Inception-ResNet-v2 have 1001 outputs in their files: a background class, which is dropped, and
      ImageNet's.
    - BN-Inception takes blue, green, red of 0 to 255 minus (104, 117, 128); its first kernel is turned around here,
      so that it takes red, green, blue, and the mean stands in the preprocessing, turned around too.
    - Its convolutions have biases ahead of batch norm, which fold into the means there; its older file has batch
      norm's vectors as (1, C).
    - The files of Inception-v3 and Xception call the classifier `fc`, the library's own networks `last_linear`.
    - Pictures are resized bilinearly to the floor of size / 0.875 (Xception: 0.8975).
"""

import re
from dataclasses import replace

from torchinception.data.transforms import Preprocess
from torchinception.weights.sources import timm, torchvision
from torchinception.weights.sources.source import (
    Source,
    Tensors,
    fold_bias,
    spell_pairs,
    spell_units,
    swap_red_and_blue,
    within,
)

BILINEAR_341 = Preprocess(size=299, crop=299 / 341)
REDUCED = {"1.0": "3x3_reduce", "1.1": "3x3", "2.0": "double_3x3_reduce", "2.1": "double_3x3_1", "2.2": "double_3x3_2"}
MODULE = {"0.0": "1x1", "3.1": "pool_proj"} | REDUCED
REDUCTION = {"0.0": "3x3_reduce", "0.1": "3x3"} | {f"1.{i}": REDUCED[f"2.{i}"] for i in range(3)}


def bn_inception_layers() -> dict[str, str]:
    """pretrainedmodels/models/bninception.py."""
    names = {"trunk.conv_1": "conv1_7x7_s2", "trunk.conv_2_reduce": "conv2_3x3_reduce", "trunk.conv_2": "conv2_3x3"}
    for place in ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        module = REDUCTION if place in ("3c", "4e") else MODULE
        names |= within(f"inception_{place}", f"inception_{place}", module, "_")
    return {ours: f"{name} {name}_bn" for ours, name in names.items()} | {"classifier": "last_linear"}


def tidy_bn_inception(tensors: Tensors) -> Tensors:
    """Red first, vectors flat, biases in the means."""
    tensors = swap_red_and_blue(tensors, "conv1_7x7_s2.weight")
    for name, tensor in tensors.items():
        if "_bn." in name and tensor.ndim == 2 and len(tensor) == 1:
            tensors[name] = tensor[0]
    for name in [name.removesuffix("_bn.running_mean") for name in tensors if name.endswith("_bn.running_mean")]:
        fold_bias(tensors, name, f"{name}_bn")
    return tensors


def tidy_classifier(tensors: Tensors) -> Tensors:
    """The classifier as the published file calls it; a file with both names is left as it is, and fits nothing."""
    if any(name.startswith("fc.") for name in tensors):
        return dict(tensors)
    return {re.sub(r"^last_linear\.", "fc.", name): tensor for name, tensor in tensors.items()}


BN_INCEPTION = Source(
    name="cadene_bn_inception",
    what="Cadene bninception",
    network="bn_inception",
    formats=torchvision.FORMATS,
    layers=bn_inception_layers(),
    spell=spell_pairs,
    preprocess=Preprocess(
        size=224, crop=224 / 256, mean=(128 / 255, 117 / 255, 104 / 255), std=(1 / 255, 1 / 255, 1 / 255)
    ),
    tidy=tidy_bn_inception,
)
INCEPTION_V3 = replace(
    torchvision.INCEPTION_V3,
    name="cadene_inception_v3",
    what="Cadene inceptionv3",
    preprocess=BILINEAR_341,
    tidy=tidy_classifier,
)
INCEPTION_V4 = replace(
    timm.INCEPTION_V4,
    name="cadene_inception_v4",
    what="Cadene inceptionv4",
    preprocess=BILINEAR_341,
    outputs=1001,
    background=True,
)
INCEPTION_RESNET_V2 = Source(
    name="cadene_inception_resnet_v2",
    what="Cadene inceptionresnetv2",
    network="inception_resnet_v2",
    formats=torchvision.FORMATS,
    layers=timm.inception_resnet_v2_layers("last_linear"),
    spell=spell_units,
    preprocess=BILINEAR_341,
    options={"dropout": 0.0},
    background=True,
)
XCEPTION = replace(
    timm.XCEPTION,
    name="cadene_xception",
    what="Cadene xception",
    preprocess=Preprocess(size=299, crop=299 / 333),
    tidy=tidy_classifier,
)

"""Keras's Inception-v3, Inception-ResNet-v2 and Xception, with their classifier ("top") or without.

Traps:
    - Layers without a name of their own are numbered, from wherever the process had got to (`conv2d`, `conv2d_94`);
      only the numbers' order means anything, and files list layers in another.
    - Batch norm of the first two has no gammas: they are ones. Statistics moved by 0.01 a step.
    - Keras leaves resizing to the caller; a picture is stretched here, by Pillow's bilinear, as `load_img` does with
      `interpolation="bilinear"` (its default is nearest). The picture is scaled to -1 to 1.
    - `.npz` files are those that `weights.export` writes: numbered from 0, gammas folded in.
    - Xception's blocks are counted from the first convolutions on: block2 is the first with a shortcut.
"""

import re
from functools import partial

import torch

from torchinception.data.transforms import Preprocess
from torchinception.models import create
from torchinception.network import Options
from torchinception.weights.sources.source import Source, Tensors, from_tensorflow

NUMBERED = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?/(.+)")
BATCH_NORM = {"bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def tidy(tensors: Tensors) -> Tensors:
    """Numbers from 0 on, in their own order: `conv2d_0`, `batch_normalization_0`, ..."""
    found = {name: match for name in tensors if (match := NUMBERED.fullmatch(name))}
    numbers: dict[str, set[int]] = {"conv2d": set(), "batch_normalization": set()}
    for match in found.values():
        numbers[match[1]].add(int(match[2] or 0))
    rank = {kind: {number: i for i, number in enumerate(sorted(seen))} for kind, seen in numbers.items()}
    renamed = {}
    for name, tensor in tensors.items():
        if match := found.get(name):
            name = f"{match[1]}_{rank[match[1]][int(match[2] or 0)]}/{match[3]}"  # noqa: PLW2901
        renamed[name] = tensor
    return renamed


def spell(layer: str, part: str, *, gamma: bool) -> str | float:
    """`conv2d_0 batch_normalization_0` and our part -> Keras's variable."""
    conv, _, norm = layer.partition(" ")
    kind, _, name = part.rpartition(".")
    if kind == "bn":
        if name == "weight" and gamma:
            return f"{norm}/gamma"
        return f"{norm}/{BATCH_NORM[name]}" if name in BATCH_NORM else float(name == "weight")
    if name == "bias":
        return f"{conv}/bias"
    return conv if conv.endswith("_kernel") else f"{conv}/kernel"


def _units(network: str) -> list[str]:
    """Our convolutions with batch norm, in the order of definition, which is that of Keras's code."""
    with torch.device("meta"):
        keys = create(network).state_dict()
    return [key.removesuffix(".conv.weight") for key in keys if key.endswith(".conv.weight")]


def _numbered(units: list[str]) -> dict[str, str]:
    return {unit: f"conv2d_{i} batch_normalization_{i}" for i, unit in enumerate(units)}


def inception_v3_layers() -> dict[str, str]:
    """keras/src/applications/inception_v3.py."""
    return _numbered(_units("inception_v3")) | {"classifier": "predictions"}


def inception_resnet_v2_layers() -> dict[str, str]:
    """keras/src/applications/inception_resnet_v2.py."""
    layers = _numbered([unit for unit in _units("inception_resnet_v2") if unit != "trunk.conv_7b"])
    layers |= {"trunk.conv_7b": "conv_7b conv_7b_bn", "classifier": "predictions"}
    for stage, kind, count in (("block_35", "block35", 10), ("block_17", "block17", 20), ("block_8", "block8", 9)):
        layers |= {f"trunk.{stage}.{i}.branch.1": f"{kind}_{i + 1}_conv" for i in range(count)}
    return layers | {"trunk.block_8_last.branch.1": "block8_10_conv"}


def xception_layers() -> dict[str, str]:
    """keras/src/applications/xception.py."""
    layers = {f"trunk.conv_{i}": f"block1_conv{i} block1_conv{i}_bn" for i in (1, 2)} | {"classifier": "predictions"}
    layers |= {
        f"trunk.block_{block}.shortcut": f"conv2d_{i} batch_normalization_{i}" for i, block in enumerate((1, 2, 3, 12))
    }
    places = {f"trunk.conv_{i}": f"block14_sepconv{i - 2}" for i in (3, 4)}
    for block in range(1, 13):
        begin = int(block > 1)  # all but the first begin with a ReLU
        for i in range(3 if 3 < block < 12 else 2):
            places[f"trunk.block_{block}.branch.{begin + 2 * i}"] = f"block{block + 1}_sepconv{i + 1}"
    for ours, name in places.items():
        layers |= {f"{ours}.0": f"{name}/depthwise_kernel", f"{ours}.1": f"{name}/pointwise_kernel {name}_bn"}
    return layers


def _source(name: str, what: str, network: str, layers: dict[str, str], *, gamma: bool) -> Source:
    return Source(
        name=name,
        what=f"Keras {what}",
        network=network,
        formats=("hdf5", "npz"),
        layers=layers,
        spell=partial(spell, gamma=gamma),
        preprocess=Preprocess(size=299, resize="stretch", crop=1),
        options=Options(bn_momentum=0.01, dropout=0.0),
        ours=from_tensorflow,
        tidy=tidy,
    )


def sources() -> list[Source]:
    """A function, because the tables are made from the networks."""
    return [
        _source("keras_inception_v3", "InceptionV3", "inception_v3", inception_v3_layers(), gamma=False),
        _source(
            "keras_inception_resnet_v2",
            "InceptionResNetV2",
            "inception_resnet_v2",
            inception_resnet_v2_layers(),
            gamma=False,
        ),
        _source("keras_xception", "Xception", "xception", xception_layers(), gamma=True),
    ]

"""TF-slim's Inception v1, v2, v3, v4 and Inception-ResNet-v2 of 2016.

Traps:
    - 1001 outputs, a background class ahead of ImageNet's; it is dropped, in the auxiliary heads too.
    - Batch norm has no gammas: they are ones. Statistics moved by 0.0003 a step.
    - v2's first layer is separable, with bias and without batch norm.
    - Logits of v1 to v3 are 1x1 convolutions.
    - Names that are not what they seem: `Mixed_5b/Branch_2/Conv2d_0a_3x3` in v1; `Conv_1_0c_5x5` in Mixed_5c of v3,
      `Conv2d_1a_1x1` for 3x3 in its Mixed_6a, and 3x1 as `0b` in Mixed_7b but `0c` in Mixed_7c.
    - Modules of v1 and v2 are counted from one letter on: their Mixed_3b is the paper's 3a.
    - The middle 87.5 % of both sides is stretched to the size, by TensorFlow 1's bilinear.
"""

from torchinception.data.transforms import Preprocess
from torchinception.network import Options
from torchinception.weights.sources.source import Source, from_tensorflow, within

BATCH_NORM = {"bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
V1_MODULE = {
    "0.0": "Branch_0/Conv2d_0a_1x1",
    "1.0": "Branch_1/Conv2d_0a_1x1",
    "1.1": "Branch_1/Conv2d_0b_3x3",
    "2.0": "Branch_2/Conv2d_0a_1x1",
    "2.1": "Branch_2/Conv2d_0b_3x3",
    "3.1": "Branch_3/Conv2d_0b_1x1",
}
V2_MODULE = V1_MODULE | {"2.2": "Branch_2/Conv2d_0c_3x3"}
V2_REDUCTION = {
    "0.0": "Branch_0/Conv2d_0a_1x1",
    "0.1": "Branch_0/Conv2d_1a_3x3",
    "1.0": "Branch_1/Conv2d_0a_1x1",
    "1.1": "Branch_1/Conv2d_0b_3x3",
    "1.2": "Branch_1/Conv2d_1a_3x3",
}


def spell(layer: str, part: str) -> str | float:
    """Variables of slim's layers."""
    if part.startswith("bn."):
        name = part.removeprefix("bn.")
        return f"{layer}/BatchNorm/{BATCH_NORM[name]}" if name in BATCH_NORM else float(name == "weight")
    if part.endswith("bias"):
        return f"{layer.removesuffix('/pointwise_weights')}/biases"
    return layer if layer.endswith("_weights") else f"{layer}/weights"


def _branch(branch: int, *names: str) -> dict[str, str]:
    """Convolutions in a row, `a_1x1` standing for `Conv2d_0a_1x1`."""
    full = (f"Conv2d_0{name}" if name[0].isalpha() else f"Conv2d_{name}" for name in names)
    return {f"{branch}.{j}": f"Branch_{branch}/{name}" for j, name in enumerate(full)}


def _v1_layers() -> dict[str, str]:
    stem = {"conv_1": "Conv2d_1a_7x7", "conv_2_reduce": "Conv2d_2b_1x1", "conv_2": "Conv2d_2c_3x3"}
    found = {f"trunk.{ours}": theirs for ours, theirs in stem.items()} | {"classifier": "Logits/Conv2d_0c_1x1"}
    places = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    for place, name in zip(places, ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"), strict=True):
        found |= within(f"inception_{place}", f"Mixed_{name}", V1_MODULE, "/")
    return found | {"trunk.inception_5a.2.1": "Mixed_5b/Branch_2/Conv2d_0a_3x3"}


def _v2_layers() -> dict[str, str]:
    stem = {
        "conv_1.0": "Conv2d_1a_7x7/depthwise_weights",
        "conv_1.1": "Conv2d_1a_7x7/pointwise_weights",
        "conv_2_reduce": "Conv2d_2b_1x1",
        "conv_2": "Conv2d_2c_3x3",
    }
    found = {f"trunk.{ours}": theirs for ours, theirs in stem.items()} | {"classifier": "Logits/Conv2d_1c_1x1"}
    places = ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    for place, name in zip(places, ("3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b", "5c"), strict=True):
        module = V2_REDUCTION if place in ("3c", "4e") else V2_MODULE
        found |= within(f"inception_{place}", f"Mixed_{name}", module, "/")
    return found


def _head(stage: str, *names: str) -> dict[str, str]:
    return {f"aux.{stage}.{i}": f"AuxLogits/{name}" for i, name in zip((1, 2, 5), names, strict=True)}


def _stem(*places: str) -> dict[str, str]:
    sizes = {"3b": "1x1", "7b": "1x1"}
    return {f"trunk.conv_{place}": f"Conv2d_{place}_{sizes.get(place, '3x3')}" for place in places}


POOL = {"3.1": "Branch_3/Conv2d_0b_1x1"}
BLOCK_A = _branch(0, "a_1x1") | _branch(1, "a_1x1", "b_5x5") | _branch(2, "a_1x1", "b_3x3", "c_3x3") | POOL
BLOCK_B = (
    _branch(0, "a_1x1")
    | _branch(1, "a_1x1", "b_1x7", "c_7x1")
    | _branch(2, "a_1x1", "b_7x1", "c_1x7", "d_7x1", "e_1x7")
    | POOL
)
REDUCTION_A = _branch(0, "1a_3x3") | _branch(1, "a_1x1", "b_3x3", "1a_3x3")
REDUCTION_B = _branch(0, "a_1x1", "1a_3x3") | _branch(1, "a_1x1", "b_1x7", "c_7x1", "1a_3x3")


def _v3_block_c(column: str) -> dict[str, str]:
    inner = {"1.0": "0a_1x1", "1.1.0.0": "0b_1x3", "1.1.1.0": f"{column}_3x1"}
    inner |= {"2.0": "0a_1x1", "2.1": "0b_3x3", "2.2.0.0": "0c_1x3", "2.2.1.0": "0d_3x1"}
    return {k: f"Branch_{k[0]}/Conv2d_{name}" for k, name in inner.items()} | _branch(0, "a_1x1") | POOL


def _v3_layers() -> dict[str, str]:
    blocks = {"5b": BLOCK_A, "5d": BLOCK_A}
    blocks["5c"] = BLOCK_A | {"1.0": "Branch_1/Conv2d_0b_1x1", "1.1": "Branch_1/Conv_1_0c_5x5"}
    blocks["6a"] = REDUCTION_A | {"0.0": "Branch_0/Conv2d_1a_1x1", "1.2": "Branch_1/Conv2d_1a_1x1"}
    blocks |= dict.fromkeys(("6b", "6c", "6d", "6e"), BLOCK_B)
    blocks |= {"7a": REDUCTION_B, "7b": _v3_block_c("0b"), "7c": _v3_block_c("0c")}
    found = _stem("1a", "2a", "2b", "3b", "4a") | {"classifier": "Logits/Conv2d_1c_1x1"}
    for place, block in blocks.items():
        found |= within(f"mixed_{place}", f"Mixed_{place}", block, "/")
    return found | _head("mixed_6e", "Conv2d_1b_1x1", "Conv2d_2a_5x5", "Conv2d_2b_1x1")


def _v4_layers() -> dict[str, str]:
    block_a = _branch(0, "a_1x1") | _branch(1, "a_1x1", "b_3x3") | _branch(2, "a_1x1", "b_3x3", "c_3x3") | POOL
    inner = {"1.0": "0a_1x1", "1.1.0.0": "0b_1x3", "1.1.1.0": "0c_3x1"}
    inner |= {"2.0": "0a_1x1", "2.1": "0b_3x1", "2.2": "0c_1x3", "2.3.0.0": "0d_1x3", "2.3.1.0": "0e_3x1"}
    block_c = {k: f"Branch_{k[0]}/Conv2d_{name}" for k, name in inner.items()} | _branch(0, "a_1x1") | POOL
    blocks = {"3a": {"1.0": "Branch_1/Conv2d_0a_3x3"}, "5a": _branch(0, "1a_3x3")}
    blocks["4a"] = _branch(0, "a_1x1", "1a_3x3") | _branch(1, "a_1x1", "b_1x7", "c_7x1", "1a_3x3")
    blocks |= {f"5{letter}": block_a for letter in "bcde"} | {"6a": REDUCTION_A, "7a": REDUCTION_B}
    blocks |= {f"6{letter}": BLOCK_B for letter in "bcdefgh"} | {f"7{letter}": block_c for letter in "bcd"}
    found = _stem("1a", "2a", "2b") | {"classifier": "Logits/Logits"}
    for place, block in blocks.items():
        found |= within(f"mixed_{place}", f"Mixed_{place}", block, "/")
    return found | _head("mixed_6h", "Conv2d_1b_1x1", "Conv2d_2a", "Aux_logits")


def _resnet_v2_layers() -> dict[str, str]:
    first = {"0.0": "Branch_0/Conv2d_1x1"}
    found = _stem("1a", "2a", "2b", "3b", "4a", "7b") | {"classifier": "Logits/Logits"}
    found |= within("mixed_5b", "Mixed_5b", BLOCK_A | first, "/") | within("mixed_6a", "Mixed_6a", REDUCTION_A, "/")
    mixed_7a = _branch(0, "a_1x1", "1a_3x3") | _branch(1, "a_1x1", "1a_3x3") | _branch(2, "a_1x1", "b_3x3", "1a_3x3")
    found |= within("mixed_7a", "Mixed_7a", mixed_7a, "/")
    block_35 = first | _branch(1, "a_1x1", "b_3x3") | _branch(2, "a_1x1", "b_3x3", "c_3x3")
    block_17 = first | _branch(1, "a_1x1", "b_1x7", "c_7x1")
    block_8 = first | _branch(1, "a_1x1", "b_1x3", "c_3x1")
    places = [(f"block_35.{i}", f"Repeat/block35_{i + 1}", block_35) for i in range(10)]
    places += [(f"block_17.{i}", f"Repeat_1/block17_{i + 1}", block_17) for i in range(20)]
    places += [(f"block_8.{i}", f"Repeat_2/block8_{i + 1}", block_8) for i in range(9)]
    for stage, name, block in [*places, ("block_8_last", "Block8", block_8)]:
        inner = {f"branch.0.{ours}": theirs for ours, theirs in block.items()} | {"branch.1": "Conv2d_1x1"}
        found |= within(stage, name, inner, "/")
    return found | _head("block_17", "Conv2d_1b_1x1", "Conv2d_2a_5x5", "Logits")


def _source(name: str, scope: str, network: str, size: int, layers: dict[str, str]) -> Source:
    return Source(
        name=name,
        what=f"TF-slim {scope}",
        network=network,
        formats=("tensorflow",),
        layers={ours: f"{scope}/{theirs}" for ours, theirs in layers.items()},
        spell=spell,
        preprocess=Preprocess(size=size, resize="stretch", crop=0.875, interpolation="bilinear_tf1"),
        options=Options(bn_momentum=0.0003),
        ours=from_tensorflow,
        background=True,
    )


INCEPTION_V1 = _source("slim_inception_v1", "InceptionV1", "googlenet_slim", 224, _v1_layers())
INCEPTION_V2 = _source("slim_inception_v2", "InceptionV2", "bn_inception_slim", 224, _v2_layers())
INCEPTION_V3 = _source("slim_inception_v3", "InceptionV3", "inception_v3", 299, _v3_layers())
INCEPTION_V4 = _source("slim_inception_v4", "InceptionV4", "inception_v4", 299, _v4_layers())
INCEPTION_RESNET_V2 = _source(
    "slim_inception_resnet_v2", "InceptionResnetV2", "inception_resnet_v2", 299, _resnet_v2_layers()
)

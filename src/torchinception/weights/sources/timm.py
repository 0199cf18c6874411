"""timm's Inception-v3, v4, Inception-ResNet-v2 and legacy Xception.

Traps:
    - Four sets of v3 weights share one graph: tv, tf and tf_adv take -1 to 1, gluon ImageNet's mean and deviation;
      the keys do not tell them apart, the catalogue does. Only tv's file has the auxiliary head.
    - Average pools of v3 count padding; those of v4 and the residual network do not.
    - The classifier of Inception-ResNet-v2 is `classif`.
    - `legacy_xception` is Keras's network with pools padded by 1 and eps 1e-5; `xception41` and its like are others.
    - Pictures are resized to the floor of size / crop: 341 and 333 px.
"""

from torchinception.data.transforms import Preprocess
from torchinception.weights.sources.source import Source, branches, spell_pairs, spell_units, within
from torchinception.weights.sources.torchvision import FORMATS, inception_v3_layers

BICUBIC_341 = Preprocess(size=299, crop=299 / 341, interpolation="bicubic")
BICUBIC_333 = Preprocess(size=299, crop=299 / 333, interpolation="bicubic")
POOL = {"3.1": "branch3.1"}  # index 0 is the pool
BLOCK_C = {
    "0.0": "branch0",
    "1.0": "branch1_0",
    "1.1.0.0": "branch1_1a",  # 1x3
    "1.1.1.0": "branch1_1b",  # 3x1
    "2.0": "branch2_0",
    "2.1": "branch2_1",  # 3x1
    "2.2": "branch2_2",  # 1x3
    "2.3.0.0": "branch2_3a",  # 1x3
    "2.3.1.0": "branch2_3b",  # 3x1
} | POOL


def inception_v4_layers() -> dict[str, str]:
    """timm/models/inception_v4.py; Cadene has the same names."""
    layers = {f"trunk.conv_{place}": f"features.{i}" for i, place in enumerate(("1a", "2a", "2b"))}
    layers |= {"trunk.mixed_3a.1.0": "features.3.conv", "trunk.mixed_5a.0.0": "features.5.conv"}
    layers |= within("mixed_4a", "features.4", branches(2, 4))
    blocks = {f"5{letter}": branches(1, 2, 3) | POOL for letter in "bcde"} | {"6a": branches(1, 3)}
    blocks |= {f"6{letter}": branches(1, 3, 5) | POOL for letter in "bcdefgh"} | {"7a": branches(2, 4)}
    blocks |= {f"7{letter}": BLOCK_C for letter in "bcd"}
    for i, (place, block) in enumerate(blocks.items(), 6):
        layers |= within(f"mixed_{place}", f"features.{i}", block)
    return layers | {"classifier": "last_linear"}


def residual_layers(block_35: dict[str, str], mixed_7a: dict[str, str], counts: dict[str, int]) -> dict[str, str]:
    """What Inception-ResNet-v1 and v2 share; `counts` are the blocks of each kind by the source's name."""
    stem = {place: f"conv2d_{place}" for place in ("1a", "2a", "2b", "3b", "4a")}
    layers = {f"trunk.conv_{place}": name for place, name in stem.items()}
    blocks = {"block_35": block_35, "block_17": branches(1, 3), "block_8": branches(1, 3)}
    places = [
        (f"{stage}.{i}", f"{name}.{i}", block)
        for (stage, block), (name, count) in zip(blocks.items(), counts.items(), strict=True)
        for i in range(count)
    ]
    for stage, name, block in [*places, ("block_8_last", "block8", blocks["block_8"])]:
        inner = {f"branch.0.{ours}": theirs for ours, theirs in block.items()} | {"branch.1": "conv2d"}
        layers |= within(stage, name, inner)
    return layers | within("mixed_6a", "mixed_6a", branches(1, 3)) | within("mixed_7a", "mixed_7a", mixed_7a)


def inception_resnet_v2_layers(classifier: str) -> dict[str, str]:
    """timm/models/inception_resnet_v2.py; Cadene has another `classifier`."""
    counts = {"repeat": 10, "repeat_1": 20, "repeat_2": 9}
    layers = residual_layers(branches(1, 2, 3), branches(2, 2, 3), counts)
    layers |= within("mixed_5b", "mixed_5b", branches(1, 2, 3) | POOL)
    return layers | {"trunk.conv_7b": "conv2d_7b", "classifier": classifier}


def xception_layers() -> dict[str, str]:
    """timm/models/xception.py; Cadene has the same names in its file."""
    layers = {f"trunk.conv_{i}": f"conv{i} bn{i}" for i in (1, 2)} | {"classifier": "fc"}
    for i in (3, 4):
        layers |= {f"trunk.conv_{i}.0": f"conv{i}.conv1", f"trunk.conv_{i}.1": f"conv{i}.pointwise bn{i}"}
    for block in range(1, 13):
        if block in (1, 2, 3, 12):
            layers[f"trunk.block_{block}.shortcut"] = f"block{block}.skip block{block}.skipbn"
        begin = int(block > 1)  # all but the first begin with a ReLU
        for i in range(3 if 3 < block < 12 else 2):
            place, ours = f"block{block}.rep.{begin + 3 * i}", f"trunk.block_{block}.branch.{begin + 2 * i}"
            norm = f"block{block}.rep.{begin + 3 * i + 1}"
            layers |= {f"{ours}.0": f"{place}.conv1", f"{ours}.1": f"{place}.pointwise {norm}"}
    return layers


INCEPTION_V3 = Source(
    name="timm_inception_v3",
    what="timm inception_v3",
    network="inception_v3_torch",
    formats=FORMATS,
    layers=inception_v3_layers(),
    spell=spell_units,
    preprocess=BICUBIC_341,
    options={"dropout": 0.0},
)
INCEPTION_V4 = Source(
    name="timm_inception_v4",
    what="timm inception_v4",
    network="inception_v4",
    formats=FORMATS,
    layers=inception_v4_layers(),
    spell=spell_units,
    preprocess=BICUBIC_341,
    options={"dropout": 0.0},
)
INCEPTION_RESNET_V2 = Source(
    name="timm_inception_resnet_v2",
    what="timm inception_resnet_v2",
    network="inception_resnet_v2",
    formats=FORMATS,
    layers=inception_resnet_v2_layers("classif"),
    spell=spell_units,
    preprocess=BICUBIC_333,
    options={"dropout": 0.0},
)
XCEPTION = Source(
    name="timm_xception",
    what="timm legacy_xception",
    network="xception_torch",
    formats=FORMATS,
    layers=xception_layers(),
    spell=spell_pairs,
    preprocess=BICUBIC_333,
    options={"dropout": 0.0},
)

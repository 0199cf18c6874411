"""torchvision's GoogLeNet and Inception-v3.

Traps:
    - The branch that is called 5x5 in GoogLeNet is a 3x3 (pytorch/vision#906).
    - GoogLeNet's file has auxiliary heads that were never trained; torchvision gives their logits in the order
      main, second, first (pytorch/vision#8736).
    - Both take ImageNet's mean and deviation and undo them inside the network (`transform_input`): what is left is
      -1 to 1, which stands in the preprocessing here.
    - Average pools count padding, which those of TensorFlow, where the weights are from, do not; the first convolution
      of GoogLeNet pads 3 and 3 where TensorFlow padded 2 and 3.
    - Files from before PyTorch 0.4.1 have no `num_batches_tracked`.
"""

from torchinception.data.transforms import Preprocess
from torchinception.weights.sources.source import Source, spell_units, within

FORMATS = ("torch", "safetensors")
MODULE = {"0.0": "branch1"} | {f"{i}.{j}": f"branch{i + 1}.{j}" for i in (1, 2) for j in (0, 1)} | {"3.1": "branch4.1"}
HEAD = {"1": "conv", "3": "fc1", "6": "fc2"}


def _numbered(branch: int, name: str, count: int, first: int = 1) -> dict[str, str]:
    return {f"{branch}.{j}": f"{name}_{first + j}" for j in range(count)}


BLOCK_A = {"0.0": "branch1x1", "3.1": "branch_pool"} | _numbered(1, "branch5x5", 2) | _numbered(2, "branch3x3dbl", 3)
REDUCTION_A = {"0.0": "branch3x3"} | _numbered(1, "branch3x3dbl", 3)
BLOCK_B = {"0.0": "branch1x1", "3.1": "branch_pool"} | _numbered(1, "branch7x7", 3) | _numbered(2, "branch7x7dbl", 5)
REDUCTION_B = _numbered(0, "branch3x3", 2) | _numbered(1, "branch7x7x3", 4)
BLOCK_C = {
    "0.0": "branch1x1",
    "1.0": "branch3x3_1",
    "1.1.0.0": "branch3x3_2a",  # 1x3
    "1.1.1.0": "branch3x3_2b",  # 3x1
    "2.0": "branch3x3dbl_1",
    "2.1": "branch3x3dbl_2",
    "2.2.0.0": "branch3x3dbl_3a",  # 1x3
    "2.2.1.0": "branch3x3dbl_3b",  # 3x1
    "3.1": "branch_pool",
}


def googlenet_layers() -> dict[str, str]:
    """torchvision/models/googlenet.py."""
    layers = {"trunk.conv_1": "conv1", "trunk.conv_2_reduce": "conv2", "trunk.conv_2": "conv3", "classifier": "fc"}
    for place in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        layers |= within(f"inception_{place}", f"inception{place}", MODULE)
    for place, head in (("4a", "aux1"), ("4d", "aux2")):
        layers |= {f"aux.inception_{place}.{ours}": f"{head}.{theirs}" for ours, theirs in HEAD.items()}
    return layers


def inception_v3_layers(*, aux: bool = True) -> dict[str, str]:
    """torchvision/models/inception.py; timm, Cadene and pytorch-fid have the same names."""
    stem = {"1a": "1a_3x3", "2a": "2a_3x3", "2b": "2b_3x3", "3b": "3b_1x1", "4a": "4a_3x3"}
    layers = {f"trunk.conv_{ours}": f"Conv2d_{theirs}" for ours, theirs in stem.items()} | {"classifier": "fc"}
    blocks = {"5b": BLOCK_A, "5c": BLOCK_A, "5d": BLOCK_A, "6a": REDUCTION_A}
    blocks |= dict.fromkeys(("6b", "6c", "6d", "6e"), BLOCK_B) | {"7a": REDUCTION_B, "7b": BLOCK_C, "7c": BLOCK_C}
    for place, block in blocks.items():
        layers |= within(f"mixed_{place}", f"Mixed_{place}", block)
    if aux:
        layers |= {f"aux.mixed_6e.{i}": f"AuxLogits.{name}" for i, name in ((1, "conv0"), (2, "conv1"), (5, "fc"))}
    return layers


GOOGLENET = Source(
    name="torchvision_googlenet",
    what="torchvision googlenet",
    network="googlenet_torch",
    formats=FORMATS,
    layers=googlenet_layers(),
    spell=spell_units,
    preprocess=Preprocess(size=224, crop=224 / 256),
)
INCEPTION_V3 = Source(
    name="torchvision_inception_v3",
    what="torchvision inception_v3",
    network="inception_v3_torch",
    formats=FORMATS,
    layers=inception_v3_layers(),
    spell=spell_units,
    preprocess=Preprocess(size=299, crop=299 / 342),
    options={"dropout": 0.5},
)

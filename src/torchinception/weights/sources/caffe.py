"""BVLC's GoogLeNet, `bvlc_googlenet.caffemodel`.

Traps:
    - It takes blue, green, red of 0 to 255 minus (104, 117, 123). The first kernel is turned around here, so that it
      takes red, green, blue; the mean is kept, in the preprocessing, turned around too.
    - Linear layers of older files have four dimensions, (1, 1, out, in).
    - The file of the network as trained has both auxiliary heads; the one for deployment has none.
    - Caffe's own resize (256 x 256 by OpenCV, into its database) is not reproduced: the middle 224/256 is stretched.
"""

from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.weights.sources.source import Source, swap_red_and_blue, within

MODULE = {"0.0": "1x1", "1.0": "3x3_reduce", "1.1": "3x3", "2.0": "5x5_reduce", "2.1": "5x5", "3.1": "pool_proj"}
HEAD = {"1": "conv", "3": "fc", "6": "classifier"}


def layers() -> dict[str, str]:
    """models/bvlc_googlenet/train_val.prototxt."""
    found = {"trunk.conv_1": "conv1/7x7_s2", "trunk.conv_2_reduce": "conv2/3x3_reduce", "trunk.conv_2.0": "conv2/3x3"}
    for place in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        found |= within(f"inception_{place}", f"inception_{place}", MODULE, "/")
    for place, head in (("4a", "loss1"), ("4d", "loss2")):
        found |= {f"aux.inception_{place}.{ours}": f"{head}/{theirs}" for ours, theirs in HEAD.items()}
    return found | {"classifier": "loss3/classifier"}


def ours(_key: str, tensor: Tensor, ndim: int) -> Tensor:
    """Blobs without the leading ones of older files."""
    while tensor.ndim > ndim and tensor.shape[0] == 1:
        tensor = tensor[0]
    return tensor


GOOGLENET = Source(
    name="caffe_googlenet",
    what="Caffe bvlc_googlenet",
    network="googlenet",
    formats=("caffe",),
    layers=layers(),
    spell=lambda layer, part: f"{layer}/{0 if part.endswith('weight') else 1}",
    preprocess=Preprocess(
        size=224,
        resize="stretch",
        crop=224 / 256,
        mean=(123 / 255, 117 / 255, 104 / 255),
        std=(1 / 255, 1 / 255, 1 / 255),
    ),
    ours=ours,
    tidy=lambda tensors: swap_red_and_blue(tensors, "conv1/7x7_s2/0"),
)

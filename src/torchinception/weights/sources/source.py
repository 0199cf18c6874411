"""A `Source`: how one library names the weights of one network, and what it does around them.

`layers` is the table: each of our layers that has weights (`trunk.conv_1a`, `classifier`) beside the source's name of
it. A convolution with batch norm may need two names there, separated by a blank. `spell` makes the source's key of a
parameter from that name; where the source has no such parameter, it gives the number that stands for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.network import Inception, Options

Tensors = dict[str, Tensor]
HALF: Final = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
PARTS = ("weight", "bias", "conv.weight", "conv.bias", *(f"bn.{name}" for name in BATCH_NORM))


@dataclass(frozen=True)
class Source:
    """One network of one library.

    Args:
        name: what `--from` and `source=` take.
        what: the library and its name of the network.
        network: ours, in `NETWORKS`.
        formats: the kinds of files (`Contents.format`) in which it comes.
        layers: our layers beside the source's.
        spell: the source's name of a layer and our name of a parameter -> its key, or the number it stands for.
        preprocess: the source's own.
        options: what the source's network has otherwise than ours, as `create` takes it.
        ours: the source's key, its tensor and our number of dimensions -> the tensor in PyTorch's layout.
        tidy: ahead of all else; undoes what differs from file to file, such as Keras's numbers.
        outputs: the only number of outputs in the source's files, where there is one.
        background: a class that stands ahead of ImageNet's 1000 and is dropped.
        imagenet: a thousand outputs are ImageNet's classes.
    """

    name: str
    what: str
    network: str
    formats: tuple[str, ...]
    layers: Mapping[str, str]
    spell: Callable[[str, str], str | float]
    preprocess: Preprocess
    options: Options = field(default_factory=Options)
    ours: Callable[[str, Tensor, int], Tensor] = lambda _key, tensor, _ndim: tensor
    tidy: Callable[[Tensors], Tensors] = dict
    outputs: int | None = None
    background: bool = False
    imagenet: bool = True

    def keys(self, net: Inception) -> dict[str, str | float]:
        """Each of `net`'s keys beside the source's, or beside the number that stands for it."""
        found = {}
        for key in net.state_dict():
            part = next(part for part in PARTS[::-1] if key.endswith(f".{part}"))
            found[key] = self.spell(self.layers[key.removesuffix(f".{part}")], part)
        return found


def within(stage: str, name: str, layers: Mapping[str, str], join: str = ".") -> dict[str, str]:
    """The layers of one stage: our path inside it beside the source's, each behind the stage's own name."""
    return {f"trunk.{stage}.{ours}": f"{name}{join}{theirs}" for ours, theirs in layers.items()}


def branches(*lengths: int) -> dict[str, str]:
    """Branches of so many convolutions as Cadene and timm number them: `branch0`, `branch1.0`, `branch1.1`, ..."""
    return {
        f"{i}.{j}": f"branch{i}" if length == 1 else f"branch{i}.{j}"
        for i, length in enumerate(lengths)
        for j in range(length)
    }


def spell_units(layer: str, part: str) -> str:
    """Where a layer is a module with `conv` and `bn` inside, as with us."""
    return f"{layer}.{part}"


def spell_pairs(layer: str, part: str) -> str:
    """Where convolution and batch norm are modules of their own: `conv1 bn1`."""
    conv, _, norm = layer.partition(" ")
    kind, _, name = part.rpartition(".")
    return f"{norm if kind == 'bn' else conv}.{name}"


def from_tensorflow(key: str, tensor: Tensor, ndim: int) -> Tensor:
    """TensorFlow's and Keras's layouts: HWIO kernels, (in, out) matrices, depthwise kernels (H, W, in, multiplier).

    Logits that are 1x1 convolutions, as TF-slim's are, become matrices.
    """
    if tensor.ndim == 4 and "depthwise" in key:
        height, width, channels, multiplier = tensor.shape
        return tensor.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    if tensor.ndim == 4 and ndim == 2 and tensor.shape[:2] == (1, 1):
        tensor = tensor[0, 0]
    if tensor.ndim == ndim == 4:
        return tensor.permute(3, 2, 0, 1)
    return tensor.T if tensor.ndim == ndim == 2 else tensor


def swap_red_and_blue(tensors: Tensors, key: str) -> Tensors:
    """For networks that were trained on blue, green, red: the first kernel, turned around, takes red, green, blue."""
    swapped = dict(tensors)
    if key in swapped and swapped[key].ndim == 4:
        swapped[key] = swapped[key].flip(1)
    return swapped


def fold_bias(tensors: Tensors, convolution: str, norm: str) -> None:
    """A bias ahead of batch norm is taken off the mean there: the same function."""
    bias, mean = tensors.get(f"{convolution}.bias"), tensors.get(f"{norm}.running_mean")
    if bias is not None and mean is not None and bias.shape == mean.shape:
        tensors[f"{norm}.running_mean"] = (mean.double() - tensors.pop(f"{convolution}.bias").double()).to(mean.dtype)


def multiply(matrix: Tensor, other: Tensor) -> Tensor:
    """A matrix product that rounds once."""
    return torch.matmul(matrix.double(), other.double())

"""facenet-pytorch's Inception-ResNet-v1, which names faces.

Traps:
    - Behind the trunk stand a linear layer to 512, batch norm and, in the two published files, a linear layer to the
      identities. All three are linear, so that they are one classifier here, with the same logits (`facenet`); a file
      without the last of them (714 keys) is the embedding, ahead of its scaling to length 1 (`facenet_embedding`).
    - Faces are found and cut out by MTCNN, which is not part of the network; a picture is stretched to 160 x 160.
    - Values become (x - 127.5) / 128.
    - The identities have no published names in the files.
"""

from dataclasses import replace

import torch
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.weights.sources.source import HALF, Source, Tensors, branches, multiply, spell_units
from torchinception.weights.sources.timm import residual_layers
from torchinception.weights.sources.torchvision import FORMATS

EPS = 1e-3
NORM = ("weight", "bias", "running_mean", "running_var")


def layers() -> dict[str, str]:
    """facenet_pytorch/models/inception_resnet_v1.py, its three last layers as one."""
    counts = {"repeat_1": 5, "repeat_2": 10, "repeat_3": 5}
    found = residual_layers(branches(1, 2, 3), branches(2, 2, 3), counts)
    return found | {"trunk.conv_4b": "conv2d_4b", "classifier": "classifier"}


def _embedding(tensors: Tensors) -> tuple[Tensor, Tensor] | None:
    """The linear layer and its batch norm as one, taken out of `tensors`; None if they are not there."""
    names = ["last_linear.weight", *(f"last_bn.{name}" for name in NORM)]
    if not all(name in tensors for name in names) or tensors[names[0]].ndim != 2:
        return None
    linear, weight, bias, mean, variance = (tensors.pop(name).double() for name in names)
    tensors.pop("last_bn.num_batches_tracked", None)
    if not linear.shape[:1] == weight.shape == bias.shape == mean.shape == variance.shape:
        return None
    scale = weight / torch.sqrt(variance + EPS)
    return linear * scale[:, None], bias - mean * scale


def tidy(tensors: Tensors) -> Tensors:
    """The identities' logits as one layer."""
    tensors = dict(tensors)
    names = ("logits.weight", "logits.bias")
    if all(name in tensors for name in names) and (embedding := _embedding(tensors)):
        weight, bias = (tensors.pop(name).double() for name in names)
        if weight.ndim == 2 and weight.shape[1] == len(embedding[1]):
            tensors["classifier.weight"] = multiply(weight, embedding[0]).float()
            tensors["classifier.bias"] = (multiply(weight, embedding[1]) + bias).float()
    return tensors


def tidy_embedding(tensors: Tensors) -> Tensors:
    """The embedding as one layer; the identities are left out."""
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("logits.")}
    if embedding := _embedding(tensors):
        tensors["classifier.weight"], tensors["classifier.bias"] = (tensor.float() for tensor in embedding)
    return tensors


FACENET = Source(
    name="facenet",
    what="facenet-pytorch InceptionResnetV1 with its identities",
    network="inception_resnet_v1",
    formats=FORMATS,
    layers=layers(),
    spell=spell_units,
    preprocess=Preprocess(size=160, resize="stretch", crop=1, mean=HALF, std=(128 / 255, 128 / 255, 128 / 255)),
    options={"dropout": 0.6},
    imagenet=False,
    tidy=tidy,
)
EMBEDDING = replace(
    FACENET, name="facenet_embedding", what="facenet-pytorch InceptionResnetV1, its embedding", tidy=tidy_embedding
)

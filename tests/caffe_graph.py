"""Caffe's bvlc_googlenet, evaluated plainly in float64, after models/bvlc_googlenet/train_val.prototxt."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

Blobs = Mapping[str, Sequence[Tensor]]  # layer -> weights (out, in, height, width) or (out, in), and biases


def convolution(blobs: Blobs, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """Each with its ReLU."""
    weights, biases = (blob.double() for blob in blobs[name])
    return conv2d(x, weights, biases, stride, padding).relu()


def inner_product(blobs: Blobs, name: str, x: Tensor) -> Tensor:
    weights, biases = (blob.double() for blob in blobs[name])
    return x.flatten(1) @ weights.T + biases


def halve(x: Tensor) -> Tensor:
    """Max pool 3x3 of stride 2; the number of windows is rounded up, and the last one may reach over the edge."""
    height, width = (-(-(size - 3) // 2) * 2 + 3 - size for size in x.shape[2:])
    return max_pool2d(pad(x, (0, width, 0, height), value=-torch.inf), 3, 2)


def mean_pool(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Where the windows divide the input evenly, as they do here."""
    assert (x.shape[2] - kernel) % stride == (x.shape[3] - kernel) % stride == 0
    return x.unfold(2, kernel, stride).unfold(3, kernel, stride).mean((4, 5))


def normalize(x: Tensor) -> Tensor:
    """Local response normalization across 5 channels: alpha 0.0001, which Caffe divides by 5, beta 0.75, k 1."""
    squares = pad(x.square(), (0, 0, 0, 0, 2, 2))
    near = torch.stack([squares[:, i : i + x.shape[1]] for i in range(5)]).sum(0)
    return x / (1 + 0.0001 / 5 * near) ** 0.75


def inception(blobs: Blobs, name: str, x: Tensor) -> Tensor:
    def conv(layer: str, x: Tensor, padding: int = 0) -> Tensor:
        return convolution(blobs, f"{name}/{layer}", x, padding=padding)

    pooled = max_pool2d(pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 1)
    three, five = conv("3x3", conv("3x3_reduce", x), 1), conv("5x5", conv("5x5_reduce", x), 2)
    return torch.cat([conv("1x1", x), three, five, conv("pool_proj", pooled)], 1)


def loss(blobs: Blobs, name: str, x: Tensor) -> Tensor:
    x = convolution(blobs, f"{name}/conv", mean_pool(x, 5, 3))
    return inner_product(blobs, f"{name}/classifier", inner_product(blobs, f"{name}/fc", x).relu())


def evaluate(blobs: Blobs, x: Tensor) -> dict[str, Tensor]:
    """Blue, green and red (N, 3, 224, 224), 0 to 255 less the mean -> logits (N, 1000) of the three losses."""
    x = normalize(halve(convolution(blobs, "conv1/7x7_s2", x, 2, 3)))
    x = convolution(blobs, "conv2/3x3", convolution(blobs, "conv2/3x3_reduce", x), padding=1)
    x, found = halve(normalize(x)), {}
    for place in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        x = inception(blobs, f"inception_{place}", x)
        if place in ("4a", "4d"):
            name = {"4a": "loss1", "4d": "loss2"}[place]
            found[name] = loss(blobs, name, x)
        if place in ("3b", "4e"):
            x = halve(x)
    return found | {"loss3": inner_product(blobs, "loss3/classifier", mean_pool(x, 7, 1))}

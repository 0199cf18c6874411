"""Our weights in the layouts of torchvision, timm and Keras, to load there strictly.

Only weights are written: a picture has to be prepared as `Classifier.preprocess` says, whatever the other library's own
preparation is. Batch norm without gammas, as Keras has it, takes them into the kernel ahead of it and into the mean.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from torchinception.errors import UsageError
from torchinception.files import write_atomically
from torchinception.models import Inception, create
from torchinception.weights.sources import sources
from torchinception.weights.sources.source import Source

TARGETS: Mapping[str, tuple[str, ...]] = {
    "torchvision": ("torchvision_googlenet", "torchvision_inception_v3"),
    "timm": ("timm_inception_v3", "timm_inception_v4", "timm_inception_resnet_v2", "timm_xception"),
    "keras-npz": ("keras_inception_v3", "keras_inception_resnet_v2", "keras_xception"),
}


def export(net: Inception, path: str | Path, to: str) -> None:
    """Write a network's weights for another library; the file appears whole or not at all.

    Args:
        net: the network; auxiliary heads go along where the other library has them.
        path: the file: PyTorch's format, or safetensors if it ends so; for `keras-npz` NumPy's, with the names
            `conv2d_0/kernel` and so on, numbered from 0 in Keras's order.
        to: a key of `TARGETS`.

    Raises:
        UsageError: no such target, or none of its networks is this one with its heads and batch norm's eps.
        SaveError: it could not be written; an older file at `path` is untouched.
    """
    target = _target(net, to)
    with torch.device("meta"):
        eps = _eps(create(net.name))
    if _eps(net) != eps:
        raise UsageError(f"batch norm of {to}'s {net.name} has eps {eps}, that of this network {_eps(net)}")
    tensors = {key: tensor.detach().cpu() for key, tensor in net.state_dict().items()}
    keys = target.keys(net)
    if to == "keras-npz":
        _fold_gammas(tensors, keys)
    named = {name: _theirs(to, name, tensors[key]) for key, name in keys.items() if isinstance(name, str)}
    if to == "keras-npz":
        content = io.BytesIO()
        arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in named.items()}
        np.savez(content, **arrays)
        write_atomically(path, content.getvalue())
    elif Path(path).suffix == ".safetensors":
        write_atomically(path, safetensors.torch.save(named))
    else:
        content = io.BytesIO()
        torch.save(named, content)
        write_atomically(path, content.getvalue())


def _target(net: Inception, to: str) -> Source:
    if to not in TARGETS:
        raise UsageError(f"no target named {to}; targets: {', '.join(TARGETS)}")
    fitting = [sources()[name] for name in TARGETS[to] if sources()[name].network == net.name]
    if not fitting:
        known = ", ".join(sources()[name].network for name in TARGETS[to])
        raise UsageError(f"{to} has no {net.name}; it takes {known}")
    if net.aux and not any(layer.startswith("aux.") for layer in fitting[0].layers):
        raise UsageError(f"{to}'s {net.name} has no auxiliary heads; load the model with aux=False and save it first")
    return fitting[0]


def _eps(net: Inception) -> set[float]:
    return {module.eps for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)}


def _fold_gammas(tensors: dict[str, Tensor], keys: Mapping[str, str | float]) -> None:
    for key, name in keys.items():
        if isinstance(name, str) or not key.endswith(".bn.weight"):
            continue
        layer = key.removesuffix(".bn.weight")
        gamma = tensors[key].double()
        kernel, mean = tensors[f"{layer}.conv.weight"], tensors[f"{layer}.bn.running_mean"]
        tensors[f"{layer}.conv.weight"] = (kernel.double() * gamma.view(-1, 1, 1, 1)).to(kernel.dtype)
        tensors[f"{layer}.bn.running_mean"] = (mean.double() * gamma).to(mean.dtype)


def _theirs(to: str, name: str, tensor: Tensor) -> Tensor:
    if to == "keras-npz":
        if name.endswith("depthwise_kernel"):
            return tensor.permute(2, 3, 0, 1).contiguous()
        if tensor.ndim == 4:
            return tensor.permute(2, 3, 1, 0).contiguous()
        return (tensor.T if tensor.ndim == 2 else tensor).contiguous()
    return tensor.contiguous()

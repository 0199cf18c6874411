"""Initial weights as published: functions that set every parameter and buffer of a network."""

import math
from collections.abc import Mapping
from fnmatch import fnmatch

import torch
from torch import Tensor, nn

from torchinception.network import Inception


def caffe_xavier(net: Inception) -> None:
    """BVLC's GoogLeNet: uniform within sqrt(3 / fan-in); biases 0.2, in the classifiers 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _uniform(module, math.sqrt(3 / _fan_in(module)), 0.2)
    for head in (net, *net.aux.values()):
        nn.init.zeros_([m for m in head.modules() if isinstance(m, nn.Linear)][-1].bias)


def glorot_uniform(net: Inception) -> None:
    """Keras's default, and TF-slim's where a network sets none: uniform within sqrt(6 / (fan-in + fan-out))."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            fan_out = module.weight.shape[0] * module.weight[0, 0].numel()  # Keras: of a depthwise kernel too
            _uniform(module, math.sqrt(6 / (_fan_in(module) + fan_out)), 0.0)


def he_truncated(net: Inception, sigmas: Mapping[str, float] | None = None, otherwise: float | None = None) -> None:
    """TF-slim's `variance_scaling_initializer`, the default of its Inception networks.

    Weights: normal with variance 2 / fan-in (1.3 makes up for the cut, as there), or with the sigma
    `otherwise`, cut at two sigma. Biases 0; batch norm 1 and 0. `sigmas` sets the sigma of layers whose
    name fits a pattern.
    """
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            sigma = otherwise or math.sqrt(1.3 * 2 / _fan_in(module))
            sigma = next((s for pattern, s in (sigmas or {}).items() if fnmatch(name, pattern)), sigma)
            truncated_normal_(module.weight, sigma)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def truncated_normal_(tensor: Tensor, sigma: float) -> None:
    """Fill with a normal distribution cut at two sigma, by redrawing the 4.6 % outside until none is."""
    flat = tensor.normal_(0, sigma).view(-1)
    outside = (flat.abs() > 2 * sigma).nonzero()[:, 0]
    while len(outside):
        drawn = torch.empty(len(outside), dtype=tensor.dtype, device=tensor.device).normal_(0, sigma)
        flat[outside] = drawn
        outside = outside[drawn.abs() > 2 * sigma]


def _fan_in(module: nn.Conv2d | nn.Linear) -> int:
    return module.weight[0].numel()


def _uniform(module: nn.Conv2d | nn.Linear, bound: float, bias: float) -> None:
    nn.init.uniform_(module.weight, -bound, bound)
    if module.bias is not None:
        nn.init.constant_(module.bias, bias)

"""Initial weights as published: functions that set every parameter and buffer of a network."""

import math

import torch
from torch import Tensor, nn

from torchinception.network import Inception


def caffe_xavier(net: Inception) -> None:
    """BVLC's GoogLeNet: uniform within sqrt(3 / fan-in); biases 0.2, in the classifiers 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = math.sqrt(3 / module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound)
            nn.init.constant_(module.bias, 0.2) if module.bias is not None else None
    for head in (net, *net.aux.values()):
        nn.init.zeros_([m for m in head.modules() if isinstance(m, nn.Linear)][-1].bias)


def he_truncated(net: Inception) -> None:
    """TF-slim's `variance_scaling_initializer`, the default of its Inception networks.

    Convolutions: normal with variance 2 / fan-in, cut at two sigma (1.3 makes up for the cut, as
    there). Linear layers: normal with sigma 0.01, cut alike. Biases 0; batch norm 1 and 0.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            sigma = 0.01 if isinstance(module, nn.Linear) else math.sqrt(1.3 * 2 / fan_in)
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

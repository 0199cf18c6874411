"""Batch norm over the pictures of all processes, so that several of them compute what one would."""

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient's."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004
        """Values."""
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        """Gradients."""
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class SyncBatchNorm(nn.BatchNorm2d):
    """`nn.SyncBatchNorm` for the CPU, which torch's own refuses: two all-reduces, of the mean and of the variance."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W); in evaluation as ever."""
        if not self.training:
            return super().forward(x)
        dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))  # a count has no place in bfloat16
        count = torch.tensor(float(x.numel() // x.shape[1]), dtype=x.dtype)
        distributed.all_reduce(count)
        mean = _Sum.apply(x.sum((0, 2, 3))) / count
        centred = x - mean.view(1, -1, 1, 1)
        variance = _Sum.apply((centred * centred).sum((0, 2, 3))) / count
        if self.track_running_stats:
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            with torch.no_grad():
                unbiased = variance * (count / (count - 1))
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum or 0.0)
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum or 0.0)
                self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalized: Tensor = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return normalized.to(dtype)


def synchronize(net: nn.Module, device: torch.device) -> None:
    """Replace every batch norm by one that sees the pictures of all processes; weights stay, and so do their names."""
    for name, child in net.named_children():
        if not isinstance(child, nn.BatchNorm2d):
            synchronize(child, device)
        elif device.type == "cuda":
            setattr(net, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))  # type: ignore[no-untyped-call]
        else:
            synced = SyncBatchNorm(child.num_features, child.eps, child.momentum)
            synced.weight, synced.bias = child.weight, child.bias
            for buffer, value in child.named_buffers():
                setattr(synced, buffer, value)
            setattr(net, name, synced)

"""Running averages of a network's weights, which evaluate better than the last step's."""

import copy

import torch

from torchinception.network import Inception
from torchinception.training.recipe import Average


class RunningAverage(torch.nn.Module):
    """A second copy of a network that follows the first.

    - `ema`: average = d * average + (1 - d) * weight, where d = min(decay, (1 + n) / (10 + n)) at the
      n-th step, as TensorFlow's `ExponentialMovingAverage` with `num_updates`.
    - `polyak`: the plain mean of the weights after each step.

    Batch norm's running mean and variance are averaged in the same way, as in TensorFlow's Inception
    training, which averages them a second time; whole numbers are copied.
    """

    updates: torch.Tensor

    def __init__(self, net: Inception, settings: Average) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).requires_grad_(False).eval()
        self.settings = settings
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, net: Inception) -> None:
        """Take the weights after a step into the average."""
        self.updates += 1
        count = self.updates.item()
        new = 1 - min(self.settings.decay, (1 + count) / (10 + count)) if self.settings.name == "ema" else 1 / count
        now = net.state_dict()
        pairs = [(mine, now[name]) for name, mine in self.net.state_dict().items()]
        whole = [pair for pair in pairs if not pair[0].is_floating_point()]
        averages, values = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(averages, values, new)
        for mine, value in whole:
            mine.copy_(value)

    def train(self, mode: bool = True) -> "RunningAverage":  # noqa: ARG002
        """Stays in evaluation mode, whatever the module around it does."""
        return super().train(False)

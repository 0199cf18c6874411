"""Optimizers: torch's SGD and AdamW, and RMSProp as TensorFlow computes it."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import nn
from torch.optim import SGD, AdamW

from torchinception.network import Inception
from torchinception.training.recipe import Optimizer, Tune
from torchinception.training.tuning import moving


class RMSProp(torch.optim.Optimizer):
    """RMSProp of TensorFlow 1 (`ApplyRMSProp`), with which Inception-v3 and its successors were trained.

    With the gradient g, weight decay already added:

        square = decay * square + (1 - decay) * g ** 2          square starts at 1
        moment = momentum * moment + lr * g / sqrt(square + eps)
        weight = weight - moment

    torch's RMSprop differs in all three: its square starts at 0, eps stands outside the root, and lr
    multiplies the moment as a whole, so that a new rate also rescales the past.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        *,
        decay: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, dict(lr=lr, decay=decay, momentum=momentum, eps=eps, weight_decay=weight_decay))

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; the state of a parameter begins with its first gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight] = dict(square=torch.ones_like(weight), moment=torch.zeros_like(weight))
            squares = [self.state[weight]["square"] for weight in weights]
            moments = [self.state[weight]["moment"] for weight in weights]
            gradients: Any = [weight.grad for weight in weights]
            if group["weight_decay"]:
                gradients = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["decay"])
            roots = torch._foreach_add(squares, group["eps"])
            torch._foreach_sqrt_(roots)
            torch._foreach_mul_(moments, group["momentum"])
            torch._foreach_addcdiv_(moments, gradients, roots, group["lr"])
            torch._foreach_sub_(weights, moments)
        return loss


def build_optimizer(net: Inception, settings: Optimizer, tune: Tune | None = None) -> torch.optim.Optimizer:
    """The optimizer that a recipe asks for, on the parameters of a network that move."""
    factors = moving(net, tune or Tune())
    groups: list[dict[str, Any]] = [
        group | dict(lr=settings.lr * factor)
        for factor, parameters in factors.items()
        for group in decay_groups(parameters, settings.weight_decay)
    ]
    if settings.name == "rmsprop":
        return RMSProp(groups, settings.lr, decay=settings.decay, momentum=settings.momentum, eps=settings.eps)
    if settings.name == "adamw":
        return AdamW(groups, settings.lr, settings.betas, settings.eps)
    return SGD(groups, settings.lr, settings.momentum, nesterov=settings.nesterov and settings.momentum > 0)


def decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for an optimizer: weight decay on weights, none on biases and batch norm."""
    parameters = list(parameters)
    return [
        dict(params=[p for p in parameters if p.ndim > 1], weight_decay=weight_decay),
        dict(params=[p for p in parameters if p.ndim <= 1], weight_decay=0.0),
    ]

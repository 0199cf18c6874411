"""Random weights that another library's network and one of ours share, copied over by structure: names play no part.

A peer's layers are taken in the order in which a picture meets them, ours in the order of definition, which is the
same: branches in turn, a residual branch ahead of its shortcut. Kinds and shapes have to agree one by one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Layers = Sequence[nn.Module]
NORMS = (nn.BatchNorm2d, nn.BatchNorm1d)
KINDS = (nn.Conv2d, nn.Linear, *NORMS)


@torch.no_grad()
def randomize(net: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Out of the meta device: kernels as wide as He has them, all else about 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    net = net.to(dtype).to_empty(device="cpu").eval()
    for layer in defined(net):
        for name, value in layer.state_dict().items():
            if value.ndim > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
            elif isinstance(layer, NORMS) and name in ("weight", "running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point():
                value.normal_(0, 0.1, generator=generator)
            else:
                value.fill_(7)  # the number of batches seen
    return net


@torch.no_grad()
def settle(net: nn.Module, x: Tensor) -> nn.Module:
    """Statistics of batch norm as of training on `x`, and outputs about 0: nothing explodes, and pictures differ."""

    def center(layer: nn.Linear, _: Any, y: Tensor) -> Tensor:
        if layer.bias is None:
            return y
        layer.bias -= y.mean(0)
        return y - y.mean(0)

    norms = [layer for layer in defined(net) if isinstance(layer, NORMS)]
    hooks = [layer.register_forward_hook(center) for layer in defined(net) if isinstance(layer, nn.Linear)]
    for norm in norms:
        norm.train().momentum = 1.0
        norm.bias += 1  # ReLUs that cut off half of all multiply rounding a thousandfold in 150 layers
    net(x)
    for norm in norms:
        norm.eval()
    for hook in hooks:
        hook.remove()
    return net


def defined(net: nn.Module) -> Layers:
    """Convolutions, batch norms and linear layers in the order of definition."""
    return [module for module in net.modules() if isinstance(module, KINDS)]


@torch.no_grad()
def executed(net: nn.Module, x: Tensor) -> tuple[Layers, Tensor]:
    """The same in the order of execution, and what the network makes of `x`."""
    met: list[nn.Module] = []
    hooks = [layer.register_forward_hook(lambda layer, *_: met.append(layer)) for layer in defined(net)]
    y = net(x)
    for hook in hooks:
        hook.remove()
    return met, y


@torch.no_grad()
def copy_weights(source: Layers, target: Layers) -> None:
    """A bias ahead of batch norm that `target` has not is taken off the mean there: the same function."""
    bias: Tensor | float = 0.0
    for here, there in zip(source, target, strict=True):
        assert [isinstance(here, kind) for kind in KINDS] == [isinstance(there, kind) for kind in KINDS]
        values = here.state_dict()
        if isinstance(here, nn.BatchNorm2d):
            values["running_mean"], bias = values["running_mean"] - bias, 0.0
        elif there.bias is None:
            bias = values.pop("bias", 0.0)
        there.load_state_dict(values)  # refuses another shape, a missing value and an unknown one


@torch.no_grad()
def copy_to_keras(source: Layers, model: Any) -> None:
    """Where Keras has no gammas (v3, Inception-ResNet-v2), those of `source` become ones."""
    left = iter(source)
    for layer in keras_layers(model):
        for name in ("depthwise_kernel", "pointwise_kernel", "kernel"):
            if (kernel := getattr(layer, name, None)) is None:
                continue
            here = next(left)
            weight = here.weight if here.weight.ndim == 4 else here.weight[..., None, None]
            weight = weight.permute((2, 3, 0, 1) if name == "depthwise_kernel" else (2, 3, 1, 0))
            kernel.assign(weight.reshape(tuple(kernel.shape)))
            assert (here.bias is None) == (layer.bias is None)
            if here.bias is not None:
                layer.bias.assign(here.bias)
        if hasattr(layer, "moving_mean"):
            here = next(left)
            layer.moving_mean.assign(here.running_mean)
            layer.moving_variance.assign(here.running_var)
            layer.beta.assign(here.bias)
            layer.gamma.assign(here.weight) if layer.scale else here.weight.fill_(1)
    assert list(left) == []


def keras_layers(model: Any) -> Iterator[Any]:
    """Every layer behind those that it takes its inputs from, which come in the order of its arguments."""
    makers = {id(layer.output): layer for layer in model.layers}
    waiting, done = [model.output], set[int]()
    while waiting:
        layer = makers[id(waiting[-1])]
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        ahead = [tensor for tensor in inputs if id(tensor) not in done and tensor is not layer.output]
        if ahead:
            waiting.append(ahead[0])
        else:
            done.add(id(waiting.pop()))
            yield layer


def distance(found: Tensor, right: Tensor) -> float:
    """The largest difference, of the largest value."""
    return ((found - right).abs().max() / right.abs().max()).item()

"""Losses of all heads of a network, for hard and for mixed labels."""

from collections.abc import Mapping
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from torchinception.errors import UsageError
from torchinception.training.recipe import Loss, Mix


def head_losses(
    logits: Mapping[str, Tensor], target: Tensor, settings: Loss, class_weights: Tensor | None = None
) -> dict[str, Tensor]:
    """Cross-entropy of each head by its name, divided by N; `target` is labels (N,) or probabilities (N, classes).

    (torch's own mean divides by the class weights of the labels instead, so that a batch counts for more or less
    than its pictures, and parts of a batch on several processes do not add up to the whole.)
    """
    return {
        name: cross_entropy(values, target, class_weights, label_smoothing=settings.label_smoothing, reduction="sum")
        / len(target)
        for name, values in logits.items()
    }


def total_loss(losses: Mapping[str, Tensor], settings: Loss) -> Tensor:
    """`main + aux_weight * sum of the others`."""
    others = [loss for name, loss in losses.items() if name != "main"]
    total = losses["main"]
    for loss in others:
        total = total + (settings.aux_weight or 0.0) * loss
    return total


def class_weights(settings: Loss, classes: tuple[str, ...], counts: list[int]) -> Tensor | None:
    """Float32 (classes,), or None if all count alike.

    Raises:
        UsageError: a weight for a class that does not exist.
    """
    wanted = settings.class_weights
    if wanted == "none":
        return None
    if isinstance(wanted, dict):
        for unknown in sorted(wanted.keys() - set(classes)):
            raise UsageError(f"loss.class_weights names the class {unknown}; classes: {', '.join(classes)}")
        return torch.tensor([wanted.get(name, 1.0) for name in classes])
    return torch.tensor([sum(counts) / (len(counts) * count) for count in counts])


def mix(pictures: Tensor, labels: Tensor, classes: int, settings: Mix, random: Random) -> tuple[Tensor, Tensor]:
    """Blend each picture with its neighbour in the batch by draws from `random` alone.

    Float (N, C, H, W) and labels (N,) -> float (N, C, H, W) and probabilities (N, classes); as they
    are if `settings` ask for nothing.
    """
    kinds = [(kind, alpha) for kind, alpha in (("mixup", settings.mixup), ("cutmix", settings.cutmix)) if alpha]
    if not kinds:
        return pictures, labels
    kind, alpha = random.choice(kinds)
    own = random.betavariate(alpha, alpha)
    others = pictures.roll(1, 0)
    if kind == "mixup":
        pictures = pictures * own + others * (1 - own)
    else:
        top, bottom, left, right = _rectangle(pictures.shape[-2], pictures.shape[-1], (1 - own) ** 0.5, random)
        pictures = pictures.clone()
        pictures[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
        own = 1 - (bottom - top) * (right - left) / (pictures.shape[-2] * pictures.shape[-1])
    target = one_hot(labels, classes).float()
    return pictures, target * own + target.roll(1, 0) * (1 - own)


def _rectangle(height: int, width: int, side: float, random: Random) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of a box with `side` times each side, its centre anywhere, cut off at the edges."""
    y, x = random.randrange(height), random.randrange(width)
    h, w = int(height * side) // 2, int(width * side) // 2
    return max(0, y - h), min(height, y + h), max(0, x - w), min(width, x + w)

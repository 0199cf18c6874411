"""What Lightning drives: the losses, the optimizer and its schedule."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchinception.data.transforms import Preprocess
from torchinception.errors import DataError
from torchinception.models import Inception
from torchinception.training.recipe import Optimizer, Recipe


class Training(LightningModule):
    """One network in training: `loss = main + aux_weight * sum of the auxiliary heads' losses`.

    Args:
        steps: optimizer steps of the whole run, counted by the caller. (Lightning's own estimate sets
            up the loader before its state is restored, and so loses it without a word.)
        data: fingerprint of the pictures; a checkpoint goes on with no others.
    """

    def __init__(self, net: Inception, preprocess: Preprocess, recipe: Recipe, steps: int, data: str) -> None:
        super().__init__()
        self.net, self.preprocess, self.recipe, self.steps, self.data = net, preprocess, recipe, steps, data

    def loss(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss to minimize and the main logits, of uint8 (N, 3, size, size) and labels (N,)."""
        logits, opinions = self.net(self.preprocess.normalize(pictures), aux=True)
        smoothing, weight = self.recipe.loss.label_smoothing, self.recipe.loss.aux_weight or 0.0
        total = cross_entropy(logits, labels, label_smoothing=smoothing)
        for opinion in opinions.values():
            total = total + weight * cross_entropy(opinion, labels, label_smoothing=smoothing)
        return total, logits

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> dict[str, Tensor]:
        """One step; the number of right answers goes along for the record."""
        pictures, labels = batch
        loss, logits = self.loss(pictures, labels)
        return dict(loss=loss, correct=(logits.argmax(1) == labels).sum())

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, classes) of uint8 (N, 3, size, size), without the auxiliary heads."""
        logits: Tensor = self.net(self.preprocess.normalize(pictures))
        return logits

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note which pictures these weights come from."""
        checkpoint["data"] = self.data

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on with other pictures."""
        if checkpoint["data"] != self.data:
            raise DataError("the pictures have changed since the run began; restore them, or use another --out")

    def configure_optimizers(self) -> Any:
        """Stochastic gradient descent with a schedule per step."""
        settings = self.recipe.optimizer
        optimizer = torch.optim.SGD(
            decay_groups(self.net, settings.weight_decay),
            settings.lr,
            settings.momentum,
            nesterov=settings.nesterov and settings.momentum > 0,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, self.steps, settings))
        return dict(optimizer=optimizer, lr_scheduler=dict(scheduler=schedule, interval="step"))


def rate(step: int, steps: int, settings: Optimizer) -> float:
    """Fraction of the learning rate at a step: a straight rise over `warmup` of all steps, then a cosine to 0."""
    rise = settings.warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def decay_groups(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for an optimizer: weight decay on weights, none on biases and batch norm."""
    parameters = list(net.parameters())
    return [
        dict(params=[p for p in parameters if p.ndim > 1], weight_decay=weight_decay),
        dict(params=[p for p in parameters if p.ndim <= 1], weight_decay=0.0),
    ]

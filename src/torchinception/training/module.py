"""What Lightning drives: one network with its losses, optimizer, schedule and average."""

from collections.abc import Callable
from random import Random
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from torchinception.data.module import keyed_seed
from torchinception.data.transforms import Preprocess
from torchinception.errors import DataError
from torchinception.models import Inception
from torchinception.training.average import RunningAverage
from torchinception.training.loss import head_losses, mix, total_loss
from torchinception.training.optimizer import build_optimizer
from torchinception.training.recipe import Recipe, Tune
from torchinception.training.schedule import rate
from torchinception.training.tuning import set_still


class Training(LightningModule):
    """One network in training.

    Args:
        preprocess: normalizes the loaders' pictures; None: their inputs are the network's as they are.
        steps: optimizer steps of the whole run, counted by the caller. (Lightning's own estimate sets
            up the loader before its state is restored, and so loses it without a word.)
        data: fingerprint of the pictures; a checkpoint goes on with no others.
        class_weights: float32 (classes,), or None.
    """

    class_weights: Tensor | None
    _run: Callable[..., tuple[Tensor, dict[str, Tensor]]]

    def __init__(
        self,
        net: Inception,
        preprocess: Preprocess | None,
        recipe: Recipe,
        steps: int,
        data: str,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.net, self.preprocess, self.recipe, self.steps, self.data = net, preprocess, recipe, steps, data
        self.average = RunningAverage(net, recipe.average) if recipe.average.name != "none" else None
        self.register_buffer("class_weights", class_weights, persistent=False)
        run = torch.compile(net) if recipe.compile else net
        object.__setattr__(self, "_run", run)  # not a second submodule of the same weights

    def losses(self, pictures: Tensor, target: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Each head's loss and logits (N, classes), the classifier's under `main`.

        Takes normalized pictures (N, 3, size, size), and labels (N,) or probabilities (N, classes).
        """
        main, opinions = self._run(pictures, aux=True)
        logits = {"main": main, **opinions}
        return head_losses(logits, target, self.recipe.loss, self.class_weights), logits

    def normalize(self, inputs: Tensor) -> Tensor:
        """A loader's inputs -> the network's, of its weights' type."""
        normalized = self.preprocess.normalize(inputs) if self.preprocess else inputs
        return normalized.to(self.net.classifier.weight.dtype)

    def on_train_batch_start(self, batch: Any, index: int) -> None:  # noqa: ARG002
        """Set what moves; of Lightning's hooks only this one is also called on resuming in mid-epoch."""
        if self.recipe.tune != Tune():
            set_still(self.net, self.recipe.tune, self.current_epoch)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> dict[str, Any]:
        """One step; each head's loss and number of right answers go along for the record."""
        labels = batch[1]
        random = Random(keyed_seed(self.recipe.seed, 1, self.current_epoch, index))  # 1: apart from pictures' keys
        classes = self.net.classifier.out_features
        pictures, target = mix(self.normalize(batch[0]), labels, classes, self.recipe.mix, random)
        losses, logits = self.losses(pictures, target)
        correct = {name: (values.argmax(1) == labels).sum() for name, values in logits.items()}
        detached = {name: loss.detach() for name, loss in losses.items()}
        return dict(loss=total_loss(losses, self.recipe.loss), losses=detached, correct=correct)

    @property
    def best(self) -> Inception:
        """The network that the run is for: the running average, or the network itself."""
        return self.average.net if self.average else self.net

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """A step, and the average after it."""
        super().optimizer_step(*arguments, **options)
        if self.average:
            self.average.update(self.net)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note which pictures these weights come from."""
        checkpoint["data"] = self.data

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on with other pictures."""
        if checkpoint["data"] != self.data:
            raise DataError("the pictures have changed since the run began; restore them, or use another --out")

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer, with its schedule per step."""
        optimizer = build_optimizer(self.net, self.recipe.optimizer, self.recipe.tune)
        epochs, schedule = self.recipe.epochs or 1, self.recipe.schedule
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, self.steps, epochs, schedule))
        return dict(optimizer=optimizer, lr_scheduler=dict(scheduler=scheduler, interval="step"))

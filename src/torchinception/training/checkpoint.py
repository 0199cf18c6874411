"""What outlives an interruption: checkpoints that are whole and verified, and the run's record."""

import csv
import hashlib
import io
import math
import pickle
import signal
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import cross_entropy

from torchinception.data.module import ResumableLoader
from torchinception.errors import DataError, InterruptedRunError
from torchinception.files import write_atomically
from torchinception.progress import Listener
from torchinception.training.store import Store, verified


class VerifiedIO(TorchCheckpointIO):
    """Checkpoints appear whole or not at all, and end in a SHA-256 that is checked before they are used."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Serialize, append the digest, write atomically."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getvalue()
        write_atomically(path, content + hashlib.sha256(content).digest())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Verify, then read tensors and plain values only.

        Raises:
            DataError: the file is damaged.
        """
        content = verified(Path(path))
        try:
            loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location or "cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise DataError(f"checkpoint {path} holds more than tensors and plain values: {error}") from error
        return loaded


def random_state(device: torch.device) -> dict[str, Any]:
    """Torch's random state on the CPU and on the device of a run."""
    gpu = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state()
    return dict(cpu=torch.get_rng_state(), gpu=gpu)


class Recorder(Callback):
    """Counts every step, validates and writes a row of `metrics.csv` every epoch, and saves.

    A checkpoint is saved every `every` steps, at an epoch's last step, and when a signal asks to stop. It
    holds torch's random state; that of pictures needs none (`data.module`). Validation is run here and not
    by Lightning, whose loops skip it without a word on resuming from an epoch's last step.
    """

    def __init__(
        self,
        out: Path,
        steps: int,
        every: int,
        validation: ResumableLoader,
        listener: Listener,
        device: torch.device = torch.device("cpu"),  # noqa: B008, immutable
    ) -> None:
        self.store, self.table = Store(out / "checkpoints", listener), out / "metrics.csv"
        self.steps, self.every, self.validation, self.listener = steps, every, validation, listener
        self.device, self.look = device, 1 if device.type == "cpu" else 20  # steps between looks at the loss
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0  # of the whole run, earlier parts included
        self.sums: dict[str, Tensor] = {}  # of this epoch: losses times pictures, right answers
        self.batches, self.pictures = 0, 0  # of this epoch
        self._signum, self._now = 0, 0.0
        self._random: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The record and torch's random state, for a checkpoint."""
        keys = ("rows", "seconds", "sums", "batches", "pictures")
        return {key: getattr(self, key) for key in keys} | dict(_random=random_state(self.device))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.__dict__.update(state_dict)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Restore the random state, take the signals over from Lightning, and finish an epoch that lacks its row."""
        if self._random is not None:
            torch.set_rng_state(self._random["cpu"])
            if self._random["gpu"] is not None:
                torch.get_device_module(self.device).set_rng_state(self._random["gpu"])
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, self._on_signal)  # Lightning gives them back when it ends
        self._now = time.perf_counter()
        if self.batches == trainer.num_training_batches:
            self._close_epoch(trainer, module)
            trainer.fit_loop.reset_restart_stage()  # or later checkpoints say "in mid-epoch", and the next resume skips

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Count and tell; save if it is time; stop if a signal asked to."""
        self.batches += 1
        count = len(batch[1])
        self.pictures += count
        self._add("loss", outputs["loss"].detach() * trainer.accumulate_grad_batches * count)
        for head, loss in outputs["losses"].items():
            self._add(f"loss_{head}", loss * count)
            self._add(f"top1_{head}", outputs["correct"][head])
        last = index + 1 == trainer.num_training_batches
        if not (last or self.batches % trainer.accumulate_grad_batches == 0):
            return  # gradients of half a step are in no checkpoint
        step = trainer.global_step
        saving = last or bool(self._signum) or step % self.every == 0
        if saving or step % self.look == 0:
            self._look(trainer, step, count)
        if saving:
            if not all(bool(weight.isfinite().all()) for weight in module.parameters()):
                self._diverged(trainer, "a weight")
            trainer.save_checkpoint(self.store.place(step))
            self.store.keep(step)
        self._stop_if_asked(step)
        if last:
            self._close_epoch(trainer, module)

    def _add(self, name: str, value: Tensor) -> None:
        before = self.sums.get(
            name, torch.zeros((), dtype=torch.float32 if value.device.type == "mps" else torch.float64)
        )
        self.sums[name] = before.to(value.device) + value

    def _look(self, trainer: Trainer, step: int, count: int) -> None:
        """Read the sums, for which a GPU has to be waited for; stop a run that has diverged before it is saved."""
        loss, correct = float(self.sums["loss"]), float(self.sums["top1_main"])
        if not math.isfinite(loss):
            self._diverged(trainer, "the loss")
        self._tick()
        self.listener.progress(
            "Training",
            step,
            self.steps,
            loss=loss / self.pictures,
            accuracy=correct / self.pictures,
            images_per_second=step * count * trainer.accumulate_grad_batches / self.seconds,
        )

    def _diverged(self, trainer: Trainer, what: str) -> NoReturn:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        raise DataError(
            f"{what} is not finite at step {trainer.global_step}, learning rate {rate:.3g}; lower optimizer.lr and use "
            "--overwrite, or look at the pictures; nothing was saved since the last checkpoint"
        )

    def _close_epoch(self, trainer: Trainer, module: LightningModule) -> None:
        loss, correct, seen = 0.0, 0, 0
        module.eval()
        with torch.inference_mode():
            for batch in self.validation:
                self._stop_if_asked(trainer.global_step)
                labels = batch[1].to(module.device)
                logits = module(batch[0].to(module.device))
                loss += float(cross_entropy(logits, labels, reduction="sum"))
                correct += int((logits.argmax(1) == labels).sum())
                seen += len(labels)
        module.train()
        self._tick()
        means = {name: float(total) / self.pictures for name, total in self.sums.items()}
        heads = {f"train_{name}": mean for name, mean in means.items() if name not in ("loss", "top1_main")}
        self.rows.append(
            dict(
                epoch=len(self.rows) + 1,
                step=trainer.global_step,
                learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
                train_loss=means["loss"],
                train_top1=means["top1_main"],
                val_loss=loss / seen,
                val_top1=correct / seen,
                seconds=self.seconds,
                **(heads if len(heads) > 1 else {}),  # each head's share, if there is more than one head
            )
        )
        self.sums, self.batches, self.pictures = {}, 0, 0
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.table, text.getvalue())
        accuracy = correct / seen
        self.store.keep(trainer.global_step, accuracy if math.isfinite(loss) else None)

    def _tick(self) -> None:
        before, self._now = self._now, time.perf_counter()
        self.seconds += self._now - before

    def _on_signal(self, signum: int, _frame: object) -> None:
        if self._signum:  # the second one means now
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        self._signum = signum
        self.listener.say("Stopping after this step; once more to stop at once.")

    def _stop_if_asked(self, step: int) -> None:
        if self._signum:
            name = signal.Signals(self._signum).name
            raise InterruptedRunError(self._signum, f"stopped by {name} after step {step}; go on with --resume")

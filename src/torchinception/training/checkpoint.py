"""What outlives an interruption: checkpoints that are whole and verified, the record, the random state."""

import csv
import hashlib
import io
import os
import pickle
import signal
import threading
import time
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from torchinception.errors import DataError, InterruptedRunError
from torchinception.files import write_atomically
from torchinception.progress import Listener


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
        raw = Path(path).read_bytes()
        content, digest = raw[:-32], raw[-32:]
        if hashlib.sha256(content).digest() != digest:
            raise DataError(f"checkpoint {path} is damaged (its SHA-256 differs); use --overwrite to begin again")
        try:
            loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location or "cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise DataError(f"checkpoint {path} holds more than tensors and plain values: {error}") from error
        return loaded


class History(Callback):
    """One row an epoch, in `metrics.csv` and in every checkpoint; tells the listener of each step."""

    def __init__(self, path: Path, steps: int, batch: int, listener: Listener) -> None:
        self.path, self.steps, self.batch, self.listener = path, steps, batch, listener
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0  # of the whole run, earlier parts included
        self.loss = self.correct = self.seen = 0.0  # of this epoch
        self._now = 0.0

    def state_dict(self) -> dict[str, Any]:
        """All but where to write."""
        keys = ("rows", "seconds", "loss", "correct", "seen")
        return {key: getattr(self, key) for key in keys}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.__dict__.update(state)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """The clock starts here: importing and checking pictures do not count."""
        self._now = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Count, and tell."""
        count = len(batch[1])
        self.loss += float(outputs["loss"]) * count
        self.correct += float(outputs["correct"])
        self.seen += count
        before, self._now = self._now, time.perf_counter()
        self.seconds += self._now - before
        done = trainer.global_step
        self.listener.progress(
            "Training",
            done,
            self.steps,
            loss=self.loss / self.seen,
            accuracy=self.correct / self.seen,
            images_per_second=done * self.batch / self.seconds,
        )

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Close the epoch's row; Lightning has validated by now."""
        before, self._now = self._now, time.perf_counter()
        self.seconds += self._now - before
        row = dict(
            epoch=trainer.current_epoch + 1,
            step=trainer.global_step,
            learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
            train_loss=self.loss / self.seen,
            train_top1=self.correct / self.seen,
            val_loss=float(trainer.callback_metrics["val_loss"]),
            val_top1=float(trainer.callback_metrics["val_top1"]),
            seconds=self.seconds,
        )
        self.rows.append(row)
        self.loss = self.correct = self.seen = 0.0
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue())


class Checkpoints(Callback):
    """Saves every `every` steps, at the end of an epoch, and when a signal asks to stop.

    The random state of torch goes into each checkpoint; that of pictures needs none (`data.module`).
    """

    def __init__(self, path: Path, every: int, listener: Listener) -> None:
        self.path, self.every, self.listener = path, every, listener
        self._signum = 0
        self._random: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the random state."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        checkpoint["random"] = dict(cpu=torch.get_rng_state(), cuda=cuda)

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the random state until everything else is set up."""
        self._random = checkpoint["random"]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Restore the random state; take the signals over from Lightning, which gives them back at the end."""
        if self._random is not None:
            torch.set_rng_state(self._random["cpu"])
            if torch.cuda.is_available():
                torch.cuda.set_rng_state_all(self._random["cuda"])
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, self._on_signal)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Save if it is time; stop if a signal asked to."""
        last_of_epoch = index + 1 == trainer.num_training_batches
        if self._signum or last_of_epoch or trainer.global_step % self.every == 0:
            trainer.save_checkpoint(self.path)
        self._stop(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Stop if a signal asked to; the checkpoint was written when the epoch's last step was done."""
        self._stop(trainer)

    def _on_signal(self, signum: int, _frame: object) -> None:
        if self._signum:  # the second one means now
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        self._signum = signum
        self.listener.say("Stopping after this step; once more to stop at once.")

    def _stop(self, trainer: Trainer) -> None:
        if self._signum:
            name = signal.Signals(self._signum).name
            raise InterruptedRunError(
                self._signum, f"stopped by {name} after step {trainer.global_step}, saved in {self.path}"
            )

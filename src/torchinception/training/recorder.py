"""The run's record: every step counted, every epoch validated, and all of it saved in time."""

import csv
import io
import math
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import cross_entropy

from torchinception.data.module import ResumableLoader
from torchinception.errors import DataError, InterruptedRunError
from torchinception.files import write_atomically
from torchinception.progress import Listener
from torchinception.training.logs import Log
from torchinception.training.module import Training
from torchinception.training.ranks import Ranks
from torchinception.training.sharding import own, whole
from torchinception.training.store import Store


def random_state(device: torch.device) -> dict[str, Any]:
    """Torch's random state on the CPU and on the device of a run."""
    gpu = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state()
    return dict(cpu=torch.get_rng_state(), gpu=gpu)


class Recorder(Callback):
    """Counts every step, validates and writes a row of `metrics.csv` every epoch, and saves.

    A checkpoint is saved every `every` steps, every `minutes`, at an epoch's last step, and when a signal asks
    to stop. It holds torch's random state; that of pictures needs none (`data.module`). Validation is run here
    and not by Lightning, whose loops skip it without a word on resuming from an epoch's last step.

    Of several processes each counts its own pictures; sums are added up for a row. Only the first one writes,
    and all of them agree at every step on whether to save or to stop.
    """

    def __init__(
        self,
        out: Path,
        steps: int,
        every: int,
        validation: ResumableLoader,
        listener: Listener,
        device: torch.device = torch.device("cpu"),  # noqa: B008, immutable
        *,
        minutes: float = math.inf,
        patience: int = 0,
        ranks: Ranks = Ranks(),  # noqa: B008, immutable
        logs: Sequence[Log] = (),
    ) -> None:
        self.store, self.table = Store(out / "checkpoints", listener), out / "metrics.csv"
        self.steps, self.every, self.validation, self.listener = steps, every, validation, listener
        self.minutes, self.patience, self.ranks, self.logs = minutes, patience, ranks, logs
        self.device, self.look = device, 1 if device.type == "cpu" else 20  # steps between looks at the loss
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0  # of the whole run, earlier parts included
        self.sums: dict[str, Tensor] = {}  # of this epoch and process: losses times pictures, right answers
        self.batches, self.pictures = 0, 0  # of this epoch; pictures of this process
        self._logged = 0  # rows that went to the logs of this process
        self._signum, self._now, self._saved = 0, 0.0, 0.0
        self._random: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The record and every process's random state, for a checkpoint."""
        sums = {name: total.cpu() for name, total in self.sums.items()}
        mine = dict(sums=sums, pictures=self.pictures, random=random_state(self.device))
        return dict(rows=self.rows, seconds=self.seconds, batches=self.batches, ranks=self.ranks.gather(mine))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; what other numbers of processes had counted goes to the first."""
        self.rows, self.seconds, self.batches = (state_dict[key] for key in ("rows", "seconds", "batches"))
        parts = state_dict["ranks"]
        if len(parts) == self.ranks.world:
            parts = [parts[self.ranks.rank]]
        elif self.ranks.rank > 0:
            self.sums = {name: torch.zeros_like(total) for name, total in parts[0]["sums"].items()}
            return
        self.pictures = sum(part["pictures"] for part in parts)
        self.sums = {name: torch.stack([part["sums"][name] for part in parts]).sum(0) for name in parts[0]["sums"]}
        self._random = parts[0]["random"]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Restore the random state, take the signals over from Lightning, and finish an epoch that lacks its row."""
        if self._random is not None:
            torch.set_rng_state(self._random["cpu"])
            if self._random["gpu"] is not None:
                torch.get_device_module(self.device).set_rng_state(self._random["gpu"])
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, self._on_signal)  # Lightning gives them back when it ends
        self._now = self._saved = time.perf_counter()
        if self.batches == trainer.num_training_batches:
            self._close_epoch(trainer, module)
            trainer.fit_loop.reset_restart_stage()  # or later checkpoints say "in mid-epoch", and the next resume skips
        trainer.should_stop = self._out_of_patience()

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
        asked, due = self.ranks.most(self._signum, time.perf_counter() - self._saved > self.minutes * 60)
        saving = last or bool(asked) or bool(due) or step % self.every == 0
        if saving or step % self.look == 0:
            self._look(trainer, step, count)
        if saving:
            self._save(trainer, module, step)
        self._stop_if_asked(step, asked)  # one that came meanwhile waits for the next step
        if last:
            self._close_epoch(trainer, module)

    def _add(self, name: str, value: Tensor) -> None:
        before = self.sums.get(
            name, torch.zeros((), dtype=torch.float32 if value.device.type == "mps" else torch.float64)
        )
        self.sums[name] = before.to(value.device) + value

    def after(self, trainer: Trainer) -> None:
        """Stop if a signal came after the last step had been looked at."""
        [asked] = self.ranks.most(self._signum)
        self._stop_if_asked(trainer.global_step, asked)

    def _look(self, trainer: Trainer, step: int, count: int) -> None:
        """Read the sums, for which a GPU has to be waited for; stop a run that has diverged before it is saved."""
        loss, correct = float(self.sums["loss"]), float(self.sums["top1_main"])
        if self.ranks.most(not math.isfinite(loss)) != [0]:
            self._diverged(trainer, "the loss")
        self._tick()
        self.listener.progress(
            "Training",
            step,
            self.steps,
            loss=loss / self.pictures,
            accuracy=correct / self.pictures,
            images_per_second=step * count * self.ranks.world * trainer.accumulate_grad_batches / self.seconds,
        )

    def _save(self, trainer: Trainer, module: LightningModule, step: int) -> None:
        finite = all(bool(own(weight).isfinite().all()) for weight in module.parameters())
        if self.ranks.most(not finite) != [0]:
            self._diverged(trainer, "a weight")
        first = self.ranks.rank == 0
        trainer.save_checkpoint(
            self.store.place(step) if first else self.store.folder
        )  # which the others only gather for
        if first:
            self.store.keep(step)
        self._saved = time.perf_counter()

    def _diverged(self, trainer: Trainer, what: str) -> NoReturn:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        raise DataError(
            f"{what} is not finite at step {trainer.global_step}, learning rate {rate:.3g}; lower optimizer.lr and use "
            "--overwrite, or look at the pictures; nothing was saved since the last checkpoint"
        )

    def _close_epoch(self, trainer: Trainer, module: LightningModule) -> None:
        loss, correct, seen = self._validate(trainer, module)
        self._tick()
        names = ["pictures", *self.sums]
        counts = [torch.tensor(float(self.pictures), dtype=torch.float64), *self.sums.values()]
        pictures, *totals = self.ranks.sum(torch.stack([count.cpu() for count in counts])).tolist()
        means = {name: total / pictures for name, total in zip(names[1:], totals, strict=True)}
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
        trainer.should_stop = self._out_of_patience()
        if trainer.should_stop:
            best = max(self.rows, key=lambda row: row["val_top1"])  # of equals the first
            self.listener.say(
                f"Stopped after epoch {len(self.rows)}: no better validation in {self.patience} epochs; "
                f"keeping epoch {best['epoch']:.0f}, top-1 {best['val_top1']:.1%}"
            )
        if self.ranks.rank == 0:
            text = io.StringIO()
            writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            write_atomically(self.table, text.getvalue())
            for row in self.rows[self._logged :]:  # of a resumed run all of them
                for log in self.logs:
                    log.row(row, int(row["step"]))
            self._logged = len(self.rows)
            self.store.keep(trainer.global_step, correct / seen if math.isfinite(loss) else None)

    def _validate(self, trainer: Trainer, module: LightningModule) -> tuple[float, float, float]:
        """Sum of the loss, right answers, pictures: each picture once, whoever read it."""
        loss, correct, seen = 0.0, 0, 0
        assert isinstance(module, Training)
        net = whole(module.best).eval()  # sharded, it could not take other numbers of batches in other processes
        with torch.inference_mode():
            for batch in self.validation:
                if self.ranks.alone:  # the others could not tell when to stop waiting
                    self._stop_if_asked(trainer.global_step, self._signum)
                labels = batch[1].to(module.device)
                logits = net(module.normalize(batch[0].to(module.device)))
                loss += float(cross_entropy(logits, labels, reduction="sum"))
                correct += int((logits.argmax(1) == labels).sum())
                seen += len(labels)
        module.train()
        [asked] = self.ranks.most(self._signum)
        self._stop_if_asked(trainer.global_step, asked)
        loss, *counts = self.ranks.sum(torch.tensor([loss, correct, seen], dtype=torch.float64)).tolist()
        return loss, counts[0], counts[1]

    def _out_of_patience(self) -> bool:
        scores = [row["val_top1"] for row in self.rows]
        return bool(self.patience and scores) and len(scores) - 1 - scores.index(max(scores)) >= self.patience

    def _tick(self) -> None:
        before, self._now = self._now, time.perf_counter()
        self.seconds += self._now - before

    def _on_signal(self, signum: int, _frame: object) -> None:
        if self._signum:  # the second one means now
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        self._signum = signum
        self.listener.say("Stopping after this step; once more to stop at once.")

    def _stop_if_asked(self, step: int, signum: int) -> None:
        if signum:
            name = signal.Signals(signum).name
            raise InterruptedRunError(signum, f"stopped by {name} after step {step}; go on with --resume")

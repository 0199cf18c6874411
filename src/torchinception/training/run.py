"""`train`: a folder of pictures in, a run folder with a model file and its record out."""

import contextlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from torchinception.classifier import Classifier, load
from torchinception.data.folder import Folder, name_of, scan
from torchinception.data.samples import Samples
from torchinception.devices import resolve_device
from torchinception.errors import UsageError
from torchinception.evaluation import measure
from torchinception.files import write_atomically
from torchinception.progress import Listener
from torchinception.report import Report, write_report
from torchinception.training.beginning import Start, begin_from_weights, place_weights, take_over
from torchinception.training.fit import Job, fit, isolated
from torchinception.training.lock import locked
from torchinception.training.logs import check_logs
from torchinception.training.pace import parse_duration
from torchinception.training.plan import check_shares, choose
from torchinception.training.ranks import together
from torchinception.training.recipe import Recipe, load_recipe, to_toml
from torchinception.training.recorder import Recorder
from torchinception.training.reporting import figures_of, made_with, results_of, stages_of
from torchinception.training.run_folder import (
    check_apart,
    check_out,
    check_unasked,
    check_unchanged,
    is_of_this_launch,
    open_run,
)
from torchinception.training.sharding import check_sharding


def train(
    data: str | Path,
    *,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    device: str = "auto",
    budget: str | None = None,
    find_batch: bool = False,
    checkpoint_every: int = 500,
    checkpoint_minutes: float = 15,
    process_timeout: float = 60,
    loggers: Sequence[str] = (),
    strategy: str = "ddp",
    listener: Listener | None = None,
) -> Classifier:
    """Train a classifier on a folder of class folders, evaluate it, and write everything into one run folder.

    Args:
        data: what `scan` takes: class folders, a table, shards here or behind a URL, `torchvision:NAME`; only read.
        recipe: name or TOML file (`load_recipe`); default: `default`, or on resume the run's own.
        settings: recipe values by dotted key, as `{"epochs": 5, "optimizer.lr": 0.05}`.
        out: the run folder; default: `runs/<name of data>`.
        resume: go on from the run's last checkpoint.
        overwrite: begin anew in the folder of an earlier run; its model stays until there is a new one.
        workers: processes that read pictures; results do not depend on it. Default: by picture size.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
        budget: a time, as `10m` or `1h30m`; as many epochs as fit, measured here and noted in the recipe.
        find_batch: measure which batch is fastest here, and note it in the recipe.
        checkpoint_every: steps between checkpoints; one is saved at each epoch's end anyway.
        checkpoint_minutes: the most time between checkpoints.
        process_timeout: seconds after which several processes give up on one that does not answer.
        loggers: `tensorboard`, `mlflow`, `wandb`: where rows of metrics.csv go besides, inside the run folder.
        strategy: several processes keep weights and the optimizer's state each whole (`ddp`), or in shares (`fsdp`).
        listener: hears of choices and progress.

    Returns:
        The trained classifier, as `load(out)` would give it.

    Raises:
        UsageError, DataError, MissingInputError: what cannot work, before training starts.
        DataError: later, if the loss is no longer finite or a picture has changed since it was checked.
        SaveError: a file could not be written; what stood there before is untouched.
        InterruptedRunError: a signal stopped it; a checkpoint was saved.
    """
    listener = listener or Listener()
    out = Path(out) if out is not None else Path("runs") / name_of(data)
    if checkpoint_every < 1 or (workers or 0) < 0:
        raise UsageError(f"checkpoints need at least 1 step between, workers at least 0: {checkpoint_every}, {workers}")
    if not (checkpoint_minutes > 0 and process_timeout > 0):
        raise UsageError(f"minutes and timeout must be above 0: {checkpoint_minutes}, {process_timeout}")
    begun_at = time.perf_counter()
    check_logs(loggers)
    if strategy not in ("ddp", "fsdp"):
        raise UsageError(f"strategy must be ddp or fsdp, not {strategy}")
    on = resolve_device(device)
    with together(on.type, process_timeout) as ranks:
        if strategy == "fsdp" and ranks.alone:
            raise UsageError("--strategy fsdp shares a network among processes and starts with several; see torchrun")
        if on.type == "cuda" and not ranks.alone:
            on = resolve_device(f"cuda:{ranks.local_rank}")
        if ranks.rank:
            listener = Listener()  # the first process speaks for all
        if ranks.attempt and ranks.first(lambda: is_of_this_launch(out)):
            listener.say(f"A process had failed; attempt {ranks.attempt + 1}")
            resume, overwrite = True, False  # what an earlier attempt has begun goes on
        ranks.first(lambda: check_out(out, data, resume=resume, overwrite=overwrite))
        if resume and (out / "metrics.json").exists() and (out / "model.safetensors").exists():
            check_unasked(out, recipe, settings)
            listener.say(f"{out} is finished already; use --overwrite to train anew")
            return load(out, on)

        if (budget or find_batch) and not ranks.alone:
            raise UsageError("--budget and --find-batch measure one process; set --epochs and --batch for several")

        start: Start | None = None

        def prepare() -> tuple[Folder, dict[str, Samples], Recipe]:
            nonlocal start
            end = begun_at + parse_duration(budget) if budget else None
            folder, splits, resolved, start = _prepare(
                data, recipe, settings, out, on, listener, resume=resume, until=end, find_batch=find_batch
            )
            return folder, splits, resolved  # without the weights, which are too large to send

        folder, splits, resolved = ranks.first(prepare)
        check_shares(resolved, ranks.world)
        if strategy == "fsdp":
            check_sharding(resolved)
        with locked(out) if ranks.rank == 0 else contextlib.nullcontext():
            if ranks.rank == 0:
                open_run(out, resolved, listener, overwrite=overwrite)
            if workers is None:
                workers = 0 if folder.side_px <= 64 else max(1, min(8, (os.cpu_count() or 2) // ranks.local_world - 1))
            several = "" if ranks.alone else f", {ranks.world} processes"
            listener.say(
                f"Training {resolved.network} at {resolved.size} px on {len(splits['train'])} pictures of "
                f"{len(folder.classes)} classes, {len(splits['val'])} held out; {on}, {resolved.precision}{several}"
            )
            limits = (checkpoint_every, checkpoint_minutes)
            job = Job(folder, splits, resolved, out, workers, on, *limits, listener, ranks, strategy, tuple(loggers))
            job = replace(job, start=start)
            with isolated(on):
                model, recorder = fit(job, resume=resume)
            ranks.first(lambda: _finish(job, model, recorder))
        return model if ranks.alone else load(out, on)


def _prepare(
    data: str | Path,
    recipe: str | Path | None,
    settings: Mapping[str, Any] | None,
    out: Path,
    device: torch.device,
    listener: Listener,
    *,
    resume: bool,
    until: float | None,
    find_batch: bool,
) -> tuple[Folder, dict[str, Samples], Recipe, Start | None]:
    """Check the pictures, and the recipe against them and against an earlier part of the run."""
    own = out / "recipe.toml"
    begun = load_recipe(own) if resume and own.exists() else None
    if begun:  # what was measured stands
        measured = dict(epochs=begun.epochs if until else None, batch=begun.batch if find_batch else None)
        settings = {**(settings or {}), **{key: value for key, value in measured.items() if value}}
        until, find_batch = None, False
    wanted = place_weights(load_recipe(recipe or (own if begun else "default"), settings))
    if begun and wanted.weights and wanted.weights == begun.weights:
        wanted = take_over(wanted, begun)  # whatever has become of the file
    wanted, start = begin_from_weights(wanted, listener)  # before the pictures, which take longer
    folder = scan(data, listener, wanted.bad_images)
    check_apart(out, folder)
    splits = folder.for_training()
    resolved = choose(wanted, folder, splits, device, listener, until=until, measure_batch=find_batch)
    if begun:
        check_unchanged(out, begun, resolved)
    return folder, splits, resolved, start


def _finish(job: Job, model: Classifier, recorder: Recorder) -> None:
    """Evaluate, and write the model file, the report and last the metrics, which mark the end."""
    recipe, splits, batch = job.recipe, job.splits, job.recipe.batch or 1
    metrics: dict[str, Any] = dict(network=recipe.network, size=recipe.size, epochs=len(recorder.rows))
    for split in (name for name in ("val", "test") if splits.get(name)):
        last = measure(model, job.folder, splits[split], split, batch=batch, workers=job.workers, listener=job.listener)
        metrics |= {f"{split}_{name}": getattr(last, name) for name in ("top1", "top5", "loss", "pictures")}
        if not math.isfinite(last.loss):
            metrics[f"{split}_loss"] = None  # JSON has no such numbers
            job.listener.say(f"The loss on {split} is not finite: the network is not fit for use; lower optimizer.lr")
    metrics |= dict(
        train_pictures=len(splits["train"]),
        skipped_files=len(job.folder.skipped),
        seconds=recorder.seconds,
        images_per_second=recorder.rows[-1]["step"] * batch * recipe.accumulate / recorder.seconds,
        per_class=last.per_class,
    )
    model.spec = model.spec.model_copy(update=dict(metrics=metrics))
    lines = "".join(f"{line}\n" for line in job.folder.skipped)
    if lines:
        write_atomically(job.out / "skipped.txt", lines.encode(errors="surrogateescape"))
    else:
        (job.out / "skipped.txt").unlink(missing_ok=True)
    model.save(job.out / "model.safetensors")
    figures = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in metrics.items() if k != "per_class"}
    report = Report(
        title=f"{recipe.network} on {name_of(str(job.folder.root))}",
        facts={
            "Result": {"network": f"{recipe.network} at {recipe.size} px"} | figures_of(last),
            "Recipe": {"recipe.toml": to_toml(recipe)},
            "metrics.json": figures,
            "Made with": {
                **made_with(model.spec.versions),
                "data": job.folder.root,
                "fingerprint": job.folder.training_fingerprint,
            },
        },
        results=results_of(last, model),
        history=recorder.rows,
        networks=stages_of(model),
    )
    write_report(job.out / "report.html", report)
    write_atomically(job.out / "metrics.json", json.dumps(metrics, indent=2, allow_nan=False) + "\n")

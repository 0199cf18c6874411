"""The part of a run that trains: network, loaders and Lightning's trainer put together."""

import contextlib
import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from torchinception.classifier import Classifier
from torchinception.data.folder import Folder
from torchinception.data.module import Pictures, PicturesModule, keyed_seed
from torchinception.data.samples import Samples
from torchinception.devices import PRECISIONS, forked_random
from torchinception.files import cache_folder
from torchinception.models import Inception, create
from torchinception.progress import Listener
from torchinception.training.beginning import Start, read_again
from torchinception.training.checkpoint import VerifiedIO
from torchinception.training.features import Features, Views, compute, map_rows
from torchinception.training.logs import open_logs
from torchinception.training.loss import class_weights
from torchinception.training.module import Training
from torchinception.training.plan import count_classes
from torchinception.training.ranks import Ranks
from torchinception.training.recipe import Recipe, Tune
from torchinception.training.recorder import Recorder
from torchinception.training.sharding import Sharded, whole
from torchinception.training.store import Store
from torchinception.training.sync_norm import synchronize
from torchinception.training.tuning import begin_with, set_still
from torchinception.weights.bundle import ModelSpec

VERSIONS = ("torchinception", "torch", "torchvision", "lightning", "pillow", "numpy")


@dataclass(frozen=True)
class Job:
    """One run, checked and resolved."""

    folder: Folder
    splits: dict[str, Samples]
    recipe: Recipe
    out: Path
    workers: int
    device: torch.device
    checkpoint_every: int
    checkpoint_minutes: float
    listener: Listener
    ranks: Ranks
    strategy: str = "ddp"  # or fsdp
    loggers: tuple[str, ...] = ()
    start: Start | None = None  # what the recipe's weights are, if this process has read them


def fit(job: Job, *, resume: bool) -> tuple[Classifier, Recorder]:
    """Train, from the last checkpoint on if there is one.

    Returns:
        The classifier that the run is for, and the record; the raw weights beside an average are written.

    Raises:
        UsageError, DataError, SaveError, InterruptedRunError: as `run.train`.
    """
    recipe, ranks = job.recipe, job.ranks
    assert recipe.batch
    assert recipe.epochs
    found = ranks.first(lambda: _last_checkpoint(job, resume=resume))
    net, full = _network(job, begun=bool(found))
    pictures = _loaders(job, full) if recipe.features.cached else _loaders(job, None)
    per_epoch = len(pictures.train_loader)
    steps = recipe.epochs * math.ceil(per_epoch / recipe.accumulate)
    recorder = Recorder(
        job.out,
        steps,
        job.checkpoint_every,
        pictures.val_loader,
        job.listener,
        job.device,
        minutes=job.checkpoint_minutes,
        patience=recipe.patience,
        ranks=ranks,
        logs=open_logs(job.loggers, job.out, recipe) if ranks.rank == 0 else (),
    )
    trainer = Trainer(
        accelerator=job.device.type,
        **_strategy(job),
        precision=PRECISIONS[recipe.precision],  # type: ignore[arg-type]
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.optimizer.clip_norm or None,
        deterministic=job.device.type == "cpu",
        callbacks=[recorder],
        plugins=[VerifiedIO()],
        default_root_dir=job.out,
        use_distributed_sampler=False,
        limit_val_batches=0,  # the recorder validates
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    weights = class_weights(recipe.loss, job.folder.classes, count_classes(job.folder, job.splits))
    preprocess = None if recipe.features.cached else recipe.preprocess
    training = Training(net, preprocess, recipe, steps, job.folder.training_fingerprint, weights)
    if recipe.precision == "fp64":
        training.double()  # Lightning would do it after it has read a checkpoint into less
    if ranks.rank:
        torch.manual_seed(keyed_seed(recipe.seed, 2, ranks.rank))  # each process drops out other units
    trainer.fit(training, datamodule=pictures, ckpt_path=found)
    recorder.after(trainer)
    for log in recorder.logs:
        log.close()
    training.net = whole(training.net)
    if recipe.patience and (best := ranks.first(recorder.store.best)):
        training.load_state_dict(VerifiedIO().load_checkpoint(best)["state_dict"])
    spec = ModelSpec(
        network=full.name,
        classes=job.folder.classes,
        aux=bool(recipe.loss.aux_weight),
        **recipe.options,
        preprocess=recipe.preprocess,
        recipe=recipe.model_dump(mode="json"),
        versions={name: version(name) for name in VERSIONS},
        data=job.folder.training_fingerprint,
        origin=recipe.weights_origin or {},
    )
    training.float()
    if ranks.rank == 0:
        _save_raw(job, Classifier(_assembled(training.net, full), spec, job.device), averaged=bool(training.average))
    return Classifier(_assembled(training.best, full), spec, job.device), recorder


def _network(job: Job, *, begun: bool) -> tuple[Inception, Inception]:
    """What is trained, and the whole network: the same, but for the linear probe."""
    recipe, classes = job.recipe, job.folder.classes
    assert recipe.network
    torch.manual_seed(keyed_seed(recipe.seed))
    net = create(recipe.network, len(classes), aux=bool(recipe.loss.aux_weight), **recipe.options)
    if recipe.weights and (recipe.features.cached or not begun):  # a checkpoint holds all weights but the probe's trunk
        start = job.start or read_again(recipe, job.listener)
        fresh = begin_with(net, start, classes)
        if fresh:
            why = "not in the file" if classes == start.classes else "for these classes"
            job.listener.say(f"Fresh weights, {why}: {', '.join(fresh)}")
    net = net.to(memory_format=torch.channels_last)
    net.activation_checkpointing = recipe.activation_checkpointing
    if not recipe.features.cached:
        if recipe.tune != Tune() and not recipe.tune.head_epochs:
            set_still(net.train(), recipe.tune, 0)  # several processes look once at what has gradients
        if not job.ranks.alone:
            synchronize(net, job.device)
        return net, net
    head = Inception(net.name, {}, len(classes), channels=net.classifier.in_features, dropout=net.dropout.p)
    head.classifier.load_state_dict(net.classifier.state_dict())
    return head, net


def _loaders(job: Job, trunk: Inception | None) -> PicturesModule:
    recipe, splits, ranks = job.recipe, job.splits, job.ranks
    assert recipe.batch
    labels = splits["train"].labels.tolist()
    if trunk is None:
        how = (recipe.preprocess, recipe.augment, recipe.seed, recipe.size_at)
        train: Any = Pictures(splits["train"], *how, fast=recipe.fast_decode)
        val: Any = Pictures(splits["val"], recipe.preprocess, None, recipe.seed)
    else:
        train, val = _features(job, trunk)
    return PicturesModule(
        train,
        val,
        labels,
        batch=recipe.batch // ranks.world,
        workers=0 if trunk else job.workers,
        pin=job.device.type == "cuda",
        balanced=recipe.sampler == "balanced",
        share=(ranks.rank, ranks.world),
    )


def _features(job: Job, trunk: Inception) -> tuple[Features, Features]:
    recipe, splits = job.recipe, job.splits
    chosen = range(1, min(recipe.features.views, recipe.epochs or 1) + 1) or range(1)

    def compute_once() -> tuple[Path, int, list[list[int]]]:
        folder, rows = cache_folder() / "features", []
        for split, each in (("train", chosen), ("val", range(1))):
            samples = splits[split].select(np.repeat(np.arange(len(splits[split])), len(each)))
            numbers = np.tile(each, len(splits[split]))
            views = Views(samples, numbers, recipe.preprocess, recipe.augment, recipe.seed)
            store, found = compute(folder, trunk, views, workers=job.workers, device=job.device, listener=job.listener)
            rows.append(found)
        return store.rows, len(store.position), rows

    path, rows_there, rows = job.ranks.first(compute_once)
    table = map_rows(path, trunk.classifier.in_features, rows_there)
    train, val = (
        Features(table, np.array(found).reshape(len(splits[split]), -1), splits[split].labels, recipe.seed)
        for split, found in zip(("train", "val"), rows, strict=True)
    )
    return train, val


def _strategy(job: Job) -> dict[str, Any]:
    ranks, device = job.ranks, job.device
    if ranks.alone:
        return dict(devices=1 if device.index is None else [device.index])
    strategy = (Sharded if job.strategy == "fsdp" else DDPStrategy)(
        process_group_backend="nccl" if device.type == "cuda" else "gloo",
        cluster_environment=ranks.environment,
        broadcast_buffers=False,  # batch norm is synchronized
        find_unused_parameters=job.recipe.tune.head_epochs > 0,
    )
    return dict(devices=ranks.local_world, num_nodes=ranks.world // ranks.local_world, strategy=strategy)


def _last_checkpoint(job: Job, *, resume: bool) -> Path | None:
    store = Store(job.out / "checkpoints", job.listener)
    found = store.newest() if resume else None
    if found:
        store.keep(int(found.stem.removeprefix("step-")))  # a killed save may have left it unlisted
    if resume:
        job.listener.say(f"Resuming from {found}" if found else f"No checkpoint in {job.out} yet: starting at step 0")
    return found


def _assembled(trained: Inception, whole: Inception) -> Inception:
    """The whole network: of the linear probe, the trunk with the trained classifier."""
    if len(trained.trunk):
        return trained
    whole.classifier.load_state_dict(trained.classifier.state_dict())
    return whole


def _save_raw(job: Job, model: Classifier, *, averaged: bool) -> None:
    raw = job.out / "raw.safetensors"
    if averaged:
        model.save(raw)
    else:
        raw.unlink(missing_ok=True)  # of a run that was begun anew


@contextlib.contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Leave the caller's random state, determinism and logging as they were; keep Lightning's chatter away."""
    logger, cudnn = logging.getLogger("lightning.pytorch"), torch.backends.cudnn
    level, benchmark = logger.level, cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with forked_random(device), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
            cudnn.benchmark = benchmark
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)

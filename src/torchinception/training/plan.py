"""What a recipe leaves to the pictures: network, size, batch, epochs."""

import math
import time
from collections import Counter

import torch

from torchinception.data.folder import Folder
from torchinception.data.module import Pictures
from torchinception.data.samples import Samples
from torchinception.data.transforms import Preprocess
from torchinception.devices import resolve_precision
from torchinception.errors import UsageError
from torchinception.models import find_spec
from torchinception.network import describe_sizes
from torchinception.progress import Listener
from torchinception.training.loss import class_weights
from torchinception.training.pace import find_batch, fit_epochs
from torchinception.training.recipe import LOOK, Mix, Recipe, Tune
from torchinception.training.tuning import check_tune

FEWEST_STEPS = 600  # from scratch, fewer leave even a small folder unlearned


def choose(
    recipe: Recipe,
    folder: Folder,
    splits: dict[str, Samples],
    device: torch.device,
    listener: Listener,
    *,
    until: float | None = None,
    measure_batch: bool = False,
) -> Recipe:
    """Fill in what the recipe leaves to the pictures, and say what and why.

    With `until`, a moment of `time.perf_counter`, the epochs are as many as fit before it, and with `measure_batch`
    the batch is the fastest, both measured here.

    Raises:
        UsageError: the network, or its auxiliary heads, cannot take the size; or there is but one picture.
    """
    small = folder.side_px <= 64
    class_weights(recipe.loss, folder.classes, count_classes(folder, splits))  # refuses unknown names
    network = recipe.network or ("small_inception" if small else "googlenet_bn")
    spec = find_spec(network)
    size = recipe.size or (max(28, folder.side_px // 4 * 4) if small and spec.size <= 64 else min(spec.size, 128))
    if recipe.network is None:
        listener.say(
            f"Chose {network} at {size} px: the pictures are {'small' if small else 'large'} "
            f"(median {folder.side_px} px). Others: --network, --size; see inception models"
        )
    least = min(size, recipe.start_size or size)
    if least < spec.min_size:
        which = "--size" if least == size else "start_size"
        raise UsageError(f"{network} needs pictures of at least {spec.min_size} px, not {least}; raise {which}")
    if (recipe.start_size or size) > size:
        raise UsageError(f"start_size = {recipe.start_size} is above the size of {size} px that pictures grow to")
    if recipe.compile and recipe.activation_checkpointing:
        raise UsageError("compile decides itself which activations are kept; use it without activation_checkpointing")
    check_tune(recipe.tune, network, list(spec.stages))
    if recipe.tune.head_epochs and not recipe.weights:
        listener.say("tune.head_epochs without --weights: the classifier first learns on an untrained trunk")
    fits, weight = size in spec.aux_sizes and least in spec.aux_sizes, recipe.loss.aux_weight
    if recipe.features.cached:
        _check_probe(recipe)
        if until is not None or measure_batch:
            raise UsageError("--budget and --find-batch measure whole networks; the linear probe takes seconds anyway")
        weight = 0.0
    bounds = f"need {describe_sizes(spec.aux_sizes)}" if spec.aux else "do not exist"
    if weight and not fits:
        raise UsageError(f"loss.aux_weight = {weight}, but the auxiliary heads of {network} {bounds}; set it to 0")
    if weight is None and spec.aux and not fits:
        listener.say(f"Without auxiliary heads: those of {network} {bounds}")
    loss = recipe.loss.model_copy(update=dict(aux_weight=spec.aux_weight * fits if weight is None else weight))
    count = len(splits["train"])
    batch = min(recipe.batch or max(8, min(32, count // 16)), count)
    if batch < 2:
        raise UsageError(f"batch norm needs at least 2 pictures a step, not {batch}")
    look = Preprocess(size=size, crop=recipe.crop or spec.crop)
    chosen = dict(network=network, size=size, loss=loss, batch=batch)
    chosen |= {name: getattr(recipe, name) or getattr(look, name) for name in LOOK[1:]}
    chosen |= dict(precision=resolve_precision(recipe.precision, device))
    recipe = recipe.model_copy(update=chosen)
    if measure_batch:
        recipe = recipe.model_copy(
            update=dict(batch=find_batch(recipe, len(folder.classes), max(8, count // 16), device, listener))
        )
    epochs = _epochs(recipe, splits, folder, device, listener, until)
    if epochs <= recipe.tune.head_epochs:
        listener.say(f"The trunk will not move: tune.head_epochs = {recipe.tune.head_epochs} of {epochs} epochs")
    return recipe.model_copy(update=dict(epochs=epochs))


def _epochs(
    recipe: Recipe,
    splits: dict[str, Samples],
    folder: Folder,
    device: torch.device,
    listener: Listener,
    until: float | None,
) -> int:
    count, batch = len(splits["train"]), recipe.batch or 1
    if until is not None:
        reading = _pictures_per_second(recipe, splits["train"])
        held_out = len(splits["val"])
        last = held_out + len(splits.get("test", ()))
        seconds = until - time.perf_counter()
        return fit_epochs(recipe, count, held_out, last, len(folder.classes), reading, seconds, device, listener)
    if recipe.epochs is not None:
        return recipe.epochs
    epochs = max(30, math.ceil(FEWEST_STEPS / (count // batch)))
    listener.say(f"Chose {epochs} epochs of {count // batch} steps of {batch}. Others: --epochs, --batch")
    return epochs


def _pictures_per_second(recipe: Recipe, samples: Samples) -> float:
    """How fast one process reads and augments pictures."""
    some = samples[:: max(1, len(samples) // 32)]
    pictures = Pictures(some, recipe.preprocess, recipe.augment, recipe.seed, fast=recipe.fast_decode)
    pictures[0, 0]  # the first one imports
    start = time.perf_counter()
    for index in range(len(some)):
        pictures[0, index]
    return len(some) / (time.perf_counter() - start)


def count_classes(folder: Folder, splits: dict[str, Samples]) -> list[int]:
    """Training pictures of each class."""
    found = Counter(splits["train"].labels.tolist())
    return [found[label] for label in range(len(folder.classes))]


def check_shares(recipe: Recipe, processes: int) -> None:
    """Refuse a batch that processes cannot share.

    Raises:
        UsageError: it does not divide evenly.
    """
    batch = recipe.batch or 1
    if batch % processes or batch < 2 * processes:
        raise UsageError(
            f"{processes} processes cannot share a batch of {batch} pictures evenly, two or more each; "
            f"set --batch to a multiple of {processes}"
        )


def _check_probe(recipe: Recipe) -> None:
    if recipe.weights is None:
        raise UsageError("features.cached needs weights to compute features with: --weights MODEL, a file or a run")
    off = dict(
        tune=Tune(), mix=Mix(), start_size=None, activation_checkpointing=False, compile=False, fast_decode=False
    )
    for key, value in off.items():
        if getattr(recipe, key) != value:
            raise UsageError(f"features.cached trains a classifier on features alone; {key} cannot be used with it")

"""What a recipe leaves to the pictures: network, size, batch, epochs."""

import math
from collections import Counter

import torch

from torchinception.data.folder import Folder, Sample
from torchinception.devices import resolve_precision
from torchinception.errors import UsageError
from torchinception.models import find_spec
from torchinception.network import describe_sizes
from torchinception.progress import Listener
from torchinception.training.loss import class_weights
from torchinception.training.recipe import Recipe

FEWEST_STEPS = 600  # from scratch, fewer leave even a small folder unlearned


def choose(
    recipe: Recipe, folder: Folder, splits: dict[str, tuple[Sample, ...]], device: torch.device, listener: Listener
) -> Recipe:
    """Fill in what the recipe leaves to the pictures, and say what and why.

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
    if size < spec.min_size:
        raise UsageError(f"{network} needs pictures of at least {spec.min_size} px, not {size}; raise --size")
    fits, weight = size in spec.aux_sizes, recipe.loss.aux_weight
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
    epochs = recipe.epochs or max(30, math.ceil(FEWEST_STEPS / (count // batch)))
    if recipe.epochs is None:
        listener.say(f"Chose {epochs} epochs of {count // batch} steps of {batch}. Others: --epochs, --batch")
    chosen = dict(network=network, size=size, crop=recipe.crop or spec.crop, loss=loss, batch=batch, epochs=epochs)
    chosen |= dict(precision=resolve_precision(recipe.precision, device))
    return recipe.model_copy(update=chosen)


def count_classes(folder: Folder, splits: dict[str, tuple[Sample, ...]]) -> list[int]:
    """Training pictures of each class."""
    found = Counter(sample.label for sample in splits["train"])
    return [found[label] for label in range(len(folder.classes))]

"""One picture explained: what the classifier says of it, and where that comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from torchinception.classifier import Classifier, Prediction
from torchinception.data.images import Picture, Source, open_image
from torchinception.data.labels import match_classes, readable
from torchinception.data.transforms import stack
from torchinception.engines.batches import fitting_batch
from torchinception.errors import DataError, UsageError
from torchinception.explaining.attribution import gradcam, integrated_gradients, layer_activations, occlusion
from torchinception.explaining.cells import stage_cells
from torchinception.progress import Listener

METHODS = ("gradcam", "integrated-gradients", "occlusion", "layer-activations")
STAGED = ("gradcam", "layer-activations")  # those that look at one stage

Heat = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Explanation:
    """Why a picture is named so.

    `heat` is float32 (H, W) over `picture`, uint8 (H, W, 3), the part that the network sees. What it counts is the
    method's: 0 and more from "gradcam" and "layer-activations"; logits from the other two, less than 0 where a place
    speaks against the class. That of "integrated-gradients" sums to what the picture adds to the logit of a grey one,
    but for `gap`, a fraction of it. `stage` is None where none was looked at. The class explained is `label`, an id,
    called `name`. `heads` has the three likeliest of each auxiliary head by the stage it hangs on, empty where the
    network has none or they cannot take pictures of this size.
    """

    picture: Picture
    heat: Heat
    method: str
    stage: str | None
    label: str
    name: str
    probability: float
    best: Prediction
    heads: Mapping[str, Prediction]
    gap: float | None = None

    @property
    def peak(self) -> tuple[int, int]:
        """Column and row of the hottest pixel, or the middle of several."""
        rows, columns = np.nonzero(self.heat >= self.heat.max() - 1e-6 * np.abs(self.heat).max())
        return round(float(columns.mean())), round(float(rows.mean()))


def explain(
    model: Classifier,
    image: Source,
    method: str = "gradcam",
    *,
    target: str | None = None,
    stage: str | None = None,
    listener: Listener | None = None,
) -> Explanation:
    """Explain what a classifier says of a picture, given as a path, bytes, a PIL image or uint8 array (H, W, 3).

    The answers, and what occlusion changes, are the engine's, as those of `Classifier.predict`; other heat maps are
    the network's as PyTorch computes it.

    Args:
        model: the classifier.
        image: the picture.
        method: one of `METHODS`. "gradcam" and "occlusion" show places; "integrated-gradients" pixels, here smoothed;
            "layer-activations" where a stage sees anything, whatever the class.
        target: the class to explain, by its id or its name; None: the likeliest.
        stage: where "gradcam" and "layer-activations" look; None: the last stage of more than one cell.
        listener: hears of progress within the picture.

    Raises:
        UsageError: no such method, class or stage, or one that the method has no use for.
        ImageError: the picture cannot be used.
    """
    if method not in METHODS:
        raise UsageError(f"no method named {method}; methods: {', '.join(METHODS)}")
    if stage is not None and method not in STAGED:
        raise UsageError(f"{method} looks at the whole network, not at a stage; leave the stage out")
    if target is not None and method == "layer-activations":
        raise UsageError("layer-activations are the same for every class; leave the class out")
    wanted = None if target is None else find_class(model, target)
    cut = model.preprocess.cut(open_image(image))
    batch = stack([cut])
    pictures = model.preprocess.normalize(batch.to(model.device))
    probabilities = model.logits(batch).softmax(1)[0]
    index = int(probabilities.argmax()) if wanted is None else wanted
    place, gap = stage or default_stage(model), None
    if method == "gradcam":
        heat = _enlarge(model, gradcam(model.network, pictures, torch.tensor([index]).to(model.device), place), place)[
            0
        ]
    elif method == "layer-activations":
        heat = _enlarge(model, layer_activations(model.network, pictures, place), place)[0]
    elif method == "occlusion":
        heat = _smooth(occlusion(model.engine.run, pictures, index, listener))
    else:
        values, gap = integrated_gradients(model.network, pictures, index, listener)
        heat = _smooth(values.sum(0))
    return Explanation(
        picture=cut.permute(1, 2, 0).numpy(),
        heat=heat.float().cpu().numpy(),
        method=method,
        stage=place if method in STAGED else None,
        label=model.classes[index],
        name=readable(model.classes, model.names)[index],
        probability=float(probabilities[index]),
        best=_likeliest(model, probabilities, 5),
        heads=_heads(model, pictures),
        gap=gap,
    )


def heat_maps(model: Classifier, batch: Tensor, targets: Sequence[int], stage: str | None = None) -> Heat:
    """Grad-CAM of many pictures, about as fast as they are named.

    Args:
        model: the classifier.
        batch: uint8 (N, 3, size, size), as `preprocess.cut` makes them.
        targets: the position of the class to explain in each.
        stage: where to look; None: the last stage of more than one cell.

    Returns:
        float32 (N, size, size), 0 and more.

    Raises:
        UsageError: no such stage.
    """
    place, wanted = stage or default_stage(model), torch.tensor(targets, device=model.device)
    at_once, found = fitting_batch(model.preprocess.size, model.device), []
    for start in range(0, len(batch), at_once):
        pictures = model.preprocess.normalize(batch[start : start + at_once].to(model.device))
        maps = gradcam(model.network, pictures, wanted[start : start + at_once], place)
        found.append(_enlarge(model, maps, place).float().cpu().numpy())
    size = model.preprocess.size
    return np.concatenate(found) if found else np.zeros((0, size, size), np.float32)


def default_stage(model: Classifier) -> str:
    """The last that still has places: on small pictures the grid may shrink to one cell before the end."""
    cells = stage_cells(model.network, model.preprocess.size)
    return [name for name, found in cells.items() if found.count > 1 or name == next(iter(cells))][-1]


def find_class(model: Classifier, name: str) -> int:
    """The position of a class, by its id or what people call it.

    Raises:
        UsageError: no class is called so, or several are; near ones are named.
    """
    alone = readable(model.classes, model.names)
    if name in alone:
        return alone.index(name)
    try:
        return match_classes([name], model.classes, model.names)[name]
    except DataError as error:
        raise UsageError(str(error)) from None


def _enlarge(model: Classifier, maps: Tensor, stage: str) -> Tensor:
    size = model.preprocess.size
    return stage_cells(model.network, size)[stage].enlarge(maps.cpu(), size)


def _smooth(values: Tensor) -> Tensor:
    """(H, W) blurred by a bell of a 32nd of the side, which keeps the sum: nothing is spread beyond the edges."""
    side = values.shape[-1]
    places = torch.arange(side, device=values.device, dtype=torch.float32)
    bell = torch.exp(-(((places[:, None] - places) * 32 / side) ** 2) / 2)
    weights = bell / bell.sum(0)
    return weights @ values @ weights.T


def _heads(model: Classifier, pictures: Tensor) -> dict[str, Prediction]:
    size = model.preprocess.size
    if not len(model.network.aux) or size not in model.network.aux_sizes:
        return {}
    with torch.no_grad():
        _, opinions = model.network(pictures, aux=True)
    return {stage: _likeliest(model, logits[0].softmax(0).cpu(), 3) for stage, logits in opinions.items()}


def _likeliest(model: Classifier, probabilities: Tensor, count: int) -> Prediction:
    best = probabilities.topk(min(count, len(model.classes)))
    names = readable(model.classes, model.names)
    indices = best.indices.tolist()
    return Prediction(
        tuple(model.classes[i] for i in indices), tuple(best.values.tolist()), tuple(names[i] for i in indices)
    )

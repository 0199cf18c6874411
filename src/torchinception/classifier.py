"""`Classifier`: a network with its class names and preprocessing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from torchinception.data.images import Source, load_image
from torchinception.errors import UsageError
from torchinception.models import Inception
from torchinception.weights.bundle import ModelSpec, load_model, save_model


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one picture, best first, with their probabilities (of all classes they sum to 1)."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


class Classifier:
    """A network that names pictures.

    Args:
        network: takes (N, 3, size, size) as `spec.preprocess` makes it; moved to `device`, evaluation mode.
        spec: what stands in the model file.
        device: where to run, as `torch.device` takes it.
    """

    def __init__(self, network: Inception, spec: ModelSpec, device: str | torch.device = "cpu") -> None:
        self.network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.spec, self.device = spec, torch.device(device)
        self.classes, self.preprocess, self.trained_on = spec.classes, spec.preprocess, spec.data

    @torch.inference_mode()
    def logits(self, batch: Tensor) -> Tensor:
        """uint8 (N, 3, size, size), as `preprocess.cut` makes them -> float32 (N, classes) on the CPU."""
        logits: Tensor = self.network(self.preprocess.normalize(batch.to(self.device)))
        return logits.cpu()

    def predict(self, images: Source | Sequence[Source], top: int = 5) -> list[Prediction]:
        """Name one picture or several, given as paths, bytes, PIL images or uint8 arrays (H, W, 3).

        Raises:
            ImageError: a picture cannot be used.
            UsageError: `top` is below 1.
        """
        if isinstance(images, str | Path | bytes | Image.Image | np.ndarray):
            images = [images]
        if top < 1:
            raise UsageError(f"top must be at least 1, not {top}")
        cuts = [self.preprocess.cut(load_image(image)) for image in images]
        batches = (torch.stack(cuts[start : start + 32]) for start in range(0, len(cuts), 32))
        return [prediction for batch in batches for prediction in self.name(batch, top)]

    def name(self, batch: Tensor, top: int = 5) -> list[Prediction]:
        """`predict` for pictures that are cut already: uint8 (N, 3, size, size)."""
        best = self.logits(batch).softmax(1).topk(min(top, len(self.classes)))
        return [
            Prediction(tuple(self.classes[i] for i in indices), tuple(values))
            for indices, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def save(self, path: str | Path) -> None:
        """Write the model file, whole or not at all."""
        save_model(path, self.network, self.spec)


def load(path: str | Path, device: str | torch.device = "cpu") -> Classifier:
    """A classifier from a model file, or from the folder of a run, verified before use.

    Raises:
        MissingInputError: no such file.
        ModelFileError: damaged, foreign, or from a newer version.
    """
    path = Path(path)
    return Classifier(*load_model(path / "model.safetensors" if path.is_dir() else path), device)

"""`Classifier`: a network with its class names and preprocessing."""

import difflib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from torchinception.data.images import Source, open_image
from torchinception.data.transforms import Preprocess, stack
from torchinception.engines.choice import choose
from torchinception.engines.engine import Engine, build, build_simple
from torchinception.errors import MissingInputError, NoClassifierError, UsageError
from torchinception.models import Inception, find_spec
from torchinception.progress import Listener
from torchinception.weights.bundle import ModelSpec, is_model_file, load_model, save_model, tensors_sha256
from torchinception.weights.catalogue import entries, find_entry
from torchinception.weights.convert import assemble, convert, name_classes
from torchinception.weights.download import fetch


class _Weight(NamedTuple):
    """A tensor of a network at some time: which one, its content then, and how often that was written to in place.

    As long as this holds them, no other tensor gets their identity or their memory.
    """

    tensor: Tensor
    content: Tensor
    version: int


def _weights(net: Inception) -> list[_Weight]:
    return [
        _Weight(tensor, tensor.detach(), 0 if tensor.is_inference() else tensor._version)
        for tensor in net.state_dict(keep_vars=True).values()
    ]


def _are_same(some: Sequence[_Weight], others: Sequence[_Weight]) -> bool:
    return len(some) == len(others) and all(
        one.tensor is other.tensor
        and one.content.data_ptr() == other.content.data_ptr()
        and one.version == other.version
        for one, other in zip(some, others, strict=True)
    )


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one picture, best first, with their probabilities (of all classes they sum to 1).

    `names` are what people call them: of ImageNet's classes, whose ids are WordNet's, the words; else the classes.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    names: tuple[str, ...]


class Classifier:
    """A network that names pictures, computed by the engine that is there at once, until `use` gives it another.

    Args:
        network: takes (N, 3, size, size) as `spec.preprocess` makes it; moved to `device`, evaluation mode.
        spec: what stands in the model file.
        device: where to run, as `torch.device` takes it.
    """

    def __init__(self, network: Inception, spec: ModelSpec, device: str | torch.device = "cpu") -> None:
        self.network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.spec, self.device = spec, torch.device(device)
        self.classes, self.names = spec.classes, spec.names or spec.classes
        self.preprocess, self.trained_on = spec.preprocess, spec.data
        self._engine: Engine | None = None
        self._engine_of: list[_Weight] = []

    def use(self, engine: Engine) -> None:
        """Compute with `engine` of this network from now on, until its weights change.

        A change is noticed when tensors are written to in place, as training and `load_state_dict` do, and when they
        are replaced, `tensor.data` too. PyTorch keeps no account of what is written in place through `.data`
        (`tensor.data.add_(1)`), nor to tensors that were made in inference mode: after that, `use` an engine anew.
        """
        self._engine, self._engine_of = engine, _weights(self.network)

    @property
    def engine(self) -> Engine:
        """What computes."""
        if self._engine is None or not _are_same(self._engine_of, _weights(self.network)):
            self.use(build_simple(self.network, self.preprocess, self.device))
        assert self._engine
        return self._engine

    def logits(self, batch: Tensor) -> Tensor:
        """uint8 (N, 3, size, size), as `preprocess.cut` makes them -> float32 (N, classes) on the CPU."""
        return self.engine.run_uint8(batch.permute(0, 2, 3, 1))

    def features(self, batch: Tensor, stage: str) -> Tensor:
        """As for `logits` -> what a stage puts out, float32 (N, C, H, W) on the CPU; no later one runs.

        Raises:
            UsageError: the network has no such stage.
        """
        return self.engine.features(self.preprocess.normalize(batch), stage)

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
        cuts = [self.preprocess.cut(open_image(image)) for image in images]
        batches = (stack(cuts[start : start + 32]) for start in range(0, len(cuts), 32))
        return [prediction for batch in batches for prediction in self.name(batch, top)]

    def name(self, batch: Tensor, top: int = 5) -> list[Prediction]:
        """`predict` for pictures that are cut already: uint8 (N, 3, size, size)."""
        best = self.logits(batch).softmax(1).topk(min(top, len(self.classes)))
        return [
            Prediction(tuple(self.classes[i] for i in indices), tuple(values), tuple(self.names[i] for i in indices))
            for indices, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def save(self, path: str | Path) -> None:
        """Write the model file, whole or not at all."""
        save_model(path, self.network, self.spec)


def engine(
    model: Classifier | Inception,
    name: str = "auto",
    *,
    batch: int = 1,
    threads: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "fp32",
    tier: str = "default",
    tune: bool = True,
    preprocess: Preprocess | None = None,
    pictures: int | None = None,
    listener: Listener | None = None,
) -> Engine:
    """What computes a model fast, from uint8 or float32 pictures to logits or features; the model stays as it is.

    With "auto" the installed engines are checked against float64 PyTorch on real pictures and timed, once for a model
    on a machine; see `engines.choice.choose`. On a GPU, and other than in "fp32", that is PyTorch.

    Args:
        model: a classifier, or a network.
        name: "auto", or "native", "torch", "onnx" (ONNX Runtime), "openvino"; "compile" is `torch.compile` with frozen
            weights, which takes a minute at the first call, "eager" the network as it is.
        batch: how many pictures at a time it is to be fastest for; it takes any number.
        threads: how many the CPU is to use; None: as PyTorch.
        device: where to run, as `torch.device` takes it; None: where a classifier is, or the CPU.
        precision: "fp32", or "bf16" or "fp16" for PyTorch's autocast.
        tier: of the native engine, also where "auto" tries it: "direct", without Winograd's convolutions, "default", or
            "fast", with those too whose errors reach 1e-4 of the largest logit.
        tune: let the native engine time its algorithms inside the network, once for a network on a machine; else it
            takes those that a rule expects to be quickest.
        preprocess: how pictures are made, for a network; None: as it was published.
        pictures: how many there are in all; None: many. Of fewer than 64 none are timed.
        listener: hears of progress, of the choice, and of an engine that fails.

    Raises:
        UsageError: no such engine or network, or it cannot do what is asked for.
    """
    if isinstance(model, Classifier):
        net, look, place = model.network, model.preprocess, model.device
    else:
        net, look, place = model, preprocess or Preprocess(size=find_spec(model.name).size), torch.device("cpu")
    place = place if device is None else torch.device(device)
    if name == "auto" and place.type == "cpu" and precision == "fp32":
        return choose(
            net,
            look,
            partial(tensors_sha256, net.state_dict()),
            batch=batch,
            threads=threads,
            tier=tier,
            tune=tune,
            pictures=pictures,
            listener=listener,
        )
    return build(
        "torch" if name == "auto" else name,
        net,
        look,
        device=place,
        batch=batch,
        threads=threads,
        precision=precision,
        tier=tier,
        tune=tune,
    )


def load(
    path: str | Path,
    device: str | torch.device = "cpu",
    *,
    classes: int | Sequence[str] | None = None,
    aux: bool | None = None,
    source: str | None = None,
    network: str | None = None,
    names: Sequence[str] | None = None,
    offline: bool = False,
    listener: Listener | None = None,
) -> Classifier:
    """A classifier from a model file or a run, another library's file, or published weights by name.

    Args:
        path: a model file or the folder of a run, verified before use; a file of another library, recognized by its
            keys; or a name from `inception models --weights`, downloaded once and kept in the cache.
        device: where to run, as `torch.device` takes it.
        classes: for other classes than the file's, by number or by name: the trunk is kept, the classifier (and
            auxiliary heads) fresh, initialized as published.
        aux: True for auxiliary heads, those of the file or else fresh ones, with a warning; False for none; None as in
            the file. Ignored by networks that have none.
        source: what another library's file is from, if its keys fit several; see `weights.sources`.
        network: put another library's weights into this network, whose shapes have to be the same.
        names: what the outputs of another library's file mean, in order, its classifier being kept; not with `classes`.
        offline: use no network.
        listener: hears of a download.

    Raises:
        MissingInputError: no such file, or it would have to be downloaded and cannot be.
        ModelFileError: damaged, of no known source, from a newer version, or not finite.
        UsageError: classes or a source that cannot be.

    Warns:
        UserWarning: several sources fit, outputs have no names, or a head is untrained.
    """
    if classes is not None and names is not None:
        raise UsageError("classes= asks for a fresh classifier, names= keeps the file's; give one of them")
    fresh, notes = None if classes is None else name_classes(classes), tuple[str, ...]()
    found = Path(path)
    found = found / "model.safetensors" if found.is_dir() else found
    if found != Path(path) and not found.exists():
        raise MissingInputError(f"{path} is a folder without model.safetensors, so no run; name the file in it")
    if found != Path(path) or is_model_file(found):
        if source or network or names:
            raise UsageError(f"{path} is a model file, which holds its network and classes itself")
        net, spec = load_model(found)
        if classes is None and aux in (None, spec.aux):
            return Classifier(net, spec, device)
        tensors: Mapping[str, Tensor] = net.state_dict()
    else:
        tensors, spec, notes = _foreign(path, fresh, source, network, names, offline, listener or Listener())
    same = not isinstance(classes, int) and fresh == spec.classes
    net, spec, untrained = assemble(tensors, spec, None if same else fresh, aux)
    if untrained and fresh is None:
        notes = (*notes, f"{path} has no {' and no '.join(untrained)}: its weights are fresh, and untrained")
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return Classifier(net, spec, device)


def _foreign(
    path: str | Path,
    fresh: tuple[str, ...] | None,
    source: str | None,
    network: str | None,
    names: Sequence[str] | None,
    offline: bool,
    listener: Listener,
) -> tuple[Mapping[str, Tensor], ModelSpec, tuple[str, ...]]:
    entry = None
    if str(path) in entries():
        if source:
            raise UsageError(f"{path} is published weights, whose source is known; leave source out")
        entry = find_entry(str(path))
        path = fetch(entry, listener, offline=offline)
    elif not Path(path).exists() and not Path(f"{path}.index").exists():
        raise MissingInputError(f"no model file at {path}, and no published weights of that name{_near(str(path))}")
    found = convert(path, source=source, network=network, classes=names, entry=entry, fresh=fresh)
    if found.spec is None:
        raise NoClassifierError(
            f"{path} has no classifier, only features; for a fresh one give classes=N, or inception convert --classes"
        )
    return found.tensors, found.spec, found.notes


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, entries(), 1)
    return f" (did you mean {near[0]}?)" if near else "; see inception models --weights"

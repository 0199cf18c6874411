"""Another library's file, or published weights by name, as one of our networks with all that decides an answer."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.errors import ModelFileError, UsageError
from torchinception.models import Inception, create, find_spec
from torchinception.weights import imagenet
from torchinception.weights.bundle import ModelSpec, not_finite
from torchinception.weights.catalogue import Entry
from torchinception.weights.formats import Contents, read_tensors
from torchinception.weights.sources import Translation, find_source, recognize, translate


@dataclass(frozen=True)
class Converted:
    """Our state dict of a foreign file; `spec` is None where the file has no classifier and no classes were named.

    `notes` are what was chosen for want of a better knowledge.
    """

    tensors: dict[str, Tensor]
    spec: ModelSpec | None
    notes: tuple[str, ...]


def convert(
    path: str | Path,
    *,
    source: str | None = None,
    network: str | None = None,
    classes: Sequence[str] | None = None,
    fresh: tuple[str, ...] | None = None,
    entry: Entry | None = None,
) -> Converted:
    """Read a file of torchvision, timm, Cadene, TF-slim, Keras, facenet-pytorch, Caffe or pytorch-fid.

    Args:
        path: the file.
        source: what it is from, a key of `sources()`; default: the first that fits its keys and shapes, with a
            note if others fit too.
        network: take a source of this network, or put the weights into this one if it has the same shapes.
        classes: what the file's outputs mean, in order; default: ImageNet's classes for 1000 outputs, else `class_0`
            and so on, with a note.
        fresh: the classes of a fresh classifier, for a file without one, or which will be taken in place of its own.
        entry: published weights whose file it is: its source and preprocessing are taken.

    Raises:
        MissingInputError: no such file.
        ModelFileError: damaged, of no known source, or a weight is not finite.
        UsageError: no source or network of that name, or classes that do not fit.
    """
    contents = read_tensors(path)
    notes: list[str] = []
    found = _choose(contents, entry.source if entry else source, network, notes)
    for name in not_finite(found.tensors):
        raise ModelFileError(f"{path}: {name} is not finite; download or export the file again")
    unnamed = notes if entry is None and fresh is None else None
    names = _name(found.classes or fresh, classes, contents.path, unnamed, of_imagenet=found.source.imagenet)
    if not names:
        return Converted(found.tensors, None, tuple(notes))
    origin = dict(file=contents.path.name, sha256=_sha256(contents.path), source=found.source.name)
    home = found.source
    spec = ModelSpec(
        network=network or home.network,
        aux=found.aux,
        preprocess=Preprocess.model_validate(entry.preprocess.fields()) if entry else home.preprocess,
        origin=origin | (dict(name=entry.name) if entry else {}),
        **names,
        **home.options,
    )
    return Converted(found.tensors, spec, tuple(notes))


def name_classes(classes: int | Sequence[str]) -> tuple[str, ...]:
    """The classes as named, or `class_0` and so on.

    Raises:
        UsageError: fewer than one, or the same twice.
    """
    if isinstance(classes, int) and not isinstance(classes, bool):
        named = tuple(f"class_{i}" for i in range(classes))
    else:
        named = tuple(classes) if isinstance(classes, Sequence) and not isinstance(classes, str) else ()
    if not named or len(set(named)) < len(named) or not all(isinstance(name, str) for name in named):
        raise UsageError(f"classes are a number from 1, or names that are all different, not {classes!r:.200}")
    return named


def assemble(
    tensors: Mapping[str, Tensor],
    spec: ModelSpec,
    fresh_classes: tuple[str, ...] | None = None,
    aux: bool | None = None,
) -> tuple[Inception, ModelSpec, list[str]]:
    """A network with these weights, with fresh heads for `fresh_classes`, and with or without `aux` heads.

    Returns:
        The network, its spec, and the heads that have fresh weights.
    """
    if fresh_classes is not None:
        tensors = {name: tensor for name, tensor in tensors.items() if name.startswith("trunk.")}
        past: dict[str, Any] = dict(names=(), recipe={}, metrics={}, data="")  # of the head that is gone
        spec = spec.model_copy(update=dict(classes=fresh_classes) | past)
    has_aux = (spec.aux if aux is None else aux) and bool(find_spec(spec.network).aux)
    spec = spec.model_copy(update=dict(aux=has_aux))
    with torch.device("meta"):
        keys = create(spec.network, len(spec.classes), aux=has_aux, channels=spec.channels).state_dict().keys()
    fresh = sorted({".".join(k.split(".")[: 2 if k.startswith("aux.") else 1]) for k in keys - tensors.keys()})
    net = create(
        spec.network, len(spec.classes), aux=has_aux, channels=spec.channels, initialize=bool(fresh), **spec.options
    )
    net.load_state_dict({key: tensor for key, tensor in tensors.items() if key in keys}, strict=False)
    return net.eval(), spec, fresh


def _choose(contents: Contents, source: str | None, network: str | None, notes: list[str]) -> Translation:
    found = [translate(contents, find_source(source))] if source else recognize(contents)
    if network and (same := [one for one in found if one.source.network == network]):
        found = same
    first = found[0]
    if network and first.source.network != network:
        _check_shapes(first, network)
    if len(found) > 1:
        others = ", ".join(one.source.name for one in found[1:])
        notes.append(
            f"{contents.path} is taken for {first.source.name}; its keys fit {others} too, which may differ in the "
            "preparation of pictures: choose with source=, or inception convert --from"
        )
    return first


def _check_shapes(found: Translation, network: str) -> None:
    """The weights fit another network of the same shapes, such as `inception_v3` those of `inception_v3_torch`."""
    find_spec(network)
    with torch.device("meta"):
        net = create(network, found.classes or 1, aux=found.aux).state_dict()
    top = {key: value for key, value in net.items() if found.classes or not key.startswith("classifier.")}
    if {k: v.shape for k, v in top.items()} != {k: v.shape for k, v in found.tensors.items()}:
        raise UsageError(f"the file holds weights of {found.source.network}, which do not fit {network}")


def _name(
    outputs: int | tuple[str, ...] | None,
    classes: Sequence[str] | None,
    path: Path,
    notes: list[str] | None,
    *,
    of_imagenet: bool,
) -> dict[str, Any]:
    if classes is not None:
        if isinstance(outputs, int) and outputs != len(classes):
            raise UsageError(f"{path} has {outputs} outputs, but {len(classes)} classes were named")
        return dict(classes=name_classes(classes))
    if outputs is None:
        return {}
    if not isinstance(outputs, int):
        return dict(classes=outputs)
    if of_imagenet and outputs == len(imagenet.classes()):
        return dict(classes=imagenet.classes(), names=imagenet.names())
    if notes is not None:
        notes.append(
            f"{path} does not say what its {outputs} outputs mean: they are called class_0 to class_{outputs - 1}; "
            "name them with names=, or inception convert --classes NAMES.txt"
        )
    return dict(classes=name_classes(outputs))


def _sha256(path: Path) -> str:
    if not path.is_file():  # a prefix of TensorFlow's
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

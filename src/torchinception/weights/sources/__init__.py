"""The sources of published weights, one file a library, and which of them a file is from.

A file is recognized by its keys and shapes, all of them: none may be missing and none left over. Where several sources
fit, the first in the order of `sources` is taken: one that is bound to a number of outputs is ahead of those that are
not, then torchvision, timm, Cadene, facenet-pytorch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from torchinception.errors import ModelFileError, UsageError
from torchinception.models import create, find_spec
from torchinception.weights.formats import Contents
from torchinception.weights.sources import cadene, caffe, facenet, fid, keras, slim, timm, torchvision
from torchinception.weights.sources.source import Source, Tensors

BACKGROUND_OUTPUTS = 1001  # a background class and ImageNet's 1000


@dataclass(frozen=True)
class Translation:
    """A file's weights as ours: state dict without a classifier if `classes` is None, with or without `aux` heads."""

    source: Source
    tensors: Tensors
    classes: int | None
    aux: bool


class _NoFitError(Exception):
    """Not this source's; how many keys speak against it, and some of them."""

    def __init__(self, against: int, why: str) -> None:
        super().__init__(why)
        self.against = against


@cache
def sources() -> Mapping[str, Source]:
    """Every source by name, in the order in which they are tried."""
    found = [
        *(fid.PYTORCH_FID, fid.TORCH_FIDELITY, cadene.INCEPTION_V4),
        *(torchvision.GOOGLENET, torchvision.INCEPTION_V3),
        *(timm.INCEPTION_V3, timm.INCEPTION_V4, timm.INCEPTION_RESNET_V2, timm.XCEPTION),
        *(cadene.INCEPTION_V3, cadene.BN_INCEPTION, cadene.INCEPTION_RESNET_V2, cadene.XCEPTION),
        *(facenet.FACENET, facenet.EMBEDDING),
        *(slim.INCEPTION_V1, slim.INCEPTION_V2, slim.INCEPTION_V3, slim.INCEPTION_V4, slim.INCEPTION_RESNET_V2),
        *keras.sources(),
        caffe.GOOGLENET,
    ]
    return {source.name: source for source in found}


def find_source(name: str) -> Source:
    """The source of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in sources():
        raise UsageError(f"no source named {name}; sources: {', '.join(sources())}")
    return sources()[name]


def recognize(contents: Contents) -> list[Translation]:
    """The file's weights by every source that fits, the first one first.

    Raises:
        ModelFileError: none fits; the nearest is named, with what speaks against it.
    """
    fitting, misfits = [], []
    for source in sources().values():
        if contents.format in source.formats:
            try:
                fitting.append(_translate(source, contents.tensors))
            except _NoFitError as error:
                misfits.append((error.against, source.name, str(error)))
    if not fitting:
        shown = ", ".join(sorted(contents.tensors)[:3])
        nearest = "".join(f"; nearest is {name}: {why}" for _, name, why in sorted(misfits)[:1])
        raise ModelFileError(
            f"{contents.path} ({contents.format}, {len(contents.tensors)} tensors: {shown}, …) fits no known source"
            f"{nearest}. Sources: {', '.join(sources())}"
        )
    return fitting


def translate(contents: Contents, source: Source) -> Translation:
    """The file's weights, which have to be that source's.

    Raises:
        ModelFileError: they are not; what is missing, left over or of another shape is named.
    """
    if contents.format not in source.formats:
        raise ModelFileError(
            f"{contents.path} is a file of {contents.format}; {source.name} comes in {' or '.join(source.formats)}"
        )
    try:
        return _translate(source, contents.tensors)
    except _NoFitError as error:
        raise ModelFileError(f"{contents.path} does not fit {source.name}: {error}; choose another source") from error


def _translate(source: Source, tensors: Tensors) -> Translation:
    tensors = source.tidy(tensors)
    bias = source.spell(source.layers["classifier"], "bias")
    found = tensors.get(bias) if isinstance(bias, str) else None
    outputs = found.numel() if found is not None else None
    cut = int(source.background and outputs == BACKGROUND_OUTPUTS)
    classes = outputs - cut if outputs else None
    has_aux = bool(find_spec(source.network).aux) and any(layer.startswith("aux.") for layer in source.layers)
    with torch.device("meta"):
        net = create(source.network, classes or 1, aux=has_aux)
    keys = source.keys(net)
    theirs = {key: name for key, name in keys.items() if isinstance(name, str)}
    aux = any(name in tensors for key, name in theirs.items() if key.startswith("aux."))
    top = classes is not None
    wanted = {
        key: keys[key]
        for key in keys
        if (aux or not key.startswith("aux.")) and (top or not key.startswith("classifier."))
    }
    missing = [n for k, n in wanted.items() if isinstance(n, str) and n not in tensors and not _may_lack(k)]
    extra = tensors.keys() - set(wanted.values())
    if missing or extra:
        told = [f"{what} {_some(names)}" for what, names in (("missing", missing), ("unknown", extra)) if names]
        raise _NoFitError(len(missing) + len(extra), "; ".join(told))
    if outputs == 0 or (outputs and source.outputs and outputs != source.outputs):
        raise _NoFitError(1, f"{outputs} outputs where {source.outputs or 'some'} are expected")
    shapes, state = net.state_dict(), {}
    for key, name in wanted.items():
        state[key] = value = _value(source, tensors, name, shapes[key])
        if cut and _is_of_classes(key, shapes[key], classes):
            state[key] = value = value[1:]
        if value.shape != shapes[key].shape:
            raise _NoFitError(1, f"{name} is {tuple(value.shape)}, not {tuple(shapes[key].shape)}")
    return Translation(source, {key: value.contiguous() for key, value in state.items()}, classes, aux)


def _value(source: Source, tensors: Tensors, name: str | float, shape: Tensor) -> Tensor:
    if isinstance(name, str) and name in tensors:
        value = source.ours(name, tensors[name], shape.ndim)
        return value.to(shape.dtype) if value.is_floating_point() == shape.is_floating_point() else value
    return torch.full(shape.shape, 0 if isinstance(name, str) else name, dtype=shape.dtype, device="cpu")


def _is_of_classes(key: str, shape: Tensor, classes: int | None) -> bool:
    """A parameter with a row for each class: the classifier's, and the last layer's of each auxiliary head."""
    return key.startswith(("classifier.", "aux.")) and "bn." not in key and shape.shape[0] == classes


def _may_lack(key: str) -> bool:
    return key.endswith("num_batches_tracked")  # from before PyTorch 0.4.1


def _some(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")

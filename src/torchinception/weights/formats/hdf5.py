"""Keras's `.h5`, `.weights.h5` and `.keras`: HDF5, or a zip with an HDF5 file in it.

Whatever the flavour, a tensor is named `<layer>/<variable>`: `conv2d_5/kernel`, `batch_normalization_5/moving_mean`.

- `.h5` lists layers and weights by name (`layer_names`, `weight_names`), under `model_weights` or at the root.
- Keras 3's files number a layer's variables, in a group `vars` whose attribute `name` is the layer's name; the path of
  the group holds its class: `layers/conv2d_3/vars/0`. In a `.keras` of a version that wrote no such attribute, the
  order of the layers in `config.json` tells the names. The variables of a class are in the order of `VARIABLES`; of
  three of a batch normalization the missing one is gamma, unless `config.json` says beta; of a class that is not
  listed they keep their numbers.

The state of optimizers is left out. Links other than hard ones, external and virtual data, filters beyond those of
h5py and anything but plain numbers are refused before data are read. There is no checksum of the data unless the
writer asked for one: a flipped bit of a weight goes unnoticed. libhdf5 believes the length that a file gives for a
text in an attribute: a damaged one can take up to 4 GiB for a moment, before it is refused.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchinception.errors import UsageError
from torchinception.weights.formats.limits import (
    MAX_TENSORS,
    FormatError,
    check,
    check_declared,
    checked_shape,
    checked_tensors,
)

MAGIC = b"\x89HDF\r\n\x1a\n"
FILTERS = {1, 2, 3, 32000}  # gzip, shuffle, fletcher32, lzf
MAX_DEPTH = 32
MAX_CONFIG_BYTES = 64 << 20
NORM = ("gamma", "beta", "moving_mean", "moving_variance")
VARIABLES = {
    "conv1d": ("kernel", "bias"),
    "conv2d": ("kernel", "bias"),
    "conv3d": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "depthwise_conv2d": ("kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
}


def read_hdf5(path: Path) -> dict[str, Tensor]:
    """The weights of a Keras model."""
    return _read(path, path.stat().st_size, {})


def read_keras_zip(path: Path) -> dict[str, Tensor]:
    """The weights of a `.keras`; of `config.json` only layers' classes, names and two options of batch norms."""
    with zipfile.ZipFile(path) as archive:
        held = path.stat().st_size
        weights, config = (archive.getinfo(name) for name in ("model.weights.h5", "config.json"))
        check_declared(weights.file_size, held, "weights")
        check(config.file_size <= MAX_CONFIG_BYTES, f"its config.json has {config.file_size:,} bytes")
        content = archive.read(weights)
        layers = dict(_layers(json.loads(archive.read(config)), ""))
    return _read(io.BytesIO(content), len(content), layers)


def is_keras_zip(path: Path) -> bool:
    """A zip that holds Keras's file of weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "model.weights.h5" in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _read(source: Path | io.BytesIO, held: int, layers: dict[str, dict[str, Any]]) -> dict[str, Tensor]:
    try:
        import h5py
    except ImportError:
        raise UsageError("reading Keras files needs h5py: pip install 'torchinception[keras]'") from None
    tensors: dict[object, object] = {}
    read: set[int] = set()
    with h5py.File(source, "r", **({} if isinstance(source, io.BytesIO) else {"locking": False})) as file:
        _check_all(h5py, file, held)
        root = file.get("model_weights", file)
        listed = _texts(root, "layer_names")
        for name, dataset in _numbered(file, layers) if listed is None else _listed(root, listed):
            check(name not in tensors, f"two tensors are named {name:.80}, as in a model inside a model")
            check(isinstance(dataset, h5py.Dataset), f"{name:.80} is no array")
            place = h5py.h5o.get_info(dataset.id).addr
            check(place not in read, f"{name:.80} is listed twice")  # else one array could fill the memory
            read.add(place)
            tensors[name] = _tensor(dataset)
    return checked_tensors(tensors)


def _check_all(h5py: Any, file: Any, held: int) -> None:
    """Walk over every object once, and look at all that decides how much is read and from where."""
    seen = {h5py.h5o.get_info(file.id).addr}
    declared = 0
    left = [(file, 0)]
    while left:
        group, depth = left.pop()
        check(depth <= MAX_DEPTH, f"groups nested deeper than {MAX_DEPTH}")
        for name in group:
            link = group.id.links.get_info(name.encode()).type
            check(link == h5py.h5l.TYPE_HARD, f"{name!r:.80} is a link to elsewhere")
            thing = group[name]
            place = h5py.h5o.get_info(thing.id).addr
            check(place not in seen, f"{name!r:.80} is there under two names")
            seen.add(place)
            check(len(seen) <= MAX_TENSORS, f"more than {MAX_TENSORS:,} objects")
            if isinstance(thing, h5py.Group):
                left.append((thing, depth + 1))
            else:
                check(isinstance(thing, h5py.Dataset), f"{name!r:.80} is neither group nor dataset")
                declared += _declared(h5py, thing)
                check_declared(declared, held, "arrays")


def _declared(h5py: Any, dataset: Any) -> int:
    """Bytes that reading a dataset takes; one that lies elsewhere, is packed oddly or holds no numbers is refused."""
    name, kind, plan = dataset.name, dataset.id.get_type(), dataset.id.get_create_plist()
    number = kind.get_class() in (h5py.h5t.FLOAT, h5py.h5t.INTEGER, h5py.h5t.ENUM)
    check(number and dataset.dtype.kind in "fiub", f"{name:.80} holds no plain numbers")
    check(plan.get_external_count() == 0, f"{name:.80} lies in another file")
    check(plan.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED, h5py.h5d.COMPACT), f"{name:.80} is virtual")
    filters = {plan.get_filter(number)[0] for number in range(plan.get_nfilters())}
    check(filters <= FILTERS, f"{name:.80} is packed by filters {sorted(filters)}")
    shape = checked_shape(dataset.shape or (), name[:80])
    chunk = checked_shape(dataset.chunks or (), name[:80])
    return int(max(np.prod(shape, dtype=object), np.prod(chunk, dtype=object)) * dataset.dtype.itemsize)


def _listed(root: Any, layers: list[str]) -> Iterator[tuple[str, Any]]:
    """Of the older layout: `conv2d_5` lists `conv2d_5/kernel:0`, or that with more scopes before it."""
    for layer in layers:
        group = root[layer]
        for weight in _texts(group, "weight_names") or []:
            yield f"{layer}/{weight.rsplit('/', 1)[-1].split(':')[0]}", group[weight]


def _texts(group: Any, name: str) -> list[str] | None:
    """A list in an attribute, or in several with numbered names if it is longer than 64 KiB."""
    if name in group.attrs:
        parts = [group.attrs[name]]
    elif f"{name}0" in group.attrs:
        count = next(n for n in range(MAX_TENSORS) if f"{name}{n}" not in group.attrs)
        parts = [group.attrs[f"{name}{number}"] for number in range(count)]
    else:
        return None
    texts = [text for part in parts for text in np.asarray(part).ravel().tolist()]
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]


def _numbered(file: Any, layers: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Of Keras 3's layout."""
    left = [("", file)]
    while left:
        path, group = left.pop()
        for name, thing in group.items():
            place = f"{path}/{name}".strip("/")
            if name == "vars" and len(thing):
                yield from _variables(path, thing, layers.get(path, {}))
            elif hasattr(thing, "items") and name not in ("optimizer", "vars"):
                left.append((place, thing))


def _variables(path: str, group: Any, config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    layer = group.attrs.get("name", config.get("name"))
    layer = layer.decode() if isinstance(layer, bytes) else layer
    if not isinstance(layer, str):
        raise FormatError(f"the name of layer {path:.80} is not in it, only in the model: save that as .keras or .h5")
    check(set(group) == {str(number) for number in range(len(group))}, f"the variables of {layer:.80} have gaps")
    kind, count = re.sub(r"_\d+$", "", path.rsplit("/", 1)[-1]), len(group)
    names: tuple[str, ...] = VARIABLES.get(kind, ())
    if kind == "batch_normalization":
        missing = {4: (), 3: ("beta",) if config.get("center") is False else ("gamma",), 2: NORM[:2]}.get(count, NORM)
        names = tuple(name for name in NORM if name not in missing)
    elif not names:
        names = tuple(str(number) for number in range(count))
    check(count <= len(names), f"layer {layer:.80} has {count} variables, not {', '.join(names)}")
    for number, name in enumerate(names[:count]):
        yield f"{layer}/{name}", group[str(number)]


def _layers(config: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The paths that Keras gives to layers: class by class, numbered in the order of the model."""
    counts: dict[str, int] = {}
    inner = config.get("config") if isinstance(config, dict) else None
    check(isinstance(inner, dict) and path.count("/") <= MAX_DEPTH, "its config.json is not that of a Keras model")
    assert isinstance(inner, dict)
    for layer in inner.get("layers") or []:
        kind = _snake_case(str(layer["class_name"]))
        number = counts[kind] = counts.get(kind, -1) + 1
        place = f"{path}/layers/{kind}{f'_{number}' if number else ''}".strip("/")
        yield place, dict(layer["config"])
        if "layers" in layer["config"]:
            yield from _layers(layer, place)


def _snake_case(name: str) -> str:
    """Keras's spelling of a class.

    >>> _snake_case("SeparableConv2D")
    'separable_conv2d'
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _tensor(dataset: Any) -> Tensor:
    array = np.asarray(dataset[()])
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))

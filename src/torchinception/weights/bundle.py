"""`model.safetensors`: tensors, and in the header all that decides an answer, each under a SHA-256."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.errors import MissingInputError, ModelFileError, UsageError
from torchinception.files import write_atomically
from torchinception.models import Inception, Options, create
from torchinception.network import some_options


class ModelSpec(BaseModel):
    """The header of a model file: the network and its options, classes in the order of the outputs, preprocessing.

    `classes` are unique; `names`, where given, are what people call them, and may repeat (ImageNet's two cranes).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    network: str
    classes: tuple[str, ...] = Field(min_length=1)
    names: tuple[str, ...] = ()
    channels: int = 3
    aux: bool = False
    bn_eps: float | None = None
    bn_momentum: float | None = None
    dropout: float | None = None
    preprocess: Preprocess
    recipe: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    versions: dict[str, str] = {}
    data: str = ""  # fingerprint of the folder it was trained on
    origin: dict[str, str] = {}  # of another library's file: its name, SHA-256, source, name in the catalogue

    @property
    def options(self) -> Options:
        """What `create` is asked for besides what is published."""
        return some_options(self)

    @model_validator(mode="after")
    def _a_name_a_class(self) -> Self:
        if len(set(self.classes)) < len(self.classes) or len(self.names) not in (0, len(self.classes)):
            raise ValueError("classes must be unique, and names as many as classes, or none")
        return self


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over every tensor's name, type, shape and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_model(path: str | Path, net: Inception, spec: ModelSpec) -> None:
    """Write a model file; it appears whole or not at all.

    Raises:
        UsageError: the spec is not the network's, which would give other answers; or a weight is not finite.
        SaveError: it could not be written; an older file at `path` is untouched.
    """
    told = (spec.network, len(spec.classes), bool(spec.aux), spec.options, spec.channels)
    found = (net.name, net.classifier.out_features, len(net.aux) > 0, net.options, net.channels)
    if told != found:
        raise UsageError(f"network, classes, aux, options, channels are {told} in the spec but {found} in the network")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    for name in not_finite(tensors):
        raise UsageError(f"{name} of {net.name} is not finite; nothing was written to {path}")
    text = spec.model_dump_json()
    header = dict(spec=text, spec_sha256=_sha256(text), tensors_sha256=tensors_sha256(tensors))
    write_atomically(path, save(tensors, header))


def is_model_file(path: Path) -> bool:
    """Whether it looks like one of ours: `load_model` says what is wrong with it then."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            return b'"spec_sha256"' in file.read(min(length, 1 << 20))
    except OSError:
        return False


def load_model(path: str | Path) -> tuple[Inception, ModelSpec]:
    """Read and verify a model file; only tensors and JSON are read, no code runs.

    Raises:
        MissingInputError: no such file.
        ModelFileError: damaged, not a model file of this project, or from a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"no model file at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{path} is damaged or no model file ({error}); copy or train it again") from error
    if "spec" not in header:
        raise ModelFileError(f"{path} is a safetensors file but not one of torchinception's: its header has no spec")
    text = header["spec"]
    if header.get("spec_sha256") != _sha256(text) or header.get("tensors_sha256") != tensors_sha256(tensors):
        raise ModelFileError(f"{path} is damaged: its SHA-256 differs from the recorded one; copy or train it again")
    try:
        fields = json.loads(text)
        if isinstance(fields, dict) and isinstance(fields.get("format"), int) and fields["format"] > 1:
            raise ModelFileError(f"{path} was written by a newer version; upgrade torchinception to read it")
        spec = ModelSpec.model_validate_json(text)
        net = create(
            spec.network, len(spec.classes), aux=spec.aux, channels=spec.channels, initialize=False, **spec.options
        )
        net.load_state_dict(tensors)
    except (ValueError, UsageError, RuntimeError) as error:
        raise ModelFileError(f"{path} does not fit this version: {error}") from error
    for name in not_finite(tensors):
        raise ModelFileError(f"{path} holds {name}, which is not finite; take an earlier file, or train it again")
    return net.eval(), spec


def not_finite(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """The names of tensors in which an infinity or no number stands."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel() and not all(map(torch.isfinite, tensor.aminmax())):
            yield name


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""`model.safetensors`: tensors, and in the header all that decides an answer, each under a SHA-256."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.errors import MissingInputError, ModelFileError, UsageError
from torchinception.files import write_atomically
from torchinception.models import Inception, create


class ModelSpec(BaseModel):
    """The header of a model file: the network and its options, classes in the order of the outputs, preprocessing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    network: str
    classes: tuple[str, ...] = Field(min_length=1)
    channels: int = 3
    aux: bool = False
    bn_eps: float | None = None
    preprocess: Preprocess
    recipe: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    versions: dict[str, str] = {}
    data: str = ""  # fingerprint of the folder it was trained on


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
        UsageError: the spec is not the network's; the file would give other answers.
        SaveError: it could not be written; an older file at `path` is untouched.
    """
    told = (spec.network, len(spec.classes), bool(spec.aux), spec.bn_eps, spec.channels)
    found = (net.name, net.classifier.out_features, len(net.aux) > 0, net.bn_eps, net.channels)
    if told != found:
        raise UsageError(f"network, classes, aux, bn_eps, channels are {told} in the spec but {found} in the network")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    text = spec.model_dump_json()
    header = dict(spec=text, spec_sha256=_sha256(text), tensors_sha256=tensors_sha256(tensors))
    write_atomically(path, save(tensors, header))


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
            spec.network, len(spec.classes), aux=spec.aux, channels=spec.channels, bn_eps=spec.bn_eps, initialize=False
        )
        net.load_state_dict(tensors)
    except (ValueError, UsageError, RuntimeError) as error:
        raise ModelFileError(f"{path} does not fit this version: {error}") from error
    return net.eval(), spec


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""The published checkpoints by name (`catalogue.toml`): where each is, how it is checked, how it was published."""

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from torchinception.errors import UsageError

Source = Literal[
    "torchvision_googlenet",
    "torchvision_inception_v3",
    "timm_inception_v3",
    "timm_inception_v4",
    "timm_inception_resnet_v2",
    "timm_xception",
    "cadene_bn_inception",
    "cadene_inception_v3",
    "cadene_inception_v4",
    "cadene_inception_resnet_v2",
    "cadene_xception",
    "slim_inception_v1",
    "slim_inception_v2",
    "slim_inception_v3",
    "slim_inception_v4",
    "slim_inception_resnet_v2",
    "keras_inception_v3",
    "keras_inception_resnet_v2",
    "keras_xception",
    "facenet",
    "caffe_googlenet",
    "pytorch_fid",
    "torch_fidelity",
]
Classes = Literal["imagenet", "fid-1008", "vggface2-8631", "casia-webface-10575"]
Percent = Annotated[float, Field(ge=0, le=100)]
Text = Annotated[str, Field(min_length=1)]


class PublishedPreprocess(BaseModel):
    """What a picture went through before a published network saw it; give `resize_px` or `crop`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: PositiveInt
    resize: Literal["shorter side", "stretch"] = "shorter side"
    resize_px: PositiveInt | None = None  # the side that is resized to, before the middle is cut out
    crop: float | None = Field(None, gt=0, le=1)  # or the middle fraction that is kept
    interpolation: Literal["bilinear", "bicubic", "bilinear_tf1", "bilinear_torch"]
    scale_255: bool = False  # mean and std are grey levels of 0 to 255
    mean: tuple[float, float, float]  # R, G, B
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]

    @model_validator(mode="after")
    def _has_one_crop(self) -> Self:
        if (self.resize_px is None) == (self.crop is None):
            raise ValueError("give one of resize_px and crop")
        if self.resize_px is not None and self.resize_px < self.size:
            raise ValueError(f"resize_px {self.resize_px} is below the size {self.size} that is cut out of it")
        return self

    def fields(self) -> dict[str, object]:
        """The arguments of `torchinception.data.transforms.Preprocess`: crop as a fraction, values of 0 to 1."""
        scale = 255 if self.scale_255 else 1
        return dict(
            size=self.size,
            resize=self.resize,
            crop=self.size / self.resize_px if self.resize_px else self.crop,
            interpolation=self.interpolation,
            mean=tuple(value / scale for value in self.mean),
            std=tuple(value / scale for value in self.std),
        )


class Entry(BaseModel):
    """One published checkpoint; every value is its source's own, and says where it stands.

    `url` or `hub` (a Hugging Face repository) is where `file` is. `digest` is what the source publishes of the file,
    `sha256:` (or a beginning of it), `sha1:` or `md5:`. `network` is ours, `source` the name of the converter.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")
    network: Text
    source: Source
    url: str | None = Field(None, pattern="^https://")
    hub: str | None = Field(None, pattern="^[^/]+/[^/]+$")
    url_source: Text
    file: str = Field(pattern=r"^[\w.-]+$")
    size_bytes: PositiveInt | None = None
    size_mb: PositiveFloat | None = None  # as published, rounded
    digest: str | None = Field(None, pattern="^(sha256:[0-9a-f]{8,64}|sha1:[0-9a-f]{40}|md5:[0-9a-f]{32})$")
    digest_source: Text | None = None
    licence: Text
    licence_source: Text
    classes: Classes
    preprocess: PublishedPreprocess
    top1: Percent | None = None
    top5: Percent | None = None
    accuracy_source: Text | None = None
    differs: tuple[Text, ...] = Field(min_length=1)

    @property
    def address(self) -> str:
        """Where a browser would get the file."""
        return self.url or f"https://huggingface.co/{self.hub}/resolve/main/{self.file}"

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.url is None) == (self.hub is None):
            raise ValueError("give one of url and hub")
        if (self.digest is None) != (self.digest_source is None):
            raise ValueError("digest and digest_source belong together")
        if not (self.top1 is None) == (self.top5 is None) == (self.accuracy_source is None):
            raise ValueError("top1, top5 and accuracy_source belong together")
        return self


@cache
def entries() -> Mapping[str, Entry]:
    """Every published checkpoint by name, in the catalogue's order."""
    rows = tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text("utf-8"))
    return {name: Entry(name=name, **row) for name, row in rows.items()}


def find_entry(name: str) -> Entry:
    """The checkpoint of that name.

    Raises:
        UsageError: there is none; the nearest is named.
    """
    known = entries()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"no published weights named {name}; {hint}weights: {', '.join(known)}")

"""The catalogue against what the sources publish: a frozen copy, and their installed code itself."""

import json
import math
import re
from email.parser import Parser
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from torchinception.errors import UsageError
from torchinception.models import NETWORKS
from torchinception.weights.catalogue import Entry, PublishedPreprocess, entries, find_entry

PUBLISHED = json.loads((Path(__file__).parent / "published_weights.json").read_text())
FIELDS = {"size", "resize", "crop", "interpolation", "mean", "std"}
TIMM = [name for name, entry in entries().items() if entry.source.startswith("timm")]
CADENE = {
    "bn_inception.cadene_in1k": "bninception",
    "inception_v3.cadene_in1k": "inceptionv3",
    "inception_v4.cadene_in1k": "inceptionv4",
    "inception_resnet_v2.cadene_in1k": "inceptionresnetv2",
    "xception.cadene_in1k": "xception",
}
TORCHVISION = {
    "googlenet.torchvision_in1k": "GoogLeNet_Weights",
    "inception_v3.torchvision_in1k": "Inception_V3_Weights",
}
KERAS = {
    "inception_v3.keras_in1k": "inception_v3",
    "inception_resnet_v2.keras_in1k": "inception_resnet_v2",
    "xception.keras_in1k": "xception",
}


def source_text(module: str) -> str:
    """A module's text without importing it (Keras wants a backend, pytorch-fid wants scipy)."""
    package, *rest = module.split(".")
    spec = find_spec(package)
    assert spec, f"{package} is part of the extra dev; make test installs it"
    assert spec.origin
    return Path(spec.origin).parent.joinpath(*rest).with_suffix(".py").read_text("utf-8")


def test_the_catalogue_has_every_published_checkpoint_and_no_other() -> None:
    assert set(entries()) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_accuracies_files_and_digests_are_the_published_ones(name: str) -> None:
    entry, published = entries()[name], PUBLISHED[name]
    assert (entry.top1, entry.top5) == (published.get("top1"), published.get("top5"))
    assert entry.file == published.get("file", "model.safetensors")
    for algorithm in ("md5", "sha1"):
        if algorithm in published:
            assert entry.digest == f"{algorithm}:{published[algorithm]}"
    named = re.search(r"-([0-9a-f]{8,9})\.pth$", entry.file)
    if named:  # torch.hub's convention: the file's name ends in the beginning of its SHA-256
        assert entry.digest == f"sha256:{named[1]}"


@pytest.mark.parametrize("name", entries())
def test_every_entry_is_of_a_network_of_ours_and_gives_the_fields_of_a_preprocess(name: str) -> None:
    entry = entries()[name]
    assert entry.network in NETWORKS
    if entry.classes == "imagenet":
        assert NETWORKS[entry.network].classes == 1000
    fields = entry.preprocess.fields()
    assert set(fields) == FIELDS
    crop, size = fields["crop"], entry.preprocess.size
    assert isinstance(crop, float)
    if entry.preprocess.resize_px:
        assert round(size / crop) == entry.preprocess.resize_px
    assert size >= NETWORKS[entry.network].min_size


def test_urls_end_in_the_name_of_the_file() -> None:
    assert {name for name, e in entries().items() if e.url and not e.url.endswith(f"/{e.file}")} == set()


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_s_entries_are_those_of_the_installed_torchvision(name: str) -> None:
    import torchvision.models

    entry, theirs = entries()[name], getattr(torchvision.models, TORCHVISION[name]).IMAGENET1K_V1
    transform = theirs.transforms()
    assert entry.url == theirs.url
    assert entry.size_mb == theirs.meta["_file_size"]
    assert (entry.top1, entry.top5) == tuple(theirs.meta["_metrics"]["ImageNet-1K"].values())
    assert transform.crop_size == [entry.preprocess.size]
    assert transform.resize_size == [entry.preprocess.resize_px]
    assert transform.interpolation.value == entry.preprocess.interpolation
    # what its model then does to the picture: transform_input, which its loader turns on
    module = torchvision.models.Inception3 if "v3" in name else torchvision.models.GoogLeNet
    picture = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (transform.mean, transform.std))
    stand_in: Any = type("Model", (), {"transform_input": True})()
    theirs_in = module._transform_input(stand_in, (picture - mean) / std)
    ours = ours_normalized(entry, picture)
    torch.testing.assert_close(ours, theirs_in, rtol=0, atol=1e-14)  # the same in exact numbers; float64 rounds


def ours_normalized(entry: Entry, picture: torch.Tensor) -> torch.Tensor:
    fields: dict[str, Any] = entry.preprocess.fields()
    mean, std = (torch.tensor(fields[key], dtype=torch.float64).view(3, 1, 1) for key in ("mean", "std"))
    return (picture - mean) / std


@pytest.mark.parametrize("name", TIMM)
def test_timm_s_entries_are_those_of_the_installed_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    entry, theirs = entries()[name], timm.get_pretrained_cfg(name)
    assert (entry.hub, entry.url) == (theirs.hf_hub_id, None) if entry.hub else entry.url == theirs.url
    assert entry.licence.lower() == theirs.license
    ours = entry.preprocess
    assert (3, ours.size, ours.size) == theirs.input_size
    assert ours.resize_px == math.floor(ours.size / theirs.crop_pct)  # timm.data.transforms_factory
    assert (ours.interpolation, ours.mean, ours.std) == (theirs.interpolation, theirs.mean, theirs.std)
    assert (theirs.num_classes, theirs.label_offset or 0) == (1000, 0)


@pytest.mark.parametrize("name", CADENE)
def test_cadene_s_entries_are_those_of_the_installed_pretrainedmodels(name: str) -> None:
    settings = pytest.importorskip("pretrainedmodels").pretrained_settings[CADENE[name]]["imagenet"]
    entry, ours = entries()[name], entries()[name].preprocess
    assert (entry.url or "").removeprefix("https") == settings["url"].removeprefix("https").removeprefix("http")
    assert settings["input_size"] == [3, ours.size, ours.size]
    assert ours.resize_px == math.floor(ours.size / settings.get("scale", 0.875))  # utils.TransformImage
    reverse = settings["input_space"] == "BGR"  # TransformImage turns the channels first, then takes the mean away
    assert list(ours.mean) == settings["mean"][:: -1 if reverse else 1]
    assert list(ours.std) == settings["std"]
    assert ours.scale_255 == (settings["input_range"] == [0, 255])


@pytest.mark.parametrize("name", CADENE)
def test_cadene_s_accuracies_are_those_of_its_readme(name: str) -> None:
    pytest.importorskip("pretrainedmodels")
    readme = Parser().parsestr(str(metadata("pretrainedmodels"))).get_payload()
    label = {"bninception": "BNInception", "inceptionv3": "InceptionV3", "inceptionv4": "InceptionV4"}
    title = label.get(CADENE[name], {"xception": "Xception"}.get(CADENE[name], "InceptionResNetV2"))
    rows = [row.split(" | ") for row in str(readme).splitlines() if row.startswith(f"[{title}](") and " | " in row]
    entry = entries()[name]
    assert (entry.top1, entry.top5) in [(float(row[2]), float(row[3])) for row in rows]


@pytest.mark.parametrize("name", KERAS)
def test_keras_s_entries_are_those_of_the_installed_keras(name: str) -> None:
    entry = entries()[name]
    text = re.sub(r'"\s+"', "", source_text(f"keras.src.applications.{KERAS[name]}"))  # joins broken strings
    assert entry.url
    assert entry.url.rsplit("/", 1)[0] in text
    assert entry.file in text
    assert (entry.digest or "").removeprefix("md5:") in text
    assert 'mode="tf"' in text  # x / 127.5 - 1
    assert entry.preprocess.fields()["mean"] == entry.preprocess.fields()["std"] == (0.5, 0.5, 0.5)


def test_pytorch_fid_s_entry_is_that_of_the_installed_pytorch_fid() -> None:
    text = source_text("pytorch_fid.inception")
    assert f"'{entries()['inception_v3.pytorch_fid'].url}'" in text
    assert "size=(299, 299)" in text
    assert "x = 2 * x - 1" in text


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("inception_v3.torch_fidelity", lambda grey: (grey - 128) / 128),
        ("inception_resnet_v1.facenet_vggface2", lambda grey: (grey - 127.5) / 128),
        ("googlenet.caffe_in1k", lambda grey: grey - torch.tensor([123.0, 117, 104]).double().view(3, 1, 1)),
        ("bn_inception.cadene_in1k", lambda grey: grey - torch.tensor([128.0, 117, 104]).double().view(3, 1, 1)),
    ],
)
def test_grey_levels_become_what_the_source_s_own_formula_says(name: str, published: Any) -> None:
    grey = torch.arange(256, dtype=torch.float64).expand(3, 1, 256)
    ours = ours_normalized(entries()[name], grey / 255)
    torch.testing.assert_close(ours, published(grey), rtol=0, atol=1e-12)  # float64 rounds values up to 255


def test_unknown_fields_and_half_told_crops_are_refused() -> None:
    row = entries()["inception_v4.tf_in1k"].model_dump()
    with pytest.raises(ValidationError, match="extra"):
        Entry(**row, mirror="https://example.org")
    with pytest.raises(ValidationError, match="one of url and hub"):
        Entry(**row | dict(url="https://example.org/model.safetensors"))
    with pytest.raises(ValidationError, match="pattern"):
        Entry(**row | dict(digest="sha256:xyz", digest_source="nowhere"))
    with pytest.raises(ValidationError, match="one of resize_px and crop"):
        PublishedPreprocess(**row["preprocess"] | dict(crop=0.875))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    assert find_entry("inception_v3.tf_in1k").hub == "timm/inception_v3.tf_in1k"
    with pytest.raises(UsageError, match=r"no published weights named inception_v3.tf_in2k; did you mean inception_v3"):
        find_entry("inception_v3.tf_in2k")


def test_the_page_tells_of_every_checkpoint_and_its_traps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "tools"))
    from weights_page import catalogue_page  # type: ignore[import-not-found]

    page = catalogue_page()
    for name, entry in entries().items():
        assert f"| [`{name}`](#{name.replace('.', '')}) | `{entry.network}` |" in page
        own = page.split(f"## {name}\n")[1].split("\n## ")[0]
        assert entry.address in own
        assert entry.licence in own
        assert all(f"- {trap}\n" in own for trap in entry.differs)
        assert entry.top1 is None or f"{entry.top1:g} / " in own

"""`load` and `inception convert` on other libraries' files: what is taken from where, and what is said of it."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import googlenet, inception_v3

from torchinception.classifier import Classifier, load
from torchinception.errors import MissingInputError, ModelFileError, UsageError
from torchinception.weights import imagenet
from torchinception.weights.formats import Contents
from torchinception.weights.sources import recognize, sources, translate

BARE = dict(weights=None, init_weights=False, transform_input=False)


def state(peer: Any, classes: int = 1000, *, aux: bool = True) -> dict[str, Tensor]:
    """Random weights of one of torchvision's networks."""
    with torch.device("meta"):
        shapes = peer(num_classes=classes, aux_logits=aux, **BARE).state_dict()
    torch.manual_seed(0)
    return {k: torch.rand(v.shape) if v.is_floating_point() else torch.tensor(7) for k, v in shapes.items()}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "googlenet.pth"
    torch.save(state(googlenet), path)
    return path


@pytest.fixture(scope="module")
def v3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "v3.pth"
    torch.save(state(inception_v3, aux=False), path)
    return path


def test_a_thousand_outputs_are_imagenets_and_everything_else_is_the_sources(file: Path) -> None:
    model = load(file)
    assert (model.classes, model.names) == (imagenet.classes(), imagenet.names())
    assert (model.spec.network, model.spec.aux, model.preprocess) == (
        "googlenet_torch",
        True,
        sources()["torchvision_googlenet"].preprocess,
    )
    assert (model.spec.origin["file"], model.spec.origin["source"]) == ("googlenet.pth", "torchvision_googlenet")
    assert torch.equal(model.network.classifier.weight, state(googlenet)["fc.weight"])


def test_what_was_loaded_is_saved_and_loaded_to_the_bit(file: Path, tmp_path: Path) -> None:
    model = load(file)
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    before, after = model.network.state_dict(), again.network.state_dict()
    assert again.spec == model.spec
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_where_several_sources_fit_the_first_is_taken_and_the_others_are_named(v3: Path) -> None:
    with pytest.warns(UserWarning, match=r"for torchvision_inception_v3; .* timm_inception_v3, cadene"):
        model = load(v3)
    assert model.spec.network == "inception_v3_torch"
    assert model.preprocess == sources()["torchvision_inception_v3"].preprocess
    assert model.network.dropout.p == 0.5  # torchvision's


def test_a_source_that_is_named_decides_in_silence(v3: Path) -> None:
    model = load(v3, source="timm_inception_v3")
    assert model.preprocess.interpolation == "bicubic"
    assert model.network.dropout.p == 0


def test_weights_can_be_put_into_a_network_of_the_same_shapes(v3: Path) -> None:
    assert load(v3, source="timm_inception_v3", network="inception_v3").network.name == "inception_v3"
    with pytest.raises(UsageError, match="do not fit xception"):
        load(v3, source="timm_inception_v3", network="xception")


@pytest.mark.parametrize("aux", [None, True, False])
@pytest.mark.parametrize("classes", [5, ("a", "b", "c")])
def test_other_classes_keep_the_trunk_and_get_a_fresh_head_whatever_aux_is(file: Path, classes: Any, aux: bool) -> None:
    model = load(file, classes=classes, aux=aux)  # pytorch/vision#480, #3648: there these raise
    count = classes if isinstance(classes, int) else len(classes)
    assert model.classes == (tuple(f"class_{i}" for i in range(5)) if count == 5 else classes)
    assert torch.equal(model.network.trunk.conv_1.conv.weight, state(googlenet)["conv1.conv.weight"])
    assert model.network.classifier.out_features == count
    assert 0 < model.network.classifier.weight.detach().abs().max() < 1  # initialized, not left as it was in memory
    assert len(model.network.aux) == (0 if aux is False else 2)


def test_heads_that_the_file_lacks_are_fresh_and_that_is_said(v3: Path) -> None:
    with pytest.warns(UserWarning, match=r"no aux\.mixed_6e: its weights are fresh"):
        model = load(v3, source="timm_inception_v3", aux=True)
    assert all(torch.isfinite(tensor).all() for tensor in model.network.aux.state_dict().values())


def test_outputs_without_names_are_numbered_with_a_warning(tmp_path: Path) -> None:
    torch.save(state(googlenet, 7, aux=False), tmp_path / "x.pth")
    with pytest.warns(UserWarning, match="7 outputs mean: they are called class_0 to class_6; .* names="):
        assert load(tmp_path / "x.pth").classes[6] == "class_6"
    assert load(tmp_path / "x.pth", names=list("abcdefg")).classes == tuple("abcdefg")
    with pytest.raises(UsageError, match="has 7 outputs, but 2 classes were named"):
        load(tmp_path / "x.pth", names=["a", "b"])


def test_a_file_without_a_classifier_needs_classes(tmp_path: Path) -> None:
    tensors = {key: value for key, value in state(googlenet, aux=False).items() if not key.startswith("fc.")}
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match=r"no classifier, only features; .* give classes=N"):
        load(tmp_path / "x.safetensors")
    assert load(tmp_path / "x.safetensors", classes=3).network.classifier.out_features == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (dict(extra=torch.ones(1)), "nearest is torchvision_googlenet: unknown extra"),
        ({"fc.weight": None}, r"missing fc\.weight"),
        ({"conv3.conv.weight": torch.ones(2, 2)}, r"conv3\.conv\.weight is \(2, 2\), not \(192, 64, 3, 3\)"),
        ({"fc.bias": torch.full((1000,), torch.nan)}, r"classifier\.bias is not finite"),
    ],
    ids=["extra", "missing", "shape", "nan"],
)
def test_a_key_too_many_or_too_few_or_of_another_shape_is_named(tmp_path: Path, change: Any, told: str) -> None:
    tensors = {key: value for key, value in (state(googlenet) | change).items() if value is not None}
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(ModelFileError, match=told):
        load(tmp_path / "x.pth")


def test_a_classifier_under_both_of_cadenes_names_fits_nothing(tmp_path: Path) -> None:
    tensors = state(inception_v3)
    tensors |= {f"last_linear.{part}": tensors[f"fc.{part}"] + 1 for part in ("weight", "bias")}
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(ModelFileError, match=r"last_linear\.bias"):
        load(tmp_path / "x.pth", source="cadene_inception_v3")


def test_what_fits_nothing_is_told_with_the_sources(tmp_path: Path) -> None:
    torch.save(dict(weight=torch.ones(3)), tmp_path / "x.pth")
    with pytest.raises(ModelFileError, match=r"1 tensors: weight, .* fits no known source.*Sources: pytorch_fid"):
        load(tmp_path / "x.pth")


@pytest.mark.parametrize("count", [0, -1, [], ["a", "a"], "ab", 2.5, True, [1, 2]])
def test_classes_that_cannot_be_are_refused(file: Path, count: Any) -> None:
    with pytest.raises(UsageError, match="classes are a number from 1"):
        load(file, classes=count)


def test_a_wrong_source_is_refused(file: Path, v3: Path) -> None:
    with pytest.raises(UsageError, match="no source named x; sources: pytorch_fid"):
        load(file, source="x")
    with pytest.raises(ModelFileError, match="does not fit timm_inception_v3: missing"):
        load(file, source="timm_inception_v3")
    with pytest.raises(ModelFileError, match="a file of torch; keras_xception comes in hdf5"):
        load(file, source="keras_xception")


def test_a_name_that_is_neither_a_file_nor_published_is_refused_with_the_nearest() -> None:
    with pytest.raises(MissingInputError, match=r"did you mean inception_v3\.tf_in1k\?"):
        load("inception_v3.tf_in1")


def test_published_weights_that_cannot_be_downloaded_say_how_to_get_them() -> None:
    with pytest.raises(MissingInputError, match=r"https://download\.pytorch\.org/models/googlenet-1378be20\.pth"):
        load("googlenet.torchvision_in1k", offline=True)


def test_a_model_file_needs_no_source(tmp_path: Path, file: Path) -> None:
    load(file, classes=2, aux=False).save(tmp_path / "m")
    with pytest.raises(UsageError, match="holds its network and classes itself"):
        load(tmp_path / "m", source="torchvision_googlenet")
    assert load(tmp_path / "m", classes=3).network.classifier.out_features == 3


@pytest.mark.parametrize("name", list(sources()))
def test_every_source_names_each_of_our_layers_once_and_no_key_twice(name: str) -> None:
    from torchinception.models import create, find_spec

    source = sources()[name]
    has_aux = bool(find_spec(source.network).aux) and any(layer.startswith("aux.") for layer in source.layers)
    with torch.device("meta"):
        keys = source.keys(create(source.network, aux=has_aux))
    named = [key for key in keys.values() if isinstance(key, str)]
    assert len(set(named)) == len(named)
    assert set(keys.values()) - set(named) <= {0.0, 1.0}  # no batches counted, no gamma


@pytest.mark.parametrize("source", ["slim_inception_v1", "keras_xception", "caffe_googlenet"])
def test_a_file_of_one_kind_is_never_taken_for_another(file: Path, source: str) -> None:
    tensors = state(googlenet)
    kind = sources()[source].formats[0]
    with pytest.raises(ModelFileError):
        translate(Contents(file, kind, tensors), sources()[source])
    with pytest.raises(ModelFileError):
        recognize(Contents(file, kind, tensors))


def test_the_command_converts_and_says_what_it_took(inception: Any, file: Path, tmp_path: Path) -> None:
    result = inception("convert", str(file), "m.safetensors", cwd=tmp_path)
    assert result.code == 0
    taken = "1000 classes (taken for ImageNet's; others: --classes), with auxiliary heads"
    assert f"googlenet_torch from torchvision_googlenet, {taken}" in result.out
    assert result.err == ""
    assert load(tmp_path / "m.safetensors").names == imagenet.names()


def test_a_folder_is_no_place_to_write_to(inception: Any, file: Path, tmp_path: Path) -> None:
    result = inception("convert", str(file), tmp_path, "--to", "torchvision")
    assert (result.code, "Is a directory; choose another name" in result.err) == (74, True)


def test_a_thousand_identities_are_not_imagenets_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(InceptionResnetV1(classify=True, num_classes=1000).state_dict(), tmp_path / "faces.pt")
    with pytest.warns(UserWarning, match="called class_0 to class_999"):
        assert load(tmp_path / "faces.pt", source="facenet").classes[999] == "class_999"


def test_nothing_is_downloaded_behind_offline(inception: Any, tmp_path: Path) -> None:
    result = inception("convert", "inception_v4.tf_in1k", tmp_path / "out.pth", "--offline")
    assert (result.code, "this is offline (--offline, or TORCHINCEPTION_OFFLINE" in result.err) == (66, True), (
        result.err
    )


def test_the_command_exports_what_it_converted(inception: Any, file: Path, tmp_path: Path) -> None:
    result = inception("convert", str(file), "out.pth", "--to", "torchvision", cwd=tmp_path)
    assert result.code == 0
    there, before = torch.load(tmp_path / "out.pth", weights_only=True), state(googlenet)
    assert there.keys() == before.keys()
    assert all(torch.equal(there[key], before[key]) for key in before)


def test_the_commands_class_names_are_taken_in_order(inception: Any, tmp_path: Path) -> None:
    torch.save(state(googlenet, 3, aux=False), tmp_path / "x.pth")
    (tmp_path / "names.txt").write_text("rose\n\ntulip\nlily\n", "utf-8")
    result = inception("convert", "x.pth", "m.safetensors", "--classes", "names.txt", cwd=tmp_path)
    assert result.code == 0
    assert load(tmp_path / "m.safetensors").classes == ("rose", "tulip", "lily")
    (tmp_path / "names.txt").write_text("rose\n", "utf-8")
    result = inception("convert", "x.pth", "m.safetensors", "--classes", "names.txt", cwd=tmp_path)
    assert (result.code, "has 3 outputs, but 1 classes were named" in result.err) == (2, True)


def test_the_commands_warning_is_a_note(inception: Any, v3: Path, tmp_path: Path) -> None:
    result = inception("convert", str(v3), "m.safetensors", cwd=tmp_path)
    assert result.code == 0
    assert "note: " in result.err
    assert "timm_inception_v3" in result.err


def test_the_list_of_weights_has_the_published_figures(inception: Any, tmp_path: Path) -> None:
    result = inception("models", "--weights", cwd=tmp_path)
    line = next(line for line in result.out.splitlines() if line.startswith("inception_v3.gluon_in1k"))
    assert result.code == 0
    assert ("78.81" in line, "94.37" in line) == (True, True)


def test_loading_warns_of_nothing_else(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(file)


def test_a_fresh_head_has_none_of_the_old_ones_record(file: Path, tmp_path: Path) -> None:
    old = load(file, aux=False)
    spec = old.spec.model_copy(update=dict(metrics={"top1": 0.9}, data="f" * 64, recipe={"epochs": 3}))
    Classifier(old.network, spec).save(tmp_path / "m")
    found = load(tmp_path / "m", classes=["a", "b"]).spec
    assert (found.metrics, found.data, found.recipe, found.names) == ({}, "", {}, ())
    assert found.origin == old.spec.origin
    assert load(tmp_path / "m", classes=old.classes).spec == spec  # the same classes keep their head


def test_a_whole_pickled_model_is_told_what_to_save(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "whole.pth")
    with pytest.raises(ModelFileError, match=r"save model\.state_dict\(\) in its place"):
        load(tmp_path / "whole.pth")


def test_settings_that_contradict_each_other_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        load(file, classes=2, names=["a", "b"])
    with pytest.raises(UsageError, match="whose source is known"):
        load("inception_v4.tf_in1k", source="keras_xception", offline=True)
    with pytest.raises(MissingInputError, match=r"without model\.safetensors, so no run"):
        load(tmp_path)


def test_a_foreign_file_with_a_key_like_spec_is_not_taken_for_ours(tmp_path: Path) -> None:
    save_file({"spectral.weight": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match="fits no known source"):
        load(tmp_path / "x.safetensors")

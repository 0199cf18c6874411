import hashlib
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

import pytest
import torch
from data_fixtures import full_disk, tiny_classifier
from safetensors.torch import load_file, save_file

from torchinception.classifier import load
from torchinception.data.transforms import Preprocess
from torchinception.errors import MissingInputError, ModelFileError, SaveError, UsageError
from torchinception.models import NETWORKS, create
from torchinception.weights.bundle import ModelSpec, load_model, save_model, tensors_sha256

SMALL = Preprocess(size=28)
HEADS = [*((name, bool(spec.aux)) for name, spec in NETWORKS.items()), ("googlenet", False)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    tiny_classifier("a", "b", "c").save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, good: bytes) -> Path:
    (tmp_path / "model.safetensors").write_bytes(good)
    return tmp_path / "model.safetensors"


def header_bytes(content: bytes) -> int:
    return 8 + int.from_bytes(content[:8], "little")


def sign(path: Path, spec: str, **tensors: torch.Tensor) -> None:
    """Replace the spec (and tensors) by others, with digests that are right."""
    found = load_file(path) | tensors
    digest = hashlib.sha256(spec.encode()).hexdigest()
    save_file(found, path, dict(spec=spec, spec_sha256=digest, tensors_sha256=tensors_sha256(found)))


def changed(path: Path, **changes: Any) -> str:
    """The spec in the file, with changes."""
    return json.dumps(load_model(path)[1].model_dump(mode="json") | changes)


@pytest.mark.parametrize(("name", "aux"), HEADS)
def test_every_network_comes_back_bit_for_bit(tmp_path: Path, name: str, aux: bool) -> None:
    net = create(name, classes=3, aux=aux, initialize=False)
    for number, tensor in enumerate(net.state_dict().values()):
        tensor.fill_(number)
    save_model(tmp_path / "m", net, ModelSpec(network=name, classes=("a", "b", "c"), aux=aux, preprocess=SMALL))
    before, after = net.state_dict(), load_model(tmp_path / "m")[0].state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) and after[key].dtype == before[key].dtype for key in before)
    (tmp_path / "m").unlink()  # some are large


def test_everything_that_decides_an_answer_comes_back(tmp_path: Path) -> None:
    net = create("tiny_inception", classes=2, channels=1, bn_eps=0.5)
    cut = Preprocess(size=96, crop=0.8, interpolation="bicubic", mean=(0.1, 0.2, 1 / 3), std=(1, 2, 1e-30))
    known = dict(recipe={"optimizer": {"lr": 0.1}}, metrics={"top1": 2 / 3}, versions={"torch": "2"}, data="f" * 64)
    names = ("b", "a \N{ROSE} ü")
    spec = ModelSpec(network=net.name, classes=names, channels=1, bn_eps=0.5, preprocess=cut, **known)
    save_model(tmp_path / "m", net, spec)
    loaded, found = load_model(tmp_path / "m")
    pictures = torch.rand(2, 1, 28, 28)
    assert found == spec
    assert torch.equal(loaded(pictures), net.eval()(pictures))


def test_the_layout_in_memory_changes_nothing_in_the_file(path: Path) -> None:
    model = load(path)
    model.network.to(memory_format=torch.contiguous_format)
    model.save(path)
    assert tensors_sha256(load_file(path)) == tensors_sha256(model.network.state_dict())


def test_the_digest_tells_names_types_shapes_and_bits_but_not_order_or_layout() -> None:
    a, b = torch.arange(6.0).reshape(2, 3), torch.zeros(2)
    same = [{"a": a, "b": b}, {"b": b, "a": a}, {"a": a.T.contiguous().T, "b": b}]
    others = [{"a": b, "b": a}, {"a": a.reshape(3, 2), "b": b}, {"a": a, "b": b.int()}, {"a": a, "b": -b}, {"a": a}]
    assert len({tensors_sha256(tensors) for tensors in same}) == 1
    assert len({tensors_sha256(tensors) for tensors in [same[0], *others]}) == 6


@pytest.mark.parametrize("region", ["anywhere", "header"])
def test_every_flipped_bit_is_noticed(path: Path, good: bytes, region: str) -> None:
    random = Random(region)
    bits = 8 * (len(good) if region == "anywhere" else header_bytes(good))
    for bit in random.sample(range(bits), 150):
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"model\.safetensors"):
            pytest.fail(f"bit {bit} went unnoticed: {load_model(path)}")


def test_every_truncation_and_every_extension_is_noticed(path: Path, good: bytes) -> None:
    header = header_bytes(good)
    lengths = [0, 7, 8, header - 1, header, len(good) - 1, *Random(0).sample(range(len(good)), 20)]
    for content in (*(good[:length] for length in lengths), good + b"\0", good + good):
        path.write_bytes(content)
        with pytest.raises(ModelFileError):
            pytest.fail(f"{len(content)} bytes went unnoticed: {load_model(path)}")


@pytest.mark.parametrize("content", [b"", b"hello\n" * 50, b"PK\3\4" + bytes(200), b"\xff" * 100])
def test_other_files_are_no_model_files(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.safetensors") as caught:
        load_model(path)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file_is_called_that(path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"weight": torch.ones(2)}, path, metadata)
    with pytest.raises(ModelFileError, match="not one of torchinception's"):
        load_model(path)


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_no_code_runs_from_a_model_file(path: Path, write: Callable[[object, BinaryIO], None]) -> None:
    mark = path.with_name("it ran")
    with path.open("wb") as file:
        write({"a": Trap(mark)}, file)
    with pytest.raises(ModelFileError):
        load_model(path)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["none.safetensors", "."])
def test_a_missing_file_is_a_missing_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingInputError, match="safetensors") as caught:
        load(tmp_path / name)
    assert caught.value.exit_code == 66


def test_a_newer_format_asks_for_an_upgrade(path: Path) -> None:
    sign(path, changed(path, format=2, sound="on"))
    with pytest.raises(ModelFileError, match="newer version; upgrade"):
        load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        *(dict(classes=classes) for classes in (["a", "b"], [], "abc")),
        *(dict(network=name) for name in ("googlenet", "inception_v9")),
        *(dict(format=number) for number in (0, "2", None)),
        dict(channels=-1),
        dict(unknown=1),
        dict(preprocess={"size": 0}),
    ],
    ids=str,
)
def test_a_spec_that_does_not_fit_is_refused(path: Path, change: dict[str, Any]) -> None:
    sign(path, changed(path, **change))
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        load_model(path)


@pytest.mark.parametrize("spec", ["[]", "null", '"a"', "", "{", "hello"])
def test_a_spec_that_is_no_spec_is_refused(path: Path, spec: str) -> None:
    sign(path, spec)
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        load_model(path)


@pytest.mark.parametrize("extra", [{"more": torch.ones(1)}, {"classifier.bias": torch.ones(4)}])
def test_tensors_that_do_not_fit_are_refused(path: Path, extra: dict[str, torch.Tensor]) -> None:
    sign(path, changed(path), **extra)
    with pytest.raises(ModelFileError, match="does not fit"):
        load_model(path)


def test_a_failing_save_leaves_the_old_file(path: Path, good: bytes) -> None:
    with full_disk(10_000), pytest.raises(SaveError, match=r"model\.safetensors"):
        tiny_classifier("a", "b").save(path)
    assert [(p.name, p.read_bytes()) for p in path.parent.iterdir()] == [(path.name, good)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_is_refused_by_name(path: Path, value: float) -> None:
    net = load(path).network
    before = path.read_bytes()
    with torch.no_grad():
        net.classifier.weight[1, 2] = value
    with pytest.raises(UsageError, match=r"classifier\.weight .* not finite"):
        save_model(path, net, load(path).spec)
    assert path.read_bytes() == before
    sign(path, changed(path), **{"classifier.weight": net.classifier.weight.detach()})
    with pytest.raises(ModelFileError, match=r"classifier\.weight, which is not finite"):
        load_model(path)


@pytest.mark.parametrize("field", ["network", "classes", "preprocess"])
def test_a_spec_without_a_field_is_refused_by_the_fields_name(path: Path, field: str) -> None:
    fields = json.loads(changed(path))
    del fields[field]
    sign(path, json.dumps(fields))
    with pytest.raises(ModelFileError, match=field):
        load_model(path)


def test_options_come_back_and_names_beside_classes(path: Path, tmp_path: Path) -> None:
    options = dict(bn_eps=0.01, bn_momentum=0.25, dropout=0.125)
    net = create("tiny_inception", 2, **options)
    spec = ModelSpec(network=net.name, classes=("n1", "n2"), names=("crane", "crane"), preprocess=SMALL, **options)
    save_model(tmp_path / "m", net, spec)
    loaded, found = load_model(tmp_path / "m")
    norms = [module for module in loaded.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert found == spec
    assert (loaded.options, loaded.dropout.p) == (options, 0.125)
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.01, 0.25)}


@pytest.mark.parametrize("wrong", [dict(classes=("a", "a")), dict(names=("a",))])
def test_classes_are_unique_and_every_class_has_a_name_or_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="classes must be unique"):
        ModelSpec(**(dict(network="tiny_inception", classes=("a", "b"), preprocess=SMALL) | wrong))

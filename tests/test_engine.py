"""Every engine can be asked for by its name, and what it cannot do is refused."""

from typing import Any

import pytest
from engine_fixtures import answers, inputs, tiny_network

import torchinception as ti
from torchinception.data.real_pictures import real_pictures
from torchinception.data.transforms import Preprocess
from torchinception.engines.batches import fitting_batch
from torchinception.engines.checked import TOLERANCE, deviation
from torchinception.engines.engine import MEASURED, Engine, installed
from torchinception.errors import UsageError
from torchinception.models import Inception

PREPROCESS = Preprocess(size=28, mean=(0.4, 0.5, 0.6))


@pytest.fixture
def net() -> Inception:
    return tiny_network()


def choose(net: Inception, **options: Any) -> Engine:
    return ti.engine(net, preprocess=PREPROCESS, **options)


@pytest.mark.parametrize("name", [name for name in installed() if name != "compile"])  # see test_torch_engine.py
def test_every_engine_can_be_asked_for_and_answers_right(name: str, net: Inception) -> None:
    engine = choose(net, name=name, batch=4, threads=1)
    assert (engine.name, engine.threads, engine.precision) == (name, 1, "fp32")
    assert engine.version
    right = inputs(real_pictures(9, 28, 28), PREPROCESS)
    logits = answers(net.double(), right)
    for count in (4, 1, 9, 3):  # fewer than a batch, and more
        assert deviation(engine.run_uint8(real_pictures(9, 28, 28)[:count]), logits[:count]).tolerable
        assert deviation(engine.run(right[:count].float()), logits[:count]).tolerable
    features = engine.features(right.float(), "inception_2b")
    expected = answers(net, right, "inception_2b")
    assert float((features - expected).abs().max() / expected.abs().max()) <= TOLERANCE
    assert engine.memory_bytes is None or engine.memory_bytes >= 0


def test_no_pictures_have_no_answers(net: Inception) -> None:
    for name in {*MEASURED, "eager"} & {*installed()}:
        assert choose(net, name=name).run_uint8(real_pictures(0, 28, 28)).shape == (0, 3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            dict(name="tensorrt"),
            "no engine named tensorrt; expected auto, native, torch, onnx, openvino, compile, eager",
        ),
        (dict(name="onnx", precision="bf16"), "the engine onnx runs on the CPU in fp32"),
        (dict(name="compile", precision="fp16"), "no precision fp16 on cpu"),
        (dict(precision="fp16"), "no precision fp16 on cpu"),
        (dict(precision="int4"), "no precision int4 on cpu"),
        (dict(tier="slow"), "no tier slow; expected direct, default, fast"),
        (dict(name="native", tier="slow"), "no tier slow; expected direct, default, fast"),
        (dict(name="onnx", tier="fast"), "the engine onnx has no tier fast; native has"),
        (dict(name="torch", tune=False), "the engine torch has nothing that is tuned; native has"),
        (dict(precision="bf16", tier="fast"), "the engine torch has no tier fast; native has"),
    ],
)
def test_what_cannot_be_is_refused(net: Inception, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        choose(net, **options)


@pytest.mark.parametrize(
    ("size", "device", "pictures", "batch"),
    [
        (299, "cpu", None, 8),
        (224, "cpu", None, 8),
        (160, "cpu", None, 16),
        (28, "cpu", None, 256),
        (299, "cuda", None, 64),
        (1200, "cpu", None, 1),
        (299, "cpu", 3, 4),
        (299, "cpu", 1, 1),
        (28, "cpu", 63, 64),
        (28, "cpu", 64, 256),
        (28, "cpu", 100, 256),
    ],
)
def test_a_batch_is_as_many_as_fit(size: int, device: str, pictures: int | None, batch: int) -> None:
    assert fitting_batch(size, device, pictures) == batch

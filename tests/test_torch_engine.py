import copy
from pathlib import Path

import pytest
import torch
from engine_fixtures import answers
from graph_fixtures import MEAN, SINGLE, STD, distance, draw, draw_uint8, filled, menagerie, scaled
from peer_weights import randomize
from torch import Tensor

from torchinception.engines import torch_engine
from torchinception.engines.module import response_norm
from torchinception.engines.operations import Convolution
from torchinception.engines.rewrite import REWRITES
from torchinception.engines.torch_engine import TorchEngine
from torchinception.errors import UsageError
from torchinception.layers import conv, max_pool
from torchinception.models import NETWORKS
from torchinception.network import Inception

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
ROUGH = 0.05  # bfloat16 carries 2 to 3 digits


@pytest.fixture(scope="module")
def net() -> Inception:
    return menagerie()


@pytest.fixture
def engine(net: Inception) -> TorchEngine:
    return TorchEngine(single(net), mean=MEAN, std=STD)


def single(net: Inception) -> Inception:
    return copy.deepcopy(net).float()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_answers_as_in_float64(name: str, device: str) -> None:
    net = filled(name)
    pictures, raw = draw(net), draw_uint8(net)
    logits, raw_logits = net(torch.cat([pictures, scaled(raw)])).split(1)

    engine = TorchEngine(net.float(), mean=MEAN, std=STD, device=device)

    assert distance(engine.run(pictures.float()), logits) <= SINGLE
    assert distance(engine.run_uint8(raw), raw_logits) <= SINGLE


def test_a_second_run_answers_the_same(net: Inception, engine: TorchEngine) -> None:
    pictures = draw(net).float()

    first, second = engine.run(pictures), engine.run(pictures)

    assert torch.equal(first, second)


@pytest.mark.parametrize(("count", "height", "width"), [(3, 49, 50), (1, 17, 16), (2, 80, 33)])
def test_pictures_of_another_size_or_number_than_the_first_are_answered_too(
    net: Inception, engine: TorchEngine, count: int, height: int, width: int
) -> None:
    pictures = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(0))
    engine.run(draw(net).float())

    assert distance(engine.run(pictures), net(pictures.double())) <= SINGLE


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_pictures_may_lie_in_memory_as_they_like_and_stay_as_they_are(
    net: Inception, engine: TorchEngine, layout: torch.memory_format
) -> None:
    pictures = draw(net).float().contiguous(memory_format=layout)
    before = pictures.clone()

    logits = engine.run(pictures)

    assert distance(logits, net(before.double())) <= SINGLE
    assert torch.equal(pictures, before)


def test_every_stage_has_its_features(net: Inception, engine: TorchEngine) -> None:
    right = net.endpoints(draw(net))

    found = {stage: engine.features(draw(net).float(), stage) for stage in right}

    assert {stage: x for stage in right if (x := distance(found[stage], right[stage])) > SINGLE} == {}


def test_an_unknown_stage_is_refused(net: Inception, engine: TorchEngine) -> None:
    with pytest.raises(UsageError, match="no stage named mixed_9z; stages: conv_1"):
        engine.features(draw(net).float(), "mixed_9z")


@pytest.mark.parametrize("rewrites", [(), REWRITES])
def test_any_set_of_rewrites_will_do(net: Inception, rewrites: tuple[torch_engine.Rewrite, ...]) -> None:
    engine = TorchEngine(single(net), rewrites=rewrites)

    assert distance(engine.run(draw(net).float()), net(draw(net))) <= SINGLE


def test_without_what_packing_needs_the_answers_are_the_same(net: Inception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "can_pack", lambda: False)
    monkeypatch.delattr(torch_engine, "to_packed_module")
    engine = TorchEngine(single(net), mean=MEAN, std=STD)

    assert distance(engine.run(draw(net).float()), net(draw(net))) <= SINGLE
    assert distance(engine.run_uint8(draw_uint8(net)), net(scaled(draw_uint8(net)))) <= SINGLE


def test_the_network_stays_as_it_is_and_may_change_without_the_engine(net: Inception) -> None:
    own, pictures = single(net).train(), draw(net).float()
    before = {key: tensor.clone() for key, tensor in own.state_dict().items()}
    engine = TorchEngine(own)

    logits = engine.run(pictures)

    assert own.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in own.state_dict().items())
    for tensor in own.state_dict().values():
        tensor.zero_()
    assert torch.equal(engine.run(pictures), logits)
    assert distance(TorchEngine(single(net)).run(pictures), logits) == 0


def test_answers_are_plain_float32_tensors_that_a_layer_can_be_trained_on(net: Inception, engine: TorchEngine) -> None:
    logits, layer = engine.run(draw(net).float()), torch.nn.Linear(5, 1)

    layer(logits).sum().backward()

    assert (logits.dtype, logits.device.type, logits.requires_grad) == (torch.float32, "cpu", False)
    assert torch.equal(layer.weight.grad, logits)


def test_weights_are_kept_once_for_logits_features_and_bytes(net: Inception, engine: TorchEngine) -> None:
    engine.run(draw(net).float())
    kernels = len(engine._packed)

    engine.features(draw(net).float(), "mixed_7")
    engine.run_uint8(draw_uint8(net))

    assert kernels == sum(isinstance(node.operation, Convolution) for node in engine.graph.nodes)
    assert len(engine._packed) == kernels  # scaling is not folded into a padded convolution


@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_answers_nearly_the_same_in_float32(net: Inception, device: str) -> None:
    engine = TorchEngine(single(net), mean=MEAN, std=STD, device=device, precision="bf16")
    raw = draw_uint8(net)

    for found, right in ((engine.run(draw(net).float()), net(draw(net))), (engine.run_uint8(raw), net(scaled(raw)))):
        assert found.dtype == torch.float32
        assert 1e-4 < distance(found, right) < ROUGH


def test_response_normalization_of_large_values_is_finite_in_half_precision() -> None:
    found = response_norm(torch.full((1, 8, 2, 2), 1000.0, dtype=torch.float16), 5, 1e-4, 0.75, 1.0)

    assert found.isfinite().all()
    assert (found > 0).all()


@pytest.mark.parametrize("channels", [1, 2, 5, 64])
@pytest.mark.parametrize(("size", "beta"), [(5, 0.75), (5, 0.5), (4, 0.75), (1, 0.75)])
def test_response_normalization_is_that_of_pytorch(channels: int, size: int, beta: float) -> None:
    x = torch.randn(2, channels, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 50

    right = torch.nn.functional.local_response_norm(x, size, 1e-2, beta, 1.5)

    assert distance(response_norm(x, size, 1e-2, beta, 1.5), right) <= 1e-14


def test_threads_are_used_while_it_runs_and_given_back(net: Inception, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, before = [], torch.get_num_threads()
    engine = TorchEngine(single(net), threads=before + 1)
    monkeypatch.setattr(torch_engine, "to_packed_module", spy_of(seen))
    monkeypatch.setattr(torch_engine, "to_module", spy_of(seen))

    engine.run(draw(net).float())

    assert seen == [before + 1]
    assert torch.get_num_threads() == before
    assert (engine.threads, TorchEngine(single(net)).threads) == (before + 1, before)


def spy_of(seen: list[int]) -> object:
    def module(*_: object) -> object:
        def run(x: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return x

        return run

    return module


@pytest.mark.parametrize("precision", ["fp16", "int8", "FP32"])
def test_a_precision_that_the_device_has_not_is_refused(net: Inception, precision: str) -> None:
    with pytest.raises(UsageError, match=f"no precision {precision} on cpu; expected fp32, bf16, or on a GPU fp16"):
        TorchEngine(net, precision=precision)


def test_an_engine_says_what_it_is(engine: TorchEngine) -> None:
    assert (engine.name, engine.version, engine.precision) == ("torch", torch.__version__, "fp32")


def test_compiled_it_answers_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    rows = {"first": conv(4, 3, pad=0), "second": max_pool(2), "third": conv(8)}
    net = randomize(Inception("three rows", rows, 3)).float()
    assert isinstance(net, Inception)
    x = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))

    engine = TorchEngine(net, compiled=True)

    assert engine.name == "compile"
    assert distance(engine.run(x), answers(net.double(), x)) <= SINGLE
    assert distance(engine.features(x, "first"), answers(net, x, "first")) <= SINGLE


def test_it_says_how_much_memory_it_took(net: Inception) -> None:
    engine = TorchEngine(single(net))

    engine.run(draw(net).float())

    assert (engine.memory_bytes is None) == (not Path("/proc/self/statm").exists())
    assert engine.memory_bytes is None or 0 <= engine.memory_bytes < 2**30

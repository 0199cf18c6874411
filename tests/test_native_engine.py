"""The native engine answers as PyTorch does in float64, and refuses what it cannot."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import Result
from data_fixtures import noise, tiny_classifier
from engine_fixtures import answers, error, inputs, network
from graph_fixtures import draw, fill, filled, menagerie

import torchinception as ti
from torchinception.bench.measure import measure
from torchinception.bench.ours import engine_sides
from torchinception.data.real_pictures import real_pictures
from torchinception.data.transforms import Preprocess
from torchinception.engines import native_library, native_tuning
from torchinception.engines.engine import build
from torchinception.engines.graph import Graph, Node
from torchinception.engines.native_engine import NativeEngine, native_problem
from torchinception.engines.native_plan import check_operations
from torchinception.engines.operations import Affine, Input, Join, Slice
from torchinception.engines.remembered import remembered
from torchinception.errors import UsageError
from torchinception.layers import avg_pool, conv, conv_bias, depthwise, fixed_pool, lrn, max_pool
from torchinception.models import NETWORKS, Inception, create

pytestmark = pytest.mark.skipif(bool(native_problem()), reason=native_problem() or "it is there")

TOLERANCE = {"direct": 1e-5, "default": 1e-5, "fast": 1e-4}  # of the largest value, as docs/native.md promises
PREPROCESS = Preprocess(size=28, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.mark.parametrize("name", ["menagerie", *NETWORKS])
def test_every_network_answers_as_in_float64_in_every_tier(name: str) -> None:
    net = menagerie() if name == "menagerie" else filled(name)
    x = draw(net, 3)
    right = net(x)
    for tier, tolerance in TOLERANCE.items():
        engine = NativeEngine(net, threads=1, tier=tier, tune=False)
        answer = engine.run(x.float())
        assert error(answer, right) <= tolerance, tier
        assert engine.run(x[1:2].float()).equal(answer[1:2]), tier


@pytest.mark.parametrize("name", ["menagerie", "googlenet", "xception"])
def test_features_of_every_stage_are_those_of_the_network(name: str) -> None:
    net = menagerie() if name == "menagerie" else filled(name)
    x = draw(net)
    engine = NativeEngine(net, tune=False)
    for stage, right in net.endpoints(x).items():
        assert error(engine.features(x.float(), stage), right) <= TOLERANCE["default"], stage


def test_a_stage_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no stage named mixed_9z"):
        NativeEngine(network("tiny_inception")).features(torch.zeros(1, 3, 28, 28), "mixed_9z")


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 1), (5, 37)])
def test_channels_and_classes_may_be_any(channels: int, classes: int) -> None:
    net = fill(create("small_inception", classes, channels=channels))
    x = draw(net, 2)
    assert error(NativeEngine(net).run(x.float()), net(x)) <= TOLERANCE["default"]


def test_the_first_convolution_reads_no_pixel_that_is_not_there() -> None:
    """It reads blocks of 2 x 2 pixels where its stride is 2: of odd and even sizes, with or without padding."""
    for kernel, pad in ((3, 0), (3, 1), (7, 3), (1, 0), (4, 1), ((1, 5), (0, 2))):
        net = fill(Inception("one row", {"first": conv(8, kernel, stride=2, pad=pad)}, 2, min_size=9))
        engine = NativeEngine(net)
        for rows, columns in ((9, 9), (9, 10), (10, 9), (10, 10), (11, 12)):
            x = torch.randn(2, 3, rows, columns, dtype=torch.float64)
            assert error(engine.run(x.float()), net(x)) <= TOLERANCE["default"], (kernel, pad, rows, columns)


@pytest.mark.parametrize("pad", [0, 1])
def test_bytes_are_scaled_as_preprocessing_scales_them(pad: int) -> None:
    net = fill(Inception("one row", {"first": conv(8, 3, stride=2, pad=pad)}, 2, min_size=9))
    pictures = real_pictures(2, 9, 12)
    engine = build("native", net, PREPROCESS)
    assert error(engine.run_uint8(pictures), answers(net, inputs(pictures, PREPROCESS))) <= TOLERANCE["default"]


ROWS = {
    "max pool, ceil, padded": max_pool(2, stride=2, pad=1, ceil=True),
    "average pool, ceil": avg_pool(3, stride=2, ceil=True),
    "average pool, ceil, padding counted": avg_pool(2, stride=3, pad=1, count_padding=True, ceil=True),
    "average pool to 3x3": fixed_pool(3),
    "depthwise convolution": depthwise(3, stride=2),
    "response normalization": lrn(),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_does_as_in_pytorch_at_every_size(row: str) -> None:
    net = fill(Inception("one row", {"first": conv_bias(8, pad=0), "second": ROWS[row]}, 2, min_size=7))
    engine = NativeEngine(net)
    for size in ((7, 12), (8, 11), (9, 10), (12, 13)):
        x = torch.randn(2, 3, *size, dtype=torch.float64)
        right = net.endpoints(x, ["second"])["second"]
        assert error(engine.features(x.float(), "second"), right) <= TOLERANCE["default"], size


def test_what_belongs_in_two_places_is_copied() -> None:
    net = filled("tiny_inception")
    engine = NativeEngine(net, tune=False)
    shift = torch.tensor([1.0, 2.0, 3.0])
    nodes = [Node("x", Input(3)), Node("y", Affine(None, shift), ("x",))]
    nodes += [Node("inner", Join(), ("y", "x")), Node("outer", Join(), ("y", "inner", "y"))]
    engine.graph = Graph(tuple(nodes), {"all": "outer"}, "outer")
    x = torch.randn(2, 3, 5, 6)
    y = x + shift.view(-1, 1, 1)
    assert engine.features(x, "all").equal(torch.cat([y, y, x, y], 1))


def test_layouts_sizes_numbers_and_kinds_may_alternate() -> None:
    net = network("tiny_inception")
    engine = build("native", net, PREPROCESS, batch=2)
    for count, height, width in ((1, 28, 28), (5, 28, 28), (1, 33, 28), (0, 28, 33), (2, 28, 33), (1, 28, 28)):
        pictures = real_pictures(max(count, 1), height, width)[:count]
        x = inputs(pictures, PREPROCESS)
        logits, stage = engine.run(x), engine.features(x, "conv_1")
        assert (logits.shape, stage.shape) == ((count, 10), net.endpoints(x.double(), ["conv_1"])["conv_1"].shape)
        assert logits.equal(engine.run(x.contiguous(memory_format=torch.channels_last)))
        if count:
            assert error(logits, answers(net, x)) <= TOLERANCE["default"]
            assert error(engine.run_uint8(pictures), answers(net, x)) <= TOLERANCE["default"]
            assert error(stage, answers(net, x, "conv_1")) <= TOLERANCE["default"]


def test_no_more_than_two_plans_are_kept() -> None:
    engine = NativeEngine(network("tiny_inception"), tune=False)
    for side in (28, 29, 28, 30, 31):
        engine.run(torch.zeros(1, 3, side, side))
    assert [size[0] for _, size in engine._plans] == [30, 31]


def test_a_second_plan_costs_no_second_weights() -> None:
    net = network("small_inception")
    engine = NativeEngine(net, tier="direct", tune=False)
    engine.run(torch.zeros(1, 3, 64, 64))
    before = set(map(id, engine._weights.values()))
    engine.run(torch.zeros(1, 3, 72, 64))
    assert set(map(id, engine._weights.values())) == before


@pytest.mark.parametrize(("name", "times"), [("googlenet", 2.5), ("inception_v3", 2.0)])
def test_it_takes_little_more_memory_than_the_weights(name: str, times: float) -> None:
    net, side = create(name), NETWORKS[name].size
    engine = NativeEngine(net, tune=False)
    engine.run(torch.zeros(1, 3, side, side))
    assert engine.packed_bytes <= times * sum(4 * weight.numel() for weight in net.parameters())


def test_algorithms_are_measured_once_for_layers_of_the_same_shapes(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = filled("tiny_inception"), fill(create("tiny_inception", 5))
    x = draw(one)
    assert error(NativeEngine(one).run(x.float()), one(x)) <= TOLERANCE["default"]
    (note,) = cache.iterdir()
    known = json.loads(note.read_text())
    assert set(known.values()) <= {name for name in native_library.load().algorithms if not native_tuning.is_fast(name)}
    note.write_text(note.read_text()[:-1])  # damaged, so measured anew
    assert error(NativeEngine(one).run(x.float()), one(x)) <= TOLERANCE["default"]
    assert set(json.loads(note.read_text())) == set(known)
    note.write_text(json.dumps(dict.fromkeys(known, "F(9x9)")))
    assert error(NativeEngine(one).run(x.float()), one(x)) <= TOLERANCE["default"]
    monkeypatch.setattr(native_tuning, "_measure", None)
    assert error(NativeEngine(other).run(x.float()), other(x)) <= TOLERANCE["default"]


def test_what_is_measured_need_not_be_kept(cache: Path) -> None:
    cache.parent.write_text("a file")
    net = filled("tiny_inception")
    assert error(NativeEngine(net).run(draw(net).float()), net(draw(net))) <= TOLERANCE["default"]


def test_auto_measures_it_beside_the_others() -> None:
    net = network("tiny_inception")
    ti.engine(net, preprocess=PREPROCESS, threads=1)
    (known,) = remembered()
    (trial,) = [trial for trial in known.trials if trial.engine == "native"]
    assert trial.seconds is not None
    assert trial.error is not None
    assert trial.error <= 1e-5


def test_auto_tries_it_in_the_tier_that_is_asked_for(cache: Path) -> None:
    net = network("tiny_inception")
    ti.engine(net, preprocess=PREPROCESS, threads=1, tier="fast", tune=False)
    (known,) = remembered()
    assert (known.tier, known.tune) == ("fast", False)
    assert not list(cache.glob("native-*"))  # no algorithm was timed
    few = ti.engine(net, preprocess=PREPROCESS, threads=2, tier="direct", pictures=1)
    assert isinstance(few, NativeEngine)
    assert few.tier == "direct"


@pytest.mark.parametrize(("options", "timed"), [((), True), (("--tier", "fast"), True), (("--no-tune",), False)])
def test_the_command_line_asks_for_a_tier_and_for_no_timing(
    options: tuple[str, ...], timed: bool, inception: Callable[..., Result], finished: Path, flat: Path, cache: Path
) -> None:
    environment = dict(TORCHINCEPTION_CACHE=str(cache.parent))
    done = inception("predict", finished, flat, "--engine", "native", *options, environment=environment)
    assert (done.code, done.out.count(".png")) == (0, 36), done.err
    assert len(list(cache.glob("native-*"))) == timed


def test_a_benchmark_measures_it_in_the_tier_that_is_asked_for_and_says_so() -> None:
    pictures = torch.zeros(1, 3, 28, 28).numpy()
    side = engine_sides(Path(), pictures, 1, tier="fast", tune=False)[0]
    assert side.name == "native, fast, rule"
    assert isinstance(side.prepare, partial)
    assert side.prepare.keywords == dict(tier="fast", tune=False)
    assert engine_sides(Path(), pictures, 1)[0].name == "native"
    with pytest.raises(UsageError, match="no tier slow; expected direct, default, fast"):
        next(measure(["tiny_inception"], tier="slow"))


def test_a_classifier_predicts_with_it_at_once_and_measures_nothing(cache: Path) -> None:
    model = tiny_classifier("a", "b")
    model.predict(noise(0))
    assert (model.engine.name, cache.exists()) == ("native", False)


def test_pictures_of_other_channels_are_refused() -> None:
    engine = NativeEngine(network("tiny_inception"))
    for call, x in ((engine.run, torch.zeros(1, 1, 28, 28)), (engine.run_uint8, torch.zeros(1, 28, 28, 4))):
        with pytest.raises(UsageError, match="takes pictures of 3 channels, not"):
            call(x)


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 3, 28, 0), (1, 0, 28, 28), ()])
def test_what_are_no_pictures_is_refused(shape: tuple[int, ...]) -> None:
    engine = NativeEngine(network("tiny_inception"))
    for call in (engine.run, engine.run_uint8):
        with pytest.raises(UsageError, match=r"pictures are \(N, C, H, W\), of uint8 \(N, H, W, C\), not \("):
            call(torch.zeros(shape))


def test_there_is_a_mean_for_every_channel() -> None:
    with pytest.raises(UsageError, match="3 means and 4 deviations for 4 channels"):
        NativeEngine(create("tiny_inception", channels=4), mean=(0.5, 0.5, 0.5))
    net = fill(create("tiny_inception", channels=4))
    pictures = torch.randint(256, (2, 61, 61, 4), dtype=torch.uint8)
    right = net(pictures.permute(0, 3, 1, 2).double() / 127.5 - 1)
    assert error(NativeEngine(net).run_uint8(pictures), right) <= TOLERANCE["default"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_default_dtype_and_random_numbers_are_nobody_elses(dtype: torch.dtype) -> None:
    net = filled("tiny_inception")
    x = draw(net)
    right, before = net(x), torch.get_rng_state()
    torch.set_default_dtype(dtype)
    try:
        answer = NativeEngine(net, threads=1).run(x.float())
    finally:
        torch.set_default_dtype(torch.float32)
    assert error(answer, right) <= TOLERANCE["default"]
    assert torch.get_rng_state().equal(before)


def test_the_fast_tier_alone_has_the_algorithms_that_are_called_fast() -> None:
    context = native_library.Context(native_library.load())
    for shape, size in (((384, 384, 3, 3), 72), ((192, 192, 1, 7), 18), ((192, 192, 7, 1), 18)):
        found = {tier: context.choose(tier, shape, 1, 1, size, size) for tier in TOLERANCE}
        assert {tier: native_tuning.is_fast(name) for tier, name in found.items()} == dict(
            direct=False, default=False, fast=True
        )


def test_what_it_cannot_compute_is_refused_by_name_when_it_is_built() -> None:
    own = torch.nn.Conv2d(3, 8, 3, stride=(2, 1))
    net = Inception("oblong", {"first": lambda _: (own, 8)}, 2)
    with pytest.raises(UsageError, match=r"no Convolution as trunk\.first, of stride 2 x 1; torch has"):
        NativeEngine(net)
    graph = Graph((Node("x", Input(3)), Node("y", Slice(0, 2), ("x",))), {}, "y")
    with pytest.raises(UsageError, match="no Slice as y"):
        check_operations(graph)
    with pytest.raises(UsageError, match="no tier slow; expected direct, default, fast"):
        NativeEngine(net, tier="slow")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the library."""
    monkeypatch.setattr(native_library, "PATHS", ())
    native_library.load.cache_clear()
    yield
    native_library.load.cache_clear()


@pytest.mark.usefixtures("nowhere")
def test_where_it_was_not_built_it_is_told_how_to_get_it_and_others_serve() -> None:
    with pytest.raises(UsageError, match=r"not built .* which takes a C\+\+ compiler and CMake"):
        NativeEngine(network("tiny_inception"))
    model = tiny_classifier("a", "b")
    model.predict(noise(0))
    assert model.engine.name == "torch"

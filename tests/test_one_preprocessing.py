"""One file, one tensor: what reaches the network is the same to the bit, whichever way the file came in."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from data_fixtures import encode, noise
from PIL import Image
from shard_fixtures import write_tar
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

import torchinception as ti
from torchinception.data.augment import Augment
from torchinception.data.folder import Sample, scan
from torchinception.data.images import load_image
from torchinception.data.transforms import Preprocess
from torchinception.engines.native_engine import NativeEngine, native_problem
from torchinception.engines.torch_engine import TorchEngine
from torchinception.models import Inception
from torchinception.prediction import predict_files
from torchinception.progress import Listener
from torchinception.training.features import Views, compute

SIZE = 28
GREY = np.arange(65536, dtype=np.uint16).reshape(256, 256)[::4, ::3].copy()


def odd_files() -> dict[str, bytes]:
    """Pictures of every kind that takes a conversion, no two alike."""
    turned = Image.Exif()
    turned[0x0112] = 6  # the right side is up

    def image(seed: int, mode: str, height: int = 40, width: int = 56) -> Image.Image:
        return Image.fromarray(noise(seed, height, width)).convert(mode)

    def clear(seed: int, mode: str) -> Image.Image:
        found = image(seed, mode)
        found.putalpha(image(seed + 1, "L"))
        return found

    return {
        "turned.jpg": encode(image(0, "RGB"), "JPEG", exif=turned),
        "palette with alpha.png": encode(image(1, "P"), transparency=bytes(range(256))),
        "sixteen bits.png": encode(Image.fromarray(GREY)),
        "grey.jpg": encode(image(2, "L"), "JPEG"),
        "grey with alpha.png": encode(clear(3, "L")),
        "colour with alpha.png": encode(clear(5, "RGB")),
        "cmyk.jpg": encode(image(7, "CMYK"), "JPEG"),
        "one bit.png": encode(image(8, "1")),
        "lossy.webp": encode(clear(9, "RGB"), "WEBP"),
        "moving.gif": encode(image(11, "P"), "GIF", save_all=True, append_images=[image(12, "P")]),
        "plain.bmp": encode(image(13, "RGB"), "BMP"),
        "large.jpg": encode(image(14, "RGB", 300, 211), "JPEG"),
        "strip.png": encode(image(15, "RGB", 3, 200)),
        "as large as the input.png": encode(image(16, "RGB", SIZE, SIZE)),
    }


AT_ONCE = TorchEngine if native_problem() else NativeEngine  # the engine that a classifier takes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four usual pictures to train on, the odd ones to validate on."""
    root = tmp_path_factory.mktemp("odd") / "data"
    usual = {f"{number}.png": encode(noise(100 + number, 32, 32)) for number in range(4)}
    for split, files in (("train", usual), ("val", odd_files())):
        for number, (name, content) in enumerate(files.items()):
            path = root / split / "ab"[number % 2] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return root


@contextlib.contextmanager
def seen(inputs: list[Tensor], trunk: nn.Module | None = None) -> Iterator[None]:
    """Keep what networks and engines in evaluation are given; of `trunk`, if it is called by itself, as well.

    An engine is given bytes and scales them itself: kept is what they are scaled to by its figures.
    """

    def keep(module: nn.Module, given: tuple[Any, ...]) -> None:
        if module is trunk or (isinstance(module, Inception) and not module.training):
            inputs.append(given[0].detach().clone())

    def run_uint8(engine: Any, pictures: Tensor) -> Tensor:
        mean, std = (torch.as_tensor(each).tolist() for each in (engine._mean, engine._std))
        look = Preprocess(size=SIZE, mean=mean, std=std)
        inputs.append(look.normalize(pictures.permute(0, 3, 1, 2)))
        return compute_uint8(engine, pictures)

    compute_uint8: Any = AT_ONCE.run_uint8
    hook = register_module_forward_pre_hook(keep)
    try:
        with mock.patch.object(AT_ONCE, "run_uint8", run_uint8):
            yield
    finally:
        hook.remove()


class Run(NamedTuple):
    model: ti.Classifier
    out: Path
    samples: tuple[Sample, ...]
    inputs: Tensor  # (2 * samples, 3, size, size): of the epoch's validation and of the evaluation at the end


@pytest.fixture(scope="module", params=["bilinear", "bicubic", "bilinear_tf1", "bilinear_torch"])
def interpolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["shorter side", "stretch"])
def run(
    request: pytest.FixtureRequest, interpolation: str, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    settings = dict(network="tiny_inception", size=SIZE, crop=0.8, epochs=1, batch=4, mean=[0.4, 0.5, 0.6])
    settings |= dict(resize=request.param, interpolation=interpolation)
    out, inputs = tmp_path_factory.mktemp("run") / "run", list[Tensor]()
    with seen(inputs):
        model = ti.train(data, settings=settings, out=out, workers=0, device="cpu")
    look = model.preprocess
    assert (look.resize, look.interpolation, look.crop, look.mean[0]) == (request.param, interpolation, 0.8, 0.4)
    return Run(model, out, scan(data).splits["val"], torch.cat(inputs))


def evaluated(run: Run, data: Path) -> None:
    assert ti.evaluate(ti.load(run.out), data, batch=5).pictures == len(run.samples)


def saved_again(run: Run, data: Path) -> None:
    run.model.save(run.out.parent / "again.safetensors")
    ti.evaluate(ti.load(run.out.parent / "again.safetensors"), data, batch=3, workers=1)


def in_shards(run: Run, data: Path) -> None:
    files = [(f"{s.path.parent.name}/{number:02}{s.path.suffix}", s.path) for number, s in enumerate(run.samples)]
    packed = write_tar(run.out.parent / "val.tar", ((name, path.read_bytes()) for name, path in files))
    ti.evaluate(run.model, packed)


def paths(run: Run, data: Path) -> None:
    ti.load(run.out).predict([sample.path for sample in run.samples])


def contents(run: Run, data: Path) -> None:
    ti.load(run.out).predict([sample.path.read_bytes() for sample in run.samples])


def images(run: Run, data: Path) -> None:
    with contextlib.ExitStack() as stack:
        run.model.predict([stack.enter_context(Image.open(sample.path)) for sample in run.samples])


def arrays(run: Run, data: Path) -> None:
    run.model.predict([load_image(sample.path) for sample in run.samples])


def files(run: Run, data: Path) -> None:
    rows = list(predict_files(run.model, [sample.path for sample in run.samples], batch=4))
    assert [row.error for row in rows] == [""] * len(run.samples)


def features(run: Run, data: Path) -> None:
    views = Views(run.samples, np.zeros(len(run.samples), np.int64), run.model.preprocess, Augment(), 0)
    device, net = torch.device("cpu"), run.model.network
    compute(run.out.parent / "features", net, views, workers=0, device=device, listener=Listener())


WAYS = (evaluated, saved_again, in_shards, paths, contents, images, arrays, files, features)


def test_the_network_is_given_the_same_in_validation_and_in_the_last_evaluation(run: Run) -> None:
    assert len(run.inputs) == 2 * len(run.samples) == 2 * len(odd_files())
    validation, last = run.inputs.split(len(run.samples))
    assert torch.equal(validation, last)


def test_it_is_given_the_pictures_and_no_two_alike(run: Run) -> None:
    look = run.model.preprocess
    expected = [look.normalize(look.cut(load_image(sample.path))[None])[0] for sample in run.samples]
    assert torch.equal(run.inputs[: len(run.samples)], torch.stack(expected))
    assert len({each.numpy().tobytes() for each in expected}) == len(expected)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_other_way_gives_the_network_the_same(run: Run, data: Path, way: Any) -> None:
    inputs: list[Tensor] = []
    with seen(inputs, run.model.network.trunk if way is features else None):
        way(run, data)
    given, expected = torch.cat(inputs), run.inputs[: len(run.samples)]
    if way is in_shards:  # by class, in the order of their names in the tar
        order = {s.digest: number for number, s in enumerate(run.samples)}
        expected = expected[[order[s.digest] for s in scan(run.out.parent / "val.tar").splits["all"]]]
    differing = [
        s.path.name for s, one, other in zip(run.samples, given, expected, strict=True) if not one.equal(other)
    ]
    assert differing == []

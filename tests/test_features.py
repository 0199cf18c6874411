"""The linear probe: features computed once, kept by content, and a classifier on them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import numpy as np
import pytest
import torch
from child import At
from conftest import Result, outcome, record
from store_fixtures import Notes

import torchinception as ti
from torchinception.data.augment import Augment
from torchinception.data.folder import scan
from torchinception.data.images import load_image
from torchinception.data.samples import Sample, Samples
from torchinception.data.transforms import Preprocess
from torchinception.models import Inception, create
from torchinception.training.features import FeatureStore, Views, compute, store_for

Run = Callable[..., Result]
LOOK = Preprocess(size=32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def net() -> Inception:
    torch.manual_seed(1)
    return create("tiny_inception", 4).eval()


@pytest.fixture(scope="module")
def samples(split: Path) -> Samples:
    return scan(split).splits["train"]


@pytest.fixture(scope="module")
def weights(net: Inception, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torchinception.classifier import Classifier
    from torchinception.weights.bundle import ModelSpec

    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    Classifier(net, ModelSpec(network="tiny_inception", classes=tuple("abcd"), preprocess=LOOK)).save(path)
    return path


def views_of(samples: Samples, *views: int) -> Views:
    each = views or (0,)
    repeated = samples.select(np.repeat(np.arange(len(samples)), len(each)))
    return Views(repeated, np.tile(each, len(samples)), LOOK, Augment(), 5)


def features(folder: Path, net: Inception, views: Views, notes: Notes | None = None, workers: int = 0) -> np.ndarray:
    store, positions = compute(
        folder, net, views, workers=workers, device=torch.device("cpu"), listener=notes or Notes()
    )
    return np.array(store.table()[positions])


def test_features_are_the_trunks_means_of_the_pictures_as_evaluated(
    net: Inception, samples: Samples, tmp_path: Path
) -> None:
    found = torch.from_numpy(features(tmp_path, net, views_of(samples)))
    pictures = torch.stack([LOOK.cut(load_image(sample.path)) for sample in samples])
    with torch.inference_mode():
        expected = net.trunk(LOOK.normalize(pictures)).mean((2, 3))
        logits = net(LOOK.normalize(pictures))
    assert torch.equal(found, expected)
    assert torch.equal(net.classifier(found), logits)


def test_views_differ_and_are_the_same_again(net: Inception, samples: Samples, tmp_path: Path) -> None:
    first = features(tmp_path / "a", net, views_of(samples, 1, 2))
    again = features(tmp_path / "b", net, views_of(samples, 1, 2), workers=1)
    assert np.array_equal(first, again)
    rows = first.reshape(len(samples), 2, -1)
    assert all(not np.array_equal(one, two) for one, two in rows)


def test_what_was_computed_is_not_computed_again(
    net: Inception, samples: Samples, tmp_path: Path, notes: Notes
) -> None:
    some = features(tmp_path, net, views_of(samples[:10]))
    size = store_for(tmp_path, net, LOOK).rows.stat().st_size
    every = features(tmp_path, net, views_of(samples), notes)
    assert "10 of 24 features were computed before" in " ".join(notes.said)
    assert np.array_equal(every[:10], some)
    assert store_for(tmp_path, net, LOOK).rows.stat().st_size == size // 10 * 24
    features(tmp_path, net, views_of(samples[::-1]), notes)
    assert "24 of 24 features were computed before" in " ".join(notes.said)


def test_a_picture_is_known_by_its_content_and_not_by_its_place(
    net: Inception, samples: Samples, tmp_path: Path, notes: Notes
) -> None:
    features(tmp_path / "f", net, views_of(samples[:3]))
    moved = [
        Sample(Path(shutil.copy(s.path, tmp_path / f"{i}.png")), 1 - s.label, s.digest)
        for i, s in enumerate(samples[:3])
    ]
    features(tmp_path / "f", net, views_of(Samples.gather(tmp_path, moved)), notes)
    assert "3 of 3 features were computed before" in " ".join(notes.said)


@pytest.mark.parametrize("change", ["weights", "preprocess", "augment", "seed"])
def test_other_weights_preprocessing_or_views_have_rows_of_their_own(
    net: Inception, samples: Samples, tmp_path: Path, notes: Notes, change: str
) -> None:
    features(tmp_path, net, views_of(samples[:4], 1))
    look, augment, seed, other = LOOK, Augment(), 5, net
    if change == "weights":
        torch.manual_seed(2)
        other = create("tiny_inception", 4).eval()
    look = Preprocess(size=32, crop=0.9) if change == "preprocess" else look
    augment = Augment(area=(0.5, 1.0)) if change == "augment" else augment
    seed = 6 if change == "seed" else seed
    views = Views(samples[:4], np.ones(4, np.int64), look, augment, seed)
    features(tmp_path, other, views, notes)
    assert "computed before" not in " ".join(notes.said)


@pytest.mark.parametrize("file", ["rows.f32", "index"])
def test_a_damaged_row_and_those_behind_it_are_computed_again(
    net: Inception, samples: Samples, tmp_path: Path, notes: Notes, file: str
) -> None:
    expected = features(tmp_path, net, views_of(samples))
    store = store_for(tmp_path, net, LOOK)
    path = store.rows.parent / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + 3] ^= 4  # in the row of index 12 of 24
    path.write_bytes(content)
    found = features(tmp_path, net, views_of(samples), notes)
    assert "12 of 24 features were computed before" in " ".join(notes.said)
    assert np.abs(found - expected).max() <= 1e-6  # float32, in a batch of another size


@pytest.mark.parametrize("cut", [1, 7, 80])
def test_a_write_that_was_cut_off_costs_its_own_rows_only(tmp_path: Path, cut: int) -> None:
    store = FeatureStore(tmp_path, 6)
    rows = np.arange(24, dtype=np.float32).reshape(4, 6)
    store.add([f"{i:064x}" for i in range(2)], rows[:2])
    whole = {path.name: path.read_bytes() for path in (store.rows, store.index)}
    store.add([f"{i:064x}" for i in range(2, 4)], rows[2:])
    store.index.write_bytes(store.index.read_bytes()[:-cut])
    again = FeatureStore(tmp_path, 6)
    assert np.array_equal(again.table(), rows[: 3 if cut <= 80 else 2])
    store.index.write_bytes(whole["index"])  # rows were written, their lines were not
    again = FeatureStore(tmp_path, 6)
    again.add([f"{3:064x}"], rows[3:])
    assert np.array_equal(FeatureStore(tmp_path, 6).table(), rows[[0, 1, 3]])


def test_a_probe_trains_the_classifier_alone_and_gives_a_whole_model(
    weights: Path, split: Path, tmp_path: Path, net: Inception
) -> None:
    settings = {"weights": str(weights), "optimizer.lr": 0.1}
    model = ti.train(split, recipe="linear-probe", settings=settings, out=tmp_path / "run")
    rows = record(tmp_path / "run")
    assert float(rows[-1]["train_top1"]) >= 0.9  # 84 features tell 24 pictures apart, whatever the trunk
    assert len(rows) == 100
    state, before = model.network.state_dict(), net.state_dict()
    assert all(torch.equal(state[name], before[name]) for name in before if name.startswith("trunk"))
    again = ti.load(tmp_path / "run").predict(sorted((split / "val" / "bag").iterdir()), 1)
    assert again == model.predict(sorted((split / "val" / "bag").iterdir()), 1)


def test_an_interrupted_probe_resumes_exactly(inception: Run, weights: Path, split: Path, tmp_path: Path) -> None:
    command = (
        "train",
        split,
        "--recipe",
        "linear-probe",
        "--weights",
        weights,
        "--epochs",
        4,
        "--set",
        "features.views=2",
    )
    command += ("--checkpoint-every", 1, "--batch", 8, "--out")
    assert inception(*command, tmp_path / "whole").code == 0
    for moment, name in (
        (At("*/train/*", 20, SIGKILL), "in the first pictures"),
        (At("*/train/*", 45, SIGKILL), "in the last pictures"),
        (At("*/step-*.ckpt", 5, SIGKILL, event="os.rename"), "in training"),
    ):
        own = {"TORCHINCEPTION_CACHE": str(tmp_path / f"cache {name}")}
        assert inception(*command, tmp_path / name, at=(moment,), environment=own).code == -SIGKILL
        resumed = inception(*command, tmp_path / name, "--resume", environment=own)
        assert resumed.code == 0, resumed.err
        assert outcome(tmp_path / name) == outcome(tmp_path / "whole")


def test_a_probe_without_weights_is_refused(inception: Run, split: Path, tmp_path: Path) -> None:
    result = inception("train", split, "--recipe", "linear-probe", "--out", tmp_path / "run")
    assert (result.code, "features.cached needs weights" in result.err) == (2, True)

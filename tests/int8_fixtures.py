"""A trained classifier, and pictures to quantize it with."""

from pathlib import Path

import pytest
import torch
from conftest import copy_splits
from engine_fixtures import inputs
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from torchinception.classifier import Classifier
from torchinception.data.folder import Folder, scan
from torchinception.data.sample import SIDE
from torchinception.data.samples import Samples
from torchinception.data.transforms import Preprocess
from torchinception.engines.int8_pictures import read
from torchinception.models import create
from torchinception.weights.bundle import ModelSpec

PREPROCESS = Preprocess(size=SIDE, crop=1.0)


@pytest.fixture(scope="session")
def clothes(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 classes of 80 pictures in `train`, 80 in `val`. Only read it."""
    return copy_splits(sample, tmp_path_factory.mktemp("int8") / "clothes", train=80, val=80)


@pytest.fixture(scope="session")
def folder(clothes: Path) -> Folder:
    return scan(clothes)


def cut(samples: Samples) -> Tensor:
    """uint8 (N, H, W, 3)."""
    return torch.cat(list(read(samples, PREPROCESS)))


@pytest.fixture(scope="session")
def trained(folder: Folder) -> Classifier:
    """A classifier that is nearly always right. Only read it; `model` is a copy to change."""
    torch.manual_seed(0)
    net = create("tiny_inception", len(folder.classes), dropout=0.0)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    samples = folder.splits["train"]
    x, labels = inputs(cut(samples), PREPROCESS), torch.from_numpy(samples.labels).long()
    for _ in range(4):
        for part in torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            F.cross_entropy(net(x[part]), labels[part]).backward()
            optimizer.step()
    spec = ModelSpec(network="tiny_inception", classes=folder.classes, preprocess=PREPROCESS, dropout=0.0)
    return Classifier(net, spec)


@pytest.fixture
def model(trained: Classifier, cache: Path) -> Classifier:
    net = create("tiny_inception", len(trained.classes), dropout=0.0)
    net.load_state_dict(trained.network.state_dict())
    return Classifier(net, trained.spec)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture(scope="session")
def checked(folder: Folder) -> Tensor:
    """uint8 (N, H, W, 3) that nothing was calibrated with."""
    return cut(folder.splits["val"])


@pytest.fixture(scope="session")
def calibration(folder: Folder) -> list[Tensor]:
    """Of its training, uint8 (N, H, W, 3) each."""
    return list(cut(folder.splits["train"])[::2].split(50))

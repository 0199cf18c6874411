"""A study's pictures, in memory: small ones, as many as it looks at."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from torchinception.data.folder import name_of, scan
from torchinception.data.sample import write_sample
from torchinception.data.samples import Samples
from torchinception.data.transforms import Preprocess
from torchinception.errors import DataError
from torchinception.progress import Listener
from torchinception.studies.trunk import SIDE

LOOK = Preprocess(size=SIDE, crop=1.0)
MOST_HELD_OUT = 1000  # they are looked at twenty times a run


@dataclass(frozen=True)
class Set:
    """Pictures uint8 (N, 3, SIDE, SIDE) and labels int64 (N,), as arrays, which another process can be given."""

    pictures: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Pictures:
    """What is trained on and what is held out; `fingerprint` is that of the whole folder."""

    name: str
    fingerprint: str
    classes: int
    train: Set
    held_out: Set


def read_pictures(data: str | Path | None, most: int, batch: int, listener: Listener) -> Pictures:
    """Of a folder, or what else `scan` takes; None: of the sample in the package.

    Args:
        data: which; its `test` is held out, or else its `val`, or else a tenth.
        most: how many a run looks at: of more, evenly chosen ones are taken.
        batch: the least to train on.
        listener: hears of progress.

    Raises:
        MissingInputError, DataError, UsageError: as `scan`; or there are fewer than a batch.
    """
    if data is None:
        with tempfile.TemporaryDirectory(prefix="inception-study-") as folder:
            write_sample(folder)
            return _read(folder, "the sample of 3,500 pictures of Fashion-MNIST in the package", most, batch, listener)
    return _read(data, name_of(data), most, batch, listener)


def _read(data: str | Path, name: str, most: int, batch: int, listener: Listener) -> Pictures:
    folder = scan(data, listener)
    splits = folder.for_training()
    if len(splits["train"]) < batch:
        raise DataError(f"{data} has {len(splits['train'])} pictures to train on; a study needs {batch} or more")
    train = _load(splits["train"], most, "Reading pictures", listener)
    held_out = _load(splits.get("test") or splits["val"], MOST_HELD_OUT, "Reading held-out ones", listener)
    return Pictures(name, folder.fingerprint, len(folder.classes), train, held_out)


def _load(samples: Samples, most: int, task: str, listener: Listener) -> Set:
    chosen = np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int)
    pictures = np.empty((len(chosen), 3, SIDE, SIDE), np.uint8)
    for place, index in enumerate(chosen):
        pictures[place] = LOOK.cut(samples[int(index)].image()).numpy()
        listener.progress(task, place + 1, len(chosen))
    return Set(pictures, samples.labels[chosen].astype(np.int64))

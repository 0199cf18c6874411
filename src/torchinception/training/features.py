"""The linear probe's inputs: what a trunk that does not move makes of each picture, computed once and kept.

Rows are kept by the content of the picture, the weights of the trunk, the preprocessing and the view, so
that pictures may come, go and move between folders without any other being computed anew.
"""

import contextlib
import hashlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from torchinception.data.augment import Augment
from torchinception.data.module import Key, Keyed, ResumableLoader, keyed_seed, read_picture
from torchinception.data.samples import Samples
from torchinception.data.transforms import Preprocess
from torchinception.errors import SaveError, UsageError
from torchinception.network import Inception
from torchinception.progress import Listener
from torchinception.training.lock import locked
from torchinception.weights.bundle import tensors_sha256

CHUNK = 32  # pictures computed and written together, so that an interruption changes no row's neighbours
_CHECK_BYTES = 16
_LINE_BYTES = 64 + _CHECK_BYTES  # of the index: a row's key and its own checksum


class FeatureStore:
    """Rows of float32 in a folder: `rows.f32`, mapped into memory, and `index`, whose lines say which there are.

    A row is written before its line, both are flushed to the disk, and rows that do not match their line are
    computed again; so any interruption, and any damage, costs time only.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self.width, self.rows, self.index = width, folder / "rows.f32", folder / "index"
        folder.mkdir(parents=True, exist_ok=True)
        self.rows.touch()
        lines = self.index.read_bytes() if self.index.exists() else b""
        found = min(len(lines) // _LINE_BYTES, self.rows.stat().st_size // (4 * width))
        whole, self.position = 0, dict[str, int]()
        for number, row in enumerate(map_rows(self.rows, width, found)):
            line = lines[number * _LINE_BYTES : (number + 1) * _LINE_BYTES]
            if _line(line[:64], row) != line:
                break
            self.position[line[:64].decode("ascii", "replace")] = number
            whole = number + 1
        os.truncate(self.rows, whole * 4 * width)
        self.index.write_bytes(lines[: whole * _LINE_BYTES])

    def table(self) -> np.ndarray:
        """Float32 (rows, width), mapped and not read."""
        return map_rows(self.rows, self.width, len(self.position))

    def add(self, keys: Sequence[str], values: np.ndarray) -> None:
        """Append rows: float32 (len(keys), width).

        Raises:
            SaveError: the disk is full, say; rows written before remain.
        """
        values = np.ascontiguousarray(values, np.float32)
        lines = b"".join(_line(key.encode(), row) for key, row in zip(keys, values, strict=True))
        try:
            for path, content in ((self.rows, values.tobytes()), (self.index, lines)):
                with path.open("ab") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise SaveError(f"cannot write features to {path}: {error.strerror}; make room, then go on") from error
        for key in keys:
            self.position[key] = len(self.position)


def map_rows(path: Path, width: int, count: int) -> np.ndarray:
    """Float32 (count, width) of a file, mapped and not read."""
    return np.memmap(path, np.float32, "r", shape=(count, width)) if count else np.empty((0, width), np.float32)


def _line(key: bytes, row: np.ndarray) -> bytes:
    return key + hashlib.blake2b(key + row.tobytes(), digest_size=_CHECK_BYTES // 2).hexdigest().encode()


class Views(Keyed):
    """Pictures as (uint8 (3, size, size), position), each in its view: 0 as in evaluation."""

    def __init__(
        self, samples: Samples, views: npt.NDArray[np.integer], preprocess: Preprocess, augment: Augment, seed: int
    ) -> None:
        self.pictures, self.views, self.preprocess, self.augment, self.seed = samples, views, preprocess, augment, seed

    def __len__(self) -> int:
        return len(self.pictures)

    def only(self, positions: Sequence[int]) -> "Views":
        """Some of them."""
        chosen = np.array(positions, np.int64)
        return Views(self.pictures.select(chosen), self.views[chosen], self.preprocess, self.augment, self.seed)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        sample, view = self.pictures[key[1]], int(self.views[key[1]])
        picture = read_picture(sample)
        if view == 0:
            return self.preprocess.cut(picture), key[1]
        random = Random(keyed_seed(self.seed, view, int(sample.digest[:16], 16)))
        return self.augment.cut(picture, self.preprocess.size, random), key[1]

    def row_key(self, position: int) -> str:
        """What a row is kept by: 64 hexadecimal digits."""
        sample, view = self.pictures[position], int(self.views[position])
        how = f"{self.augment.model_dump_json()} {self.seed} {view}" if view else ""
        return hashlib.sha256(f"{sample.digest} {how}".encode()).hexdigest()


class Features(Keyed):
    """Rows as (float32 (width, 1, 1), label); of several views each epoch takes another."""

    def __init__(
        self, table: np.ndarray, positions: npt.NDArray[np.int64], labels: npt.NDArray[np.int32], seed: int
    ) -> None:
        self.table, self.positions, self.labels, self.seed = table, positions, labels, seed

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        epoch, index = key
        views = self.positions[index]
        row = np.array(self.table[views[epoch % len(views)]])
        return torch.from_numpy(row).view(-1, 1, 1), int(self.labels[index])


def store_for(folder: Path, net: Inception, preprocess: Preprocess) -> FeatureStore:
    """The store of a trunk with a preprocessing, below `folder`."""
    weights = tensors_sha256(net.trunk.state_dict())
    key = hashlib.sha256(
        f"{net.name} {net.options.get('bn_eps')} {weights} {preprocess.model_dump_json()}".encode()
    ).hexdigest()
    return FeatureStore(folder / key[:32], net.classifier.in_features)


@torch.inference_mode()
def compute(
    folder: Path, net: Inception, views: Views, *, workers: int, device: torch.device, listener: Listener
) -> tuple[FeatureStore, list[int]]:
    """The features of all views: a store, and the row of each view in it. Only what is missing is computed.

    `net` is moved to `device` and left in evaluation mode.

    Raises:
        SaveError: the folder cannot be written to.
    """
    net = net.to(device).eval()
    keys = [views.row_key(position) for position in range(len(views))]
    with _locked(folder, listener):
        store = store_for(folder, net, views.preprocess)
        missing = [
            position for key, position in {k: i for i, k in enumerate(keys)}.items() if key not in store.position
        ]
        if len(missing) < len(keys):
            listener.say(
                f"{len(keys) - len(missing)} of {len(keys)} features were computed before ({store.rows.parent})"
            )
        rest = views.only(missing)
        done = 0
        for pictures, _ in ResumableLoader(rest, CHUNK, workers, train=False) if missing else ():
            maps = net.trunk(views.preprocess.normalize(pictures.to(device)))
            values = maps.mean((2, 3)).float().cpu().numpy()
            store.add([keys[i] for i in missing[done : done + len(values)]], values)
            done += len(values)
            listener.progress("Computing features", done, len(missing))
        return store, [store.position[key] for key in keys]


@contextlib.contextmanager
def _locked(folder: Path, listener: Listener) -> Iterator[None]:
    """Wait for another process that computes features."""
    with contextlib.ExitStack() as stack:
        for attempt in itertools.count():
            try:
                stack.enter_context(locked(folder))
                break
            except UsageError:  # another process holds it
                if attempt == 0:
                    listener.say(f"Waiting for another process that computes features in {folder}")
                time.sleep(0.5)
            except SaveError as error:
                raise SaveError(
                    f"cannot write features in {folder}; set TORCHINCEPTION_CACHE to another folder"
                ) from error
        yield

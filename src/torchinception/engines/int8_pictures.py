"""Pictures to calibrate 8 bits with, and different ones to check them on; the same ones every time."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from torchinception.data.folder import Folder
from torchinception.data.images import open_image
from torchinception.data.labels import match_classes
from torchinception.data.samples import Sample, Samples
from torchinception.data.split import hash_name
from torchinception.data.transforms import Preprocess, stack
from torchinception.errors import DataError, ImageError
from torchinception.progress import Listener

FEWEST = 32  # pictures to check on: fewer tell nothing
AHEAD = 32  # pictures decoded while a batch is computed


@dataclass(frozen=True)
class Chosen:
    """No content is in both. `labels` (check,) are the positions of the model's classes, or None if not known."""

    calibration: tuple[Sample, ...]
    check: tuple[Sample, ...]
    labels: Tensor | None


def choose_labelled(
    folder: Folder,
    classes: Sequence[str],
    names: Sequence[str],
    *,
    trained_on: str,
    calibration: int,
    check: int,
    listener: Listener,
) -> Chosen:
    """Of a scanned folder: those to check on as an evaluation takes them, those to calibrate with from its training.

    Of the folder that the model was trained on, what training held out is checked on. Without a split of its own to
    calibrate with, a quarter at most goes there. Which ones is for the digests of their content to say, so it is
    neither the first ones nor the same classes.

    Raises:
        DataError: there are too few pictures.
    """
    splits = folder.for_training() if folder.training_fingerprint == trained_on else folder.splits
    checked = next(name for name in ("test", "val", "all", "train") if splits.get(name))
    source = next((name for name in ("train", "val") if name != checked and splits.get(name)), checked)
    limit = calibration if source != checked else len(splits[checked]) // 4
    to_calibrate = _first(splits[source], min(calibration, limit), set())
    to_check = _first(splits[checked], check, {sample.digest for sample in to_calibrate})
    try:
        position = match_classes({folder.classes[sample.label] for sample in to_check}, classes, names)
    except DataError as error:
        listener.say(f"Classes are left aside, and answers compared with those of fp32: {error}")
        return _enough(Chosen(to_calibrate, to_check, None), folder.root)
    labels = torch.tensor([position[folder.classes[sample.label]] for sample in to_check])
    return _enough(Chosen(to_calibrate, to_check, labels), folder.root)


def choose_unlabelled(paths: Sequence[Path], *, calibration: int, check: int, listener: Listener) -> Chosen:
    """Of files, in an order that their names decide; those that cannot be read are passed over, and told.

    Raises:
        DataError: there are too few pictures.
    """
    found: dict[str, Sample] = {}
    bad: list[ImageError] = []
    for path in sorted(paths, key=lambda path: hash_name(str(path))):
        if len(found) == calibration + check:
            break
        try:
            open_image(path)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except ImageError as error:
            bad.append(error)
            continue
        found.setdefault(digest, Sample(path, 0, digest))
    if bad:
        listener.say(f"Passed over {len(bad)} pictures that cannot be read; the first is {bad[0]}")
    samples = tuple(found.values())
    taken = min(calibration, len(samples) // 4)
    return _enough(Chosen(samples[:taken], samples[taken : taken + check], None), f"{len(paths)} files")


def read(samples: Sequence[Sample], preprocess: Preprocess, batch: int = 32) -> Iterator[Tensor]:
    """Batches of these, uint8 (N, size, size, 3), the next ones decoded meanwhile.

    Raises:
        ImageError: one can no longer be read.
    """

    def cut(sample: Sample) -> Tensor:
        return preprocess.cut(sample.image())

    rest = iter(samples)
    with ThreadPoolExecutor(2) as pool:
        begun = deque(pool.submit(cut, sample) for sample in islice(rest, batch + AHEAD))
        while begun:
            cuts = [begun.popleft().result() for _ in range(min(batch, len(begun)))]
            begun.extend(pool.submit(cut, sample) for sample in islice(rest, batch))
            yield stack(cuts).permute(0, 2, 3, 1)


def _first(samples: Samples, count: int, without: set[str]) -> tuple[Sample, ...]:
    """So many of different content, in the order of their digests."""
    found: dict[bytes, int] = {}
    for index in sorted(range(len(samples)), key=samples.digest):
        if len(found) == count:
            break
        digest = samples.digest(index)
        if digest.hex() not in without:
            found.setdefault(digest, index)
    return tuple(samples[index] for index in found.values())


def _enough(chosen: Chosen, place: object) -> Chosen:
    if not chosen.calibration or len(chosen.check) < FEWEST:
        raise DataError(
            f"{place} has {len(chosen.calibration)} pictures to calibrate int8 with and {len(chosen.check)} others to "
            f"check it on; at least {FEWEST} are needed for that, and some hundreds are right for each"
        )
    return chosen

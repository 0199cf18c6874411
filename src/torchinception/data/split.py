"""A tenth held out, picture by picture and by name alone, so that new pictures move none of the old ones."""

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np

from torchinception.data.samples import Samples
from torchinception.errors import DataError

VAL_FRACTION = 0.1
_HELD_BELOW = int(VAL_FRACTION * 2**64)


def hold_out(samples: Samples, classes: Sequence[str]) -> tuple[Samples, Samples]:
    """Training and validation pictures: a picture is held out if a hash of its name lies in the lowest tenth.

    Its name is that from the root of the data on, as `roses/a.jpg`, with / on every system and in Unicode's form NFC,
    which a copy made on macOS may not have; in a tar, its name there, so that packing changes nothing; in parquet the
    file's name and the row's number. Neither contents nor order, other pictures or the locale matter. Hence
    about a tenth of each class is held out, of small classes rather more or less, and adding pictures moves none. But:

    - A class whose hashes all fall on one side lends one picture to the other: the lowest hash is held out, or the
      highest trained on. No rule without a memory does better: of a class's pictures a, b and c, added one by one,
      two are on the same side, and that pair alone would leave the other side empty. So when pictures are added, the
      one that was lent may return, or another be lent in its stead. Lent to validation (common in classes of fewer
      than ten) it can only return to training; from training to validation goes only what was lent to training,
      which needs a class all of whose hashes lie in the lowest tenth: one in 100 classes of two, one in 1,000 of three.
    - Pictures of the same content in a class stay together and are held out if the hash of any of their names is low,
      lest what is validated on be trained on. A new copy of a picture may so hold out that one.

    Raises:
        DataError: a class with fewer than two different pictures.
    """
    held = np.zeros(len(samples), bool)
    for label, name in enumerate(classes):
        of_class = np.flatnonzero(samples.labels == label).tolist()
        lowest: dict[bytes, tuple[int, str]] = {}  # of all copies of a picture
        for index in of_class:
            called = samples.name(index)
            rank = (hash_name(called), called)
            lowest[samples.digest(index)] = min(rank, lowest.get(samples.digest(index), rank))
        if len(lowest) < 2:
            raise DataError(
                f"class {name} has one distinct picture; at least two are needed, one to train and one to check"
            )
        val = {digest for digest, (place, _) in lowest.items() if place < _HELD_BELOW}
        if not val:
            val = {min(lowest, key=lowest.__getitem__)}
        elif len(val) == len(lowest):
            val.remove(max(lowest, key=lowest.__getitem__))
        held[of_class] = [samples.digest(index) in val for index in of_class]
    return samples.select(np.flatnonzero(~held)), samples.select(np.flatnonzero(held))


def hash_name(name: str) -> int:
    """Below 2**64, the same for all forms of Unicode."""
    text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")

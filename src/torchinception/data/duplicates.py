"""Pictures that are there twice: pixel by pixel, or after resizing, re-encoding, brightening or a slight crop."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from torchinception.data.images import Picture
from torchinception.progress import Listener

SIDE = 16  # of the small grey copy that is kept of every picture
NEAR_BITS = 10  # of 64 that may differ; with LIKENESS, both as measured: see tests/test_duplicates.py
LIKENESS = 0.985  # correlation of the small copies; the hash alone takes a third of all shirts for each other's copies
ROWS = 500  # between two calls of the listener
FLAT_LEVELS = 2.0  # of 255: below this standard deviation of the small copy a hash is one of noise
ENOUGH_PX = 64  # the hash looks at 32 x 32; averaging down to this first is 10 times faster than resampling alone


class Fingerprint(NamedTuple):
    """What is kept of a picture to find its like: a perceptual hash of 64 bits and `SIDE` x `SIDE` grey pixels."""

    bits: int
    small: bytes

    @property
    def flat(self) -> bool:
        """Whether there is nothing to see: one colour, an empty scan, a lens cap."""
        return float(np.frombuffer(self.small, np.uint8).std()) < FLAT_LEVELS


class Near(NamedTuple):
    """Positions of a picture and of the earlier one most like it, the bits that differ, the correlation (at most 1)."""

    picture: int
    other: int
    bits: int
    likeness: float


def fingerprint(picture: Picture) -> Fingerprint:
    """Of a picture, RGB uint8 (H, W, 3)."""
    import imagehash

    image = Image.fromarray(picture).convert("L")
    factor = max(1, min(image.size) // ENOUGH_PX)
    image = image.reduce(factor) if factor > 1 else image
    packed = np.packbits(imagehash.phash(image).hash).tobytes()
    return Fingerprint(int.from_bytes(packed, "big"), image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes())


def equal(digests: Sequence[bytes]) -> list[list[int]]:
    """The positions of each digest that is there more than once, in order."""
    places: dict[bytes, list[int]] = {}
    for position, digest in enumerate(digests):
        places.setdefault(digest, []).append(position)
    return [group for group in places.values() if len(group) > 1]


def near(
    prints: Sequence[Fingerprint], earlier: Sequence[int], digests: Sequence[bytes], listener: Listener | None = None
) -> list[Near]:
    """The most alike of the earlier pictures, for each picture that has a near-duplicate; flat pictures have none.

    Every pair is compared, by popcounts in numpy: no choice of buckets can miss one, and 100,000 pictures take seconds.

    Args:
        prints: of N pictures.
        earlier: N numbers; picture i is compared with the first `earlier[i]` pictures, at most i.
        digests: of the pixels of N pictures; equal ones are duplicates, not near-duplicates.
        listener: hears of progress.
    """
    listener = listener or Listener()
    seen = [i for i, one in enumerate(prints) if not one.flat]
    hashes = np.array([prints[i].bits for i in seen], np.uint64)
    small = np.frombuffer(b"".join(prints[i].small for i in seen), np.uint8).reshape(-1, SIDE * SIDE)
    limits = [bisect_left(seen, earlier[i]) for i in seen]
    found = []
    for row, limit in enumerate(limits):
        if row % ROWS == 0 or row + 1 == len(seen):
            listener.progress("Comparing pictures", row + 1, len(seen))
        distance = np.bitwise_count(hashes[:limit] ^ hashes[row])
        close = [j for j in np.flatnonzero(distance <= NEAR_BITS) if digests[seen[j]] != digests[seen[row]]]
        if not close:
            continue
        likeness = _centred(small[close]) @ _centred(small[row : row + 1])[0]
        best = int(likeness.argmax())
        if likeness[best] >= LIKENESS:
            other = close[best]
            found.append(Near(seen[row], seen[other], int(distance[other]), float(likeness[best])))
    return found


def _centred(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Of mean 0 and length 1, so that products are correlations."""
    rows = small.astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    centred: npt.NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return centred

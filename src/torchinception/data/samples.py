"""Samples in a few arrays: a million cost about 100 MB, and a forked worker that reads them copies nothing.

A Python object has a count of its users beside it; a worker that touches a million of them copies the memory they
lie in. Here texts lie in one block of bytes, numbers in arrays, and a `Sample` is made when it is asked for.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from torchinception.data import shards
from torchinception.data.images import Picture, open_image
from torchinception.data.remote import Place, RemotePath
from torchinception.data.tar_shards import TarMember
from torchinception.data.walk import show_place
from torchinception.errors import ImageError

DIGEST_BYTES = 32
Integers = npt.NDArray[np.int32]
Digests = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One picture: its file, or the shard that it is in, the position of its class, the SHA-256 of its bytes."""

    path: Place
    label: int
    digest: str
    member: shards.Member | None = None  # of the shard at `path`

    @property
    def place(self) -> str:
        """Its path, and the name in the shard, without passwords."""
        return show_place(self.path, self.member)

    def picture(self) -> Picture:
        """`image` as an array, RGB uint8 (H, W, 3)."""
        return np.array(self.image())

    def image(self, least: int | None = None) -> Image.Image:
        """The picture, RGB; with `least` a large JPEG file is decoded at a reduced scale, see `open_image`.

        A file that has become another picture since it was scanned is read as it is now: to notice would take
        as long as reading it twice. In a shard other bytes may be another picture's, so those are compared.

        Raises:
            ImageError: it cannot be read, or its shard is another than when it was scanned.
        """
        if self.member is None:
            assert isinstance(self.path, Path)
            return open_image(self.path, least=least)
        content = shards.read_member(self.path, self.member)
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise ImageError(f"{self.path}: {self.member}", "changed", "leave shards alone while they are in use")
        return shards.decode_member(self.path, self.member, content, least)


class Texts:
    """Texts in one block of bytes, names of files that are no text included."""

    def __init__(self) -> None:
        self._content, self._ends = bytearray(), array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, text: str) -> None:
        """At the end."""
        self._content += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._content))

    def __getitem__(self, index: int) -> str:
        return self._content[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass")


class Places:
    """Where pictures are: files, by their paths from `root` on, or members of shards."""

    def __init__(self, root: Place) -> None:
        self.root = root
        self._files, self._members = Texts(), Texts()
        self._shards: list[Place] = []
        self._shard_of = array("i")
        self._kinds: list[type[Any]] = []  # of members

    def __len__(self) -> int:
        return len(self._files) or len(self._members)

    def add_file(self, path: str) -> None:
        """A file: its path from `root` on, or an absolute one."""
        assert not self._shards, "one kind of places at a time"
        self._files.append(path)

    def add_member(self, shard: Place, member: shards.Member) -> None:
        """A picture in a shard; those of a shard come one after another."""
        assert not len(self._files), "one kind of places at a time"
        if not self._shards or self._shards[-1] != shard:
            self._shards.append(shard)
        if type(member) not in self._kinds:
            self._kinds.append(type(member))
        self._shard_of.append(len(self._shards) - 1)
        self._members.append(json.dumps([self._kinds.index(type(member)), *astuple(member)]))

    def __getitem__(self, index: int) -> tuple[Place, shards.Member | None]:
        if not self._shards:
            assert isinstance(self.root, Path)
            path = self.root / self._files[index]
            return (Path(os.path.normpath(path)) if ".." in path.parts else path), None
        kind, *values = json.loads(self._members[index])
        return self._shards[self._shard_of[index]], self._kinds[kind](*values)

    def folders(self) -> set[Path]:
        """Of this machine, those that hold a place."""
        if self._shards:
            return {shard.parent for shard in self._shards if isinstance(shard, Path)}
        assert isinstance(self.root, Path)
        return {self.root / name for name in {os.path.dirname(self._files[i]) for i in range(len(self))}}  # noqa: PTH120, a million of them

    def name(self, index: int) -> str:
        """What the picture is called, the same everywhere, in whatever tar: `roses/a.jpg`, `0.parquet/row 3`."""
        if not self._shards:
            return self._files[index].replace(os.sep, "/")
        path, member = self[index]
        if isinstance(member, TarMember):
            return str(member)
        if isinstance(path, RemotePath) and isinstance(self.root, RemotePath):
            return f"{path.below(self.root)}/{member}"
        shard = str(path).removeprefix(str(self.root)).replace(os.sep, "/").lstrip("/")
        return f"{shard or path.name}/{member}"


class Samples(Sequence[Sample]):
    """A sequence of samples; slices and selections share its memory.

    `labels` are the positions of their classes, int32 (N,).
    """

    def __init__(self, places: Places, digests: Digests, of: Integers, labels: Integers) -> None:
        """`of` (N,) says which of the places are meant, and of the rows of `digests`, uint8 (places, 32)."""
        self._places, self._digests, self._of, self.labels = places, digests, of, labels

    @classmethod
    def gather(cls, root: Place, samples: Iterable[Sample]) -> "Samples":
        """Of single ones, all of them files or all of them members of shards."""
        places, digests, labels = Places(root), bytearray(), array("i")
        for sample in samples:
            if sample.member is None:
                path = sample.path
                assert isinstance(path, Path)
                assert isinstance(root, Path)
                places.add_file(str(path.relative_to(root) if path.is_relative_to(root) else path.absolute()))
            else:
                places.add_member(sample.path, sample.member)
            digests += bytes.fromhex(sample.digest)
            labels.append(sample.label)
        rows = np.frombuffer(bytes(digests), np.uint8).reshape(-1, DIGEST_BYTES)
        return cls(places, rows, np.arange(len(labels), dtype=np.int32), np.array(labels, np.int32))

    def __len__(self) -> int:
        return len(self._of)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "Samples": ...
    def __getitem__(self, index: int | slice) -> "Sample | Samples":
        if isinstance(index, slice):
            return Samples(self._places, self._digests, self._of[index], self.labels[index])
        path, member = self._places[self._of[index]]
        return Sample(path, int(self.labels[index]), self._digests[self._of[index]].tobytes().hex(), member)

    def __iter__(self) -> Iterator[Sample]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """The same samples in the same order."""
        if not isinstance(other, Samples):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} samples in {self._places.root}>"

    def select(self, indices: npt.NDArray[np.integer[Any]]) -> "Samples":
        """Those at `indices` (M,), in that order."""
        return Samples(self._places, self._digests, self._of[indices], self.labels[indices])

    def folders(self) -> set[Path]:
        """The folders of this machine in which the pictures, or their shards, lie."""
        return self._places.folders()

    def name(self, index: int) -> str:
        """What it is called, see `Places.name`."""
        return self._places.name(self._of[index])

    def digest(self, index: int) -> bytes:
        """SHA-256 of its bytes."""
        return bytes(self._digests[self._of[index]])

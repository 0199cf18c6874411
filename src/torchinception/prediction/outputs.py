"""The files that a prediction may end in: how rows are kept until then, and how parts of them become one file."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from torchinception.errors import UsageError
from torchinception.prediction.features import write_npy, write_parquet_features
from torchinception.prediction.parts import saving
from torchinception.prediction.rows import Found
from torchinception.prediction.tables import (
    HEADER,
    INDEX,
    import_pyarrow,
    index_of,
    join_csv,
    join_parquet,
    lines_of,
    to_csv,
    to_json,
)

Write = Callable[[BinaryIO], None]


@dataclass(frozen=True)
class Output:
    """A table of predictions (`kind` csv or parquet), or features (npy or parquet).

    Raises:
        UsageError: `path` has another suffix than its kind, or is a folder, or what writes parquet files is missing.
    """

    path: Path
    kind: Literal["csv", "parquet", "npy"]
    features: bool = False

    def __post_init__(self) -> None:
        what = "the features" if self.features else "the table"
        if self.path.suffix.lower() != f".{self.kind}":  # one of a picture would be written over
            raise UsageError(f"{self.path} does not end in .{self.kind}; choose such a name for {what}")
        if os.path.isdir(self.path):  # noqa: PTH112, false for names that are too long
            raise UsageError(f"{self.path} is a folder; choose another name for {what}")
        if self.kind == "parquet":
            import_pyarrow()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the files in a part."""
        return ("rows", "features") if self.features else ("rows",)

    @property
    def index(self) -> Path:
        """Beside an array, which has no room for them: the path and the error of each of its rows."""
        return self.path.with_name(f"{self.path.name}.csv")

    def encode(self, found: Found) -> dict[str, bytes]:
        """What is appended to the files of a part; parquet can only be written whole, so it comes as JSON there."""
        lines = (line for row in found.rows for line in (index_of(row) if self.features else lines_of(row)))
        contents = dict(rows=to_json(lines) if self.kind == "parquet" else to_csv(lines))
        if found.features is not None:
            contents["features"] = found.features.numpy().astype("<f4").tobytes()
        return contents

    def join(self, parts: Sequence[Path], width: int) -> None:
        """Make one file of parts that are complete; the memory it takes does not grow with their size.

        Raises:
            SaveError: it could not be written; what was at `path` is untouched.
        """
        rows, features = ([part / name for part in parts] for name in ("rows", "features"))
        if self.kind == "npy":
            self._put(self.index, partial(join_csv, rows, INDEX), parts[0])
            self._put(self.path, partial(write_npy, features, width), parts[0])
        elif self.features:
            self._put(self.path, partial(write_parquet_features, rows, features, width), parts[0])
        elif self.kind == "parquet":
            self._put(self.path, partial(join_parquet, rows), parts[0])
        else:
            self._put(self.path, partial(join_csv, rows, HEADER), parts[0])

    def _put(self, path: Path, write: Write, scratch: Path) -> None:
        """Whole or not at all, and beside the parts until then, so that a killed process leaves nothing behind."""
        with saving(path):
            with (scratch / "joined").open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            (scratch / "joined").replace(path)
            if hasattr(os, "O_DIRECTORY"):  # not on Windows; the parts may go only after this
                directory = os.open(path.parent, os.O_DIRECTORY)
                try:
                    os.fsync(directory)
                finally:
                    os.close(directory)


def features_file(path: Path) -> Output:
    """By its suffix.

    Raises:
        UsageError: another suffix than .npy or .parquet; else as for `Output`.
    """
    match path.suffix.lower():
        case ".npy":
            return Output(path, "npy", features=True)
        case ".parquet":
            return Output(path, "parquet", features=True)
    raise UsageError(f"{path}: features go into a file that ends in .npy or .parquet; choose such a name")

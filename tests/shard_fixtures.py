"""Folders of class folders packed into shards."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    """`bag/000.png` and its content, one after another of each class, as shards are best made."""
    return [
        (p.relative_to(folder).as_posix(), p.read_bytes())
        for p in sorted(folder.rglob("*.png"), key=lambda p: (p.name, p))
    ]


def write_tar(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_keyed_tar(path: Path, files: Iterable[tuple[str, bytes]], names: list[str] | None = None) -> Path:
    """WebDataset's way: the class, or its number among `names`, in a .cls beside the picture."""
    members = []
    for number, (name, content) in enumerate(files):
        label = name.split("/")[0]
        members += [(f"{number:04}.json", b"{}"), (f"{number:04}.png", content)]
        members += [(f"{number:04}.cls", (str(names.index(label)) if names else label).encode())]
    return write_tar(path, members)


def write_parquet(
    path: Path,
    files: Iterable[tuple[str, bytes]],
    names: list[str] | None = None,
    rows: int = 4,
    plain: bool = False,
    columns: tuple[str, str] = ("image", "label"),
) -> Path:
    """Hugging Face's way, `rows` a row group; `names` make the labels numbers, `plain` the pictures binary."""
    import pyarrow as pa
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    files = list(files)
    labels: list[Any] = [name.split("/")[0] for name, _ in files]
    image: Any = [content if plain else dict(bytes=content, path=name) for name, content in files]
    metadata = {}
    if names:
        labels = [names.index(label) for label in labels]
        features = {columns[0]: dict(_type="Image"), columns[1]: dict(names=names, _type="ClassLabel")}
        metadata = dict(huggingface=json.dumps(dict(info=dict(features=features))))
    table = pa.table({columns[0]: image, columns[1]: labels}, metadata=metadata)
    parquet.write_table(table, path, row_group_size=rows)
    return path

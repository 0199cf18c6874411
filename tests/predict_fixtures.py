"""Runs of a prediction of eleven pictures, as long as a test wants them."""

from pathlib import Path
from typing import Any

from store_fixtures import Notes

from torchinception.classifier import Classifier
from torchinception.prediction import Output, Plan, Run, features_file, find_inputs

KINDS = ("named.csv", "named.parquet", "features.npy", "features.parquet")


def output(path: Path) -> Output:
    if path.name.startswith("features"):
        return features_file(path)
    return Output(path, "csv" if path.suffix == ".csv" else "parquet")


def start(model: Classifier, photos: Path, path: Path, *, notes: Notes | None = None, **options: Any) -> Run:
    plan = Plan(**dict(batch=2, output=output(path)) | options)
    return Run(model, find_inputs([str(photos)], None), plan, listener=notes)


def finish(*arguments: Any, **options: Any) -> Run:
    run = start(*arguments, **options)
    for _ in run:
        pass
    return run


def stop(run: Run, batches: int) -> None:
    """As a signal would, after so many batches."""
    rows = iter(run)
    for _ in range(batches):
        next(rows)
    rows.close()  # type: ignore[attr-defined]


def contents(path: Path) -> dict[str, bytes]:
    """A file, and what belongs to it."""
    return {found.name: found.read_bytes() for found in sorted(path.parent.glob(f"{path.name}*"))}

"""The folder of a run: what may be in it, what is written first, and when a run may begin or go on there."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchinception.data.folder import Folder
from torchinception.data.remote import is_remote
from torchinception.data.stock import is_stock
from torchinception.errors import MissingInputError, SaveError, UsageError
from torchinception.files import write_atomically
from torchinception.progress import Listener
from torchinception.training.ranks import launch_id
from torchinception.training.recipe import Recipe, flatten, load_recipe, to_toml
from torchinception.training.store import Store

RUN_FILES = (
    "recipe.toml",
    "skipped.txt",
    "checkpoints",
    "metrics.csv",
    "raw.safetensors",
    "model.safetensors",
    "report.html",
    "metrics.json",
    "tensorboard",
    "mlflow.db",
    "mlflow",
    "wandb",
)

PROGRESS = ("metrics.json", "metrics.csv", "skipped.txt", "mlflow.db", "mlflow", "tensorboard", "wandb")
LAUNCH = ".launch"  # in the run folder: which torchrun or SLURM job began it


def check_out(out: Path, data: str | Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a run folder that could not be written to, or only at the cost of somebody's files.

    Raises:
        UsageError, MissingInputError: what is wrong, and what to do.
    """
    place = Path() if is_stock(data) or is_remote(data) else Path(data).resolve()
    inside = (out.resolve(), *out.resolve().parents)
    around = (place, *place.parents)
    if place in inside:
        raise UsageError(f"{out} is inside the pictures' folder, which is never written to; choose another --out")
    if any((out / name).resolve() in around for name in RUN_FILES):
        raise UsageError(f"{data} lies where a run in {out} would put its own files; choose another --out")
    if resume and overwrite:
        raise UsageError("--resume goes on with a run, --overwrite removes it; choose one")
    mine = (out / "recipe.toml").exists()
    if resume and not out.is_dir():
        raise MissingInputError(f"no run at {out} to resume; leave --resume out to begin one")
    others = out.exists() and (not out.is_dir() or any(not _begun(p) and p.resolve() != place for p in out.iterdir()))
    if others and not mine:
        raise UsageError(f"{out} exists and is not a run folder; choose another --out")
    if mine and not (resume or overwrite):
        raise UsageError(
            f"{out} holds a run already; use --resume to go on, --overwrite to replace it, or another --out"
        )


def _begun(path: Path) -> bool:
    """Whether a run that was killed before it had written its recipe left this."""
    return path.name == ".lock" or (path.name.startswith(".recipe.toml.") and path.suffix == ".tmp")


def _forget_progress(out: Path, listener: Listener) -> None:
    """Remove what an earlier run got to; its model and report stay until there are new ones."""
    for path in (out / name for name in PROGRESS):
        try:
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SaveError(f"cannot remove {path}: {error.strerror}; remove it, or choose another --out") from error
    Store(out / "checkpoints", listener).clear()


def check_apart(out: Path, folder: Folder) -> None:
    """Refuse a run folder in which pictures lie, or that lies among them.

    Raises:
        UsageError: where.
    """
    held = {place.resolve() for samples in folder.splits.values() for place in samples.folders()}
    if isinstance(folder.root, Path) and folder.root.is_dir():
        held.add(folder.root.resolve())
    for place in sorted(held & {out.resolve(), *out.resolve().parents}):
        raise UsageError(
            f"{out} is inside {place}, where pictures are, which is never written to; choose another --out"
        )


def check_unasked(out: Path, recipe: str | Path | None, settings: Mapping[str, Any] | None) -> None:
    """Refuse to take a finished run for one of another recipe.

    Raises:
        UsageError: what was asked for that the run is not.
    """
    own = out / "recipe.toml"
    was, asked = (flatten(r.model_dump(mode="json")) for r in (load_recipe(own), load_recipe(recipe or own, settings)))
    chosen = {key for key, value in asked.items() if value is not None and (key in (settings or {}) or recipe)}
    other = [f"{key} = {asked[key]}" for key in asked if key in chosen and was.get(key) != asked[key]]
    if other:
        raise UsageError(
            f"{out} is finished, without {', '.join(other)}; use --overwrite to train anew, or another --out"
        )


def check_unchanged(out: Path, old: Recipe, new: Recipe) -> None:
    """Refuse to go on with a run by another recipe.

    Raises:
        UsageError: what differs.
    """
    was, now = (flatten(recipe.model_dump(mode="json")) for recipe in (old, new))
    changed = [f"{key} = {was[key]} became {key} = {now[key]}" for key in was if was[key] != now[key]]
    if changed:
        raise UsageError(f"cannot resume {out} with other settings: {'; '.join(changed)}; use another --out")


def open_run(out: Path, recipe: Recipe, listener: Listener, *, overwrite: bool) -> None:
    """Write the recipe, without what an earlier run or a killed save has left in the folder."""
    if overwrite:
        _forget_progress(out, listener)
    for leftover in (path for name in RUN_FILES for path in out.glob(f".{name}.*.tmp")):
        leftover.unlink(missing_ok=True)  # of a save that was killed
    Store(out / "checkpoints", listener).sweep()
    write_atomically(out / "recipe.toml", to_toml(recipe))
    if launch_id():
        write_atomically(out / LAUNCH, launch_id())
    else:
        (out / LAUNCH).unlink(missing_ok=True)


def is_of_this_launch(out: Path) -> bool:
    """Whether an earlier attempt of the same torchrun or SLURM job has begun the run."""
    launch = out / LAUNCH
    return launch.exists() and launch.read_text() == launch_id()

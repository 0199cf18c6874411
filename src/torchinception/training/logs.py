"""The rows of `metrics.csv` for TensorBoard, MLflow and Weights & Biases too, inside the run folder.

Written to their own libraries, not through Lightning's loggers, which open their files before the first row is
known. A resumed run goes on with the same record. It gives every log all of its rows from the first on, so that none
is missing, and each log sees to it that none is there twice.
"""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from torchinception.errors import UsageError
from torchinception.training.recipe import Recipe, flatten, to_toml

PROJECT = "torchinception"


class Log(Protocol):
    """Takes rows as they come."""

    def row(self, values: Mapping[str, float], step: int) -> None:
        """Write a row so that it is on the disk."""

    def close(self) -> None:
        """The run is finished."""


class TensorBoard:
    """Event files in `tensorboard`, one for each part of a run."""

    def __init__(self, out: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = out / "tensorboard", recipe
        self.writer: Any = None

    def row(self, values: Mapping[str, float], step: int) -> None:
        """The first row withdraws what an earlier part had logged."""
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(self.folder, purge_step=step)
            self.writer.add_text("recipe", f"```toml\n{to_toml(self.recipe)}```", step)
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def close(self) -> None:
        """The last file too."""
        if self.writer is not None:
            self.writer.close()


class MLflow:
    """One run in the SQLite file `mlflow.db`; its artifacts would be in `mlflow`."""

    def __init__(self, out: Path, recipe: Recipe) -> None:
        for name, value in (("MLFLOW_DISABLE_TELEMETRY", "true"), ("MLFLOW_LOGGING_LEVEL", "WARNING")):
            os.environ.setdefault(name, value)  # read when mlflow is imported, which comes next
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        out = out.resolve()
        self.client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
        experiment = self.client.get_experiment_by_name(PROJECT)
        key = experiment.experiment_id if experiment else None
        if key is None:
            key = self.client.create_experiment(PROJECT, artifact_location=(out / "mlflow").as_uri())
        runs = self.client.search_runs([key], max_results=1)
        run = runs[0] if runs else self.client.create_run(key, run_name=out.name)
        self.run, self.last = run.info.run_id, int(run.data.metrics.get("step", 0))
        if runs:
            self.client.update_run(self.run, status="RUNNING")
        else:
            values = flatten(recipe.model_dump(mode="json")).items()
            self.client.log_batch(self.run, params=[Param(key, value) for key, value in values])

    def row(self, values: Mapping[str, float], step: int) -> None:
        """Unless an interrupted run had written it."""
        from mlflow.entities import Metric

        if step > self.last:
            now_ms = time.time_ns() // 10**6
            metrics = [Metric(name, value, now_ms, step) for name, value in values.items()]
            self.client.log_batch(self.run, metrics=metrics)

    def close(self) -> None:
        """The run is FINISHED."""
        self.client.set_terminated(self.run)


class Wandb:
    """One run in `wandb`, offline unless `WANDB_MODE` says otherwise; `wandb sync` uploads it.

    Its files are written by a process of their own, which loses rows if it is killed; each part holds all rows.
    """

    def __init__(self, out: Path, recipe: Recipe) -> None:
        import wandb

        note = out / "wandb" / "id"
        note.parent.mkdir(parents=True, exist_ok=True)
        if not note.exists():
            note.write_text(secrets.token_hex(4))
        self.run = wandb.init(
            project=PROJECT,
            name=out.resolve().name,
            id=note.read_text(),
            resume="allow",
            dir=out,
            mode=os.environ.get("WANDB_MODE", "offline"),  # type: ignore[arg-type]
            config=flatten(recipe.model_dump(mode="json")),
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True),
        )

    def row(self, values: Mapping[str, float], step: int) -> None:
        """Under its step, of which the server keeps the first row."""
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        """The run is finished."""
        self.run.finish()


# what each needs; MLflow's SQLite store is not in mlflow-skinny by itself
LOGS: dict[str, tuple[Callable[[Path, Recipe], Log], tuple[str, ...]]] = {
    "tensorboard": (TensorBoard, ("tensorboard",)),
    "mlflow": (MLflow, ("mlflow", "sqlalchemy", "alembic")),
    "wandb": (Wandb, ("wandb",)),
}


def check_logs(names: Sequence[str]) -> None:
    """Refuse what cannot be logged to.

    Raises:
        UsageError: no logger of that name, or its package is missing.
    """
    for name in names:
        if name not in LOGS:
            raise UsageError(f"no logger named {name}; loggers: {', '.join(LOGS)}")
        missing = [package for package in LOGS[name][1] if not find_spec(package)]
        if missing:
            raise UsageError(f"{name} needs {', '.join(missing)}; pip install 'torchinception[track]'")


def open_logs(names: Sequence[str], out: Path, recipe: Recipe) -> list[Log]:
    """Logs that write inside the run folder `out`; each name counts once."""
    return [LOGS[name][0](out, recipe) for name in dict.fromkeys(names)]

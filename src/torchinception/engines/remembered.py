"""Which engine was the fastest, kept in the cache for the same network on the same machine."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from torchinception.engines.engine import PACKAGES, installed
from torchinception.engines.packages import package_version
from torchinception.files import cache_folder
from torchinception.machine import processor_name, usable_cores


class Trial(BaseModel):
    """How one engine did: its time for a batch and its error (`Deviation`), or what is wrong with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str
    version: str
    seconds: float | None = None
    error: float | None = None
    problem: str = ""


class Choice(BaseModel):
    """The engine that was taken, what for, and how all did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str
    network: str
    digest: str  # of the weights
    size: int
    batch: int
    threads: int
    tier: str = "default"  # of the native engine, and whether it measured its algorithms
    tune: bool = True
    machine: str
    versions: Mapping[str, str]
    trials: tuple[Trial, ...] = ()

    @property
    def path(self) -> Path:
        """Where it is kept: under a digest of all that it depends on."""
        of = self.model_dump_json(exclude={"engine", "trials"}, exclude_defaults=True)
        return cache_folder() / "engines" / f"choice-{hashlib.sha256(of.encode()).hexdigest()[:32]}.json"

    @property
    def about(self) -> str:
        """What it was made for, in a line."""
        parts = [self.network, f"{self.size} px", f"batch {self.batch}", f"threads {self.threads}"]
        parts += [f"tier {self.tier}"] * (self.tier != "default") + ["not tuned"] * (not self.tune)
        return ", ".join([*parts, self.digest[:8]])

    def describe(self) -> str:
        """What was found, in a line."""
        times = {trial.engine: trial.seconds for trial in self.trials if trial.seconds}
        speeds = [f"{name} {times['torch'] / t:.2f}" for name, t in times.items()] if "torch" in times else []
        return f"{self.engine} (speeds: {', '.join(speeds)})" if len(speeds) > 1 else self.engine


def remembered() -> list[Choice]:
    """What was chosen on this machine, as it is now, for whatever network."""
    now = (describe_machine(), engine_versions())
    found = filter(None, map(read_choice, sorted(kept_choices())))
    return [choice for choice in found if (choice.machine, dict(choice.versions)) == now]


def describe_machine() -> str:
    """The processor, what it can do, and how many cores are for this process."""
    return f"{processor_name()}, {torch.backends.cpu.get_cpu_capability()}, {usable_cores()} cores"


def read_choice(path: Path) -> Choice | None:
    """One that was kept; None if there is none, or it is damaged."""
    try:
        return Choice.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def kept_choices() -> Iterator[Path]:
    """All of them, of every machine that shares this cache."""
    return (cache_folder() / "engines").glob("choice-*.json")


def engine_versions() -> dict[str, str]:
    """Of what takes part in a choice, and of this package, whose graphs they run.

    A runtime that no installed distribution brought takes no part, as its next version could not be told from this one.
    """
    modules = {name: module for name, module in PACKAGES.items() if name in installed()}
    found = {name: package_version(module) for name, module in modules.items()}
    found["torchinception"] = package_version("torchinception")
    return dict(torch=str(torch.__version__)) | {name: number for name, number in found.items() if number}

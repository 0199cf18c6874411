"""The processes that train one network together: who is who, and how they agree.

`torchrun` and SLURM start them; each of them runs the same command. With one process all of this is nothing.
"""

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from torchinception.errors import LostProcessError, UsageError

T = TypeVar("T")
LOCAL_WORLD = ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
LOST = re.compile("gloo|nccl|timeout|timed out|pair closure|connection (reset|closed|refused)", re.IGNORECASE)
PATIENCE = timedelta(days=7)  # for what only the first process does: checking the pictures, the evaluation


@dataclass(frozen=True)
class Ranks:
    """This process among its like; `attempt` counts the restarts by torchrun or SLURM."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    attempt: int = 0
    environment: Any = None  # Lightning's description of the launcher
    prompt: Any = None  # a process group on the CPU, with the time limit
    patient: Any = None  # another, for what takes long

    @property
    def alone(self) -> bool:
        """One process only."""
        return self.world == 1

    def first(self, make: Callable[[], T]) -> T:
        """What the first process makes, however long that takes, for all of them; if it fails, all of them fail."""
        if self.alone:
            return make()
        told: list[Any] = [None, None]
        if self.rank == 0:
            try:
                told = [make(), None]
            except Exception as error:  # noqa: BLE001, raised again below
                told = [None, error]
        distributed.broadcast_object_list(told, 0, group=self.patient)
        if told[1] is not None:
            raise told[1]
        made: T = told[0]
        return made

    def gather(self, value: T) -> list[T]:
        """Everybody's value, by rank."""
        if self.alone:
            return [value]
        found: list[Any] = [None] * self.world
        distributed.all_gather_object(found, value, group=self.prompt)
        return found

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, on the CPU."""
        total = tensor.detach().cpu().clone()
        if not self.alone:
            distributed.all_reduce(total)
        return total

    def most(self, *numbers: int) -> list[int]:
        """The greatest of everybody's numbers, one by one: what one process knows, all of them know."""
        if self.alone:
            return list(numbers)
        found = torch.tensor(numbers)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return [int(number) for number in found]


def launch_id() -> str:
    """What started this process, the same in every attempt; empty if it was started by itself."""
    names = ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID")
    return next((f"{name} {os.environ[name]}" for name in names if name in os.environ), "")


def launcher() -> Any:
    """Lightning's description of what started this process as one of several, or None."""
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if SLURMEnvironment.detect() and "SLURM_STEP_ID" in os.environ:  # a step of srun, not the batch script
        return SLURMEnvironment(auto_requeue=False)
    return None


def meet(store: Any, rank: int, world: int, seconds: float) -> str:
    """A name that only processes of this attempt have, so that gloo does not find the addresses of dead ones.

    Each puts down a word of its own. The first one proposes the words that it finds, again and again, until
    everybody has found their own among them; a word of a dead process is found by nobody.

    Raises:
        LostProcessError: they did not all come in time.
    """
    word, deadline = secrets.token_hex(8), time.monotonic() + seconds
    store.set(f"word-{rank}", word)
    while time.monotonic() < deadline:
        if rank == 0:
            words = [f"word-{other}" for other in range(world)]
            if store.check(words):
                store.set("proposal", ",".join(store.get(name).decode() for name in words))
        if store.check(["proposal"]):
            proposal = store.get("proposal").decode()
            name = hashlib.sha256(proposal.encode()).hexdigest()[:16]
            if proposal.split(",")[rank : rank + 1] == [word]:
                store.set(f"{name}-{rank}", "")
                if store.check([f"{name}-{other}" for other in range(world)]):
                    return name
        time.sleep(0.05)
    raise LostProcessError(f"process {rank} of {world}: not all of them came within {seconds:.0f} s; start them again")


@contextlib.contextmanager
def together(device_type: str, timeout_seconds: float) -> Iterator[Ranks]:
    """Join the processes that were started with this one.

    Raises:
        UsageError: several processes on a device that cannot work together.
        LostProcessError: one of them died.
    """
    environment = launcher()
    own_attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or os.environ.get("SLURM_RESTART_COUNT") or "0")
    if environment is None or environment.world_size() == 1:
        yield Ranks(attempt=own_attempt if environment else 0)
        return
    if device_type not in ("cpu", "cuda"):
        raise UsageError(f"several processes train on cpu or cuda, not on {device_type}")
    rank, world = environment.global_rank(), environment.world_size()
    hosted = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    timeout = timedelta(seconds=timeout_seconds)
    try:
        store = distributed.TCPStore(  # type: ignore[attr-defined]
            environment.main_address, environment.main_port, world, rank == 0 and not hosted, timeout=timeout
        )
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo",
            store=distributed.PrefixStore(meet(store, rank, world, timeout_seconds), store),  # type: ignore[attr-defined]
            rank=rank,
            world_size=world,
            timeout=timeout,
        )
        groups = [distributed.new_group(backend="gloo", timeout=limit) for limit in (timeout, PATIENCE)]
        tasks = next((os.environ[name] for name in LOCAL_WORLD if name in os.environ), str(world))
        local_world = int(tasks.split("(")[0].split(",")[0])  # SLURM writes 8(x4)
        alone = Ranks(rank, world, environment.local_rank(), local_world, 0, environment, *groups)
        [attempt] = alone.most(own_attempt)  # of several agents only that of the lost process counts
        yield replace(alone, attempt=attempt)
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or LOST.search(str(error)):
            raise LostProcessError(
                f"process {rank} of {world}: another process of this run died or did not answer within "
                f"{timeout_seconds:.0f} s; start all of them again, a training with --resume "
                f"(torchrun --max-restarts does)"
            ) from error
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()

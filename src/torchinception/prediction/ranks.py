"""The processes that `torchrun` starts together: each takes its share, and the first one waits for the others.

They need no collective operations, only to hear of each other: that is what the store of torchrun is for.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from torchinception.errors import LostProcessError, UsageError

SILENCE_SECONDS = 300.0  # a batch takes seconds; the first one may wait for a download
PATIENCE = timedelta(hours=6)  # with the first process, which quantizes in minutes; torchrun ends all if it dies
FINISHED = b"finished"


@dataclass(frozen=True)
class Ranks:
    """This process among its like; `attempt` counts the restarts by torchrun."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    attempt: int = 0
    store: Any = None

    def share(self, count: int, batch: int) -> range:
        """Which of `count` pictures are this process's: whole batches, so that they are those of one process alone.

        >>> [Ranks(rank, 2).share(21, 4) for rank in (0, 1)]
        [range(0, 12), range(12, 21)]
        """
        batches = -(-count // batch)
        first, last = (-(-batches * rank // self.world) * batch for rank in (self.rank, self.rank + 1))
        return range(min(first, count), min(last, count))

    def device(self, name: str) -> str:
        """`auto` and `cuda`: of several processes each takes a GPU of its own."""
        count = torch.cuda.device_count() if name in ("auto", "cuda") else 0
        return f"cuda:{self.local_rank % count}" if self.world > 1 and count else name

    def tell(self, word: bytes) -> None:
        """Let the first process hear of this one: a number of pictures, or `FINISHED`.

        Raises:
            LostProcessError: the first process is gone.
        """
        if self.store is None or not self.rank:
            return
        try:
            self.store.set(f"{self.attempt} {self.rank}", word)
        except RuntimeError as error:
            raise LostProcessError(f"process {self.rank} of {self.world}: the first one is gone; {AGAIN}") from error

    def wait(self, silence_seconds: float = SILENCE_SECONDS) -> None:
        """Until all others have finished.

        Raises:
            LostProcessError: one of them has not been heard of for so long.
        """
        for rank in range(1, self.world):
            heard, since = b"", time.monotonic()
            while heard != FINISHED:
                word = self._hear(rank)
                if word != heard:
                    heard, since = word, time.monotonic()
                elif time.monotonic() - since > silence_seconds:
                    raise LostProcessError(
                        f"process {rank} of {self.world} has not been heard of for {silence_seconds:.0f} s; {AGAIN}"
                    )
                else:
                    time.sleep(0.05)

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """What the first process does ahead of the others, which find it in the cache.

        Raises:
            LostProcessError: the first process is gone.
        """
        done = f"{self.attempt} first"
        if self.rank:
            try:
                self.store.wait([done], PATIENCE)
            except RuntimeError as error:
                raise LostProcessError(
                    f"process {self.rank} of {self.world}: the first one is gone; {AGAIN}"
                ) from error
        yield
        if self.store is not None and not self.rank:
            self.store.set(done, b"")

    def _hear(self, rank: int) -> bytes:
        name = f"{self.attempt} {rank}"
        try:
            return bytes(self.store.get(name)) if self.store.check([name]) else b""
        except RuntimeError as error:
            raise LostProcessError(f"process 0 of {self.world}: torchrun's store is gone; {AGAIN}") from error


AGAIN = "start all of them again with --resume"


def find_ranks() -> Ranks:
    """As torchrun says in the environment.

    Raises:
        UsageError: it says only a part of it.
        LostProcessError: the store cannot be reached.
    """
    world = int(os.environ.get("WORLD_SIZE") or 1)
    if world == 1:
        return Ranks()
    try:
        rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except KeyError as error:
        raise UsageError(f"$WORLD_SIZE is {world} but ${error.args[0]} is not set; start it with torchrun") from None
    first = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        store = distributed.TCPStore(  # type: ignore[attr-defined]
            address, port, world, first, timeout=timedelta(seconds=SILENCE_SECONDS), wait_for_workers=False
        )
    except RuntimeError as error:
        raise LostProcessError(f"process {rank} of {world} finds no other at {address}:{port}; {AGAIN}") from error
    return Ranks(rank, world, local, int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0), store)

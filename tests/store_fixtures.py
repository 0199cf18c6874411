"""What tests of checkpoints share."""

import hashlib
import json

from torchinception.files import write_atomically
from torchinception.progress import Listener
from torchinception.training.store import Store


class Notes(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def sealed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


def save(store: Store, step: int, score: float | None = None, content: bytes = b"") -> None:
    write_atomically(store.place(step), sealed(content or f"the state at step {step}".encode()))
    store.keep(step, score)


def steps(store: Store) -> list[int]:
    """Of the files; the manifest lists the same."""
    found = sorted(int(path.name[5:-5]) for path in store.folder.glob("step-*.ckpt"))
    assert found == [row["step"] for row in json.loads(store.manifest.read_bytes())["files"]]
    return found

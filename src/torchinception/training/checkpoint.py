"""Checkpoint files that are whole and verified."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from torchinception.errors import DataError
from torchinception.files import write_atomically
from torchinception.training.store import verified


class VerifiedIO(TorchCheckpointIO):
    """Checkpoints appear whole or not at all, and end in a SHA-256 that is checked before they are used."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Serialize, append the digest, write atomically."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getvalue()
        write_atomically(path, content + hashlib.sha256(content).digest())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Verify, then read tensors and plain values only.

        Raises:
            DataError: the file is damaged.
        """
        content = verified(Path(path))
        try:
            loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location or "cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise DataError(f"checkpoint {path} holds more than tensors and plain values: {error}") from error
        return loaded

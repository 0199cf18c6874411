"""Quantized models kept for later, each with what checks of it have found in a JSON file beside it."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from torchinception.engines.int8_parity import Int8Parity
from torchinception.errors import SaveError
from torchinception.files import cache_folder, write_atomically
from torchinception.progress import Listener


def key_of(*parts: object) -> str:
    """SHA-256 of what decides something, whose texts have to say all of it."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class Kept:
    """One quantized model and its checks; what is damaged counts as not there.

    Args:
        name: of the file, in the folder `engines` of the cache.
        listener: hears of a cache that cannot be written, which is no error.
    """

    def __init__(self, name: str, listener: Listener) -> None:
        folder = cache_folder() / "engines"
        self.path, self._record, self._listener = folder / f"{name}.int8", folder / f"{name}.json", listener

    def model(self) -> bytes | None:
        """The model, if it is there and whole."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        return content if self._read().get("sha256") == hashlib.sha256(content).hexdigest() else None

    def parity(self, check: str) -> Int8Parity | None:
        """What a check has found, by the key of all that it depends on."""
        try:
            return Int8Parity(**self._read()["checks"][check])
        except (KeyError, TypeError):
            return None

    def keep_model(self, model: bytes) -> None:
        """In place of an older one and its checks."""
        try:
            write_atomically(self.path, model)
        except SaveError as error:
            self._listener.say(f"The quantized model is not kept: {error}")
            return
        self._write(dict(sha256=hashlib.sha256(model).hexdigest(), checks={}))

    def keep_parity(self, check: str, parity: Int8Parity) -> None:
        """Beside those of other checks."""
        record = self._read()
        if record:
            self._write(record | dict(checks=record["checks"] | {check: asdict(parity)}))

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads(self._record.read_bytes())
        except (OSError, ValueError):
            return {}
        whole = isinstance(record, dict) and isinstance(record.get("checks"), dict)
        return record if whole else {}

    def _write(self, record: dict[str, Any]) -> None:
        try:
            write_atomically(self._record, json.dumps(record, indent=1) + "\n")
        except SaveError as error:
            self._listener.say(f"The check of int8 is not kept: {error}")

"""What is known of a file that was finished: whoever goes on with it then has nothing to do.

A table has no room for the model that it is of, so that is kept in the cache, as the last state of the run that wrote
it. It counts as long as nobody has touched the file.
"""

import contextlib
import hashlib
import json
from pathlib import Path

from torchinception.errors import SaveError
from torchinception.files import cache_folder, write_atomically
from torchinception.prediction.parts import VERSION, State


def remember(path: Path, state: State) -> None:
    """Keep the state of a run whose file is in its place now; without a cache nothing is kept."""
    with contextlib.suppress(SaveError, OSError):
        write_atomically(_place(path), json.dumps(dict(state=state._asdict(), file=_stamp(path))))


def recall(path: Path) -> State | None:
    """The state of the run that wrote the file, if it is known and the file is as it was then."""
    try:
        content = json.loads(_place(path).read_bytes())
        state = State(**content["state"])
        return state if state.version == VERSION and content["file"] == _stamp(path) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _place(path: Path) -> Path:
    name = hashlib.sha256(str(path.absolute()).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return cache_folder() / "predictions" / f"{name}.json"


def _stamp(path: Path) -> list[int]:
    """Of the same length, and written at the same time."""
    told = path.stat()
    return [told.st_size, told.st_mtime_ns]

"""Fetching a file of a Hugging Face repository, with that site's own client."""

import os
import tempfile
from pathlib import Path
from typing import Any, cast

from torchinception.errors import ModelFileError
from torchinception.files import cannot_write
from torchinception.progress import Listener
from torchinception.weights.cached import MOST_BYTES, BadConnectionError, NoFileError, by_hand, read
from torchinception.weights.catalogue import Entry


def download_from_hub(entry: Entry, path: Path, listener: Listener) -> str:
    """From the Hugging Face repository `entry.hub` to `path`; returns the SHA-256.

    Raises:
        BadConnectionError: trying again may help.
        NoFileError: the repository or its file is not there.
        ModelFileError: what came is not what the hub says it has.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Progress(tqdm):  # type: ignore[misc]
        """Tells the listener instead of the terminal."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs | dict(disable=True))
            self.total, self.n = kwargs.get("total"), kwargs.get("initial") or 0

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            listener.progress(f"Downloading {entry.name}", int(self.n), int(self.total or self.n))

    # the root of its HTTP library's errors; which library that is depends on its version
    network_error = cast("type[Exception]", HfHubHTTPError.__bases__[0])
    assert entry.hub
    try:  # first, because it answers at once where the network is closed; the download itself tries for a minute
        told = get_hf_file_metadata(hf_hub_url(entry.hub, entry.file), token=False)
    except HfHubHTTPError as error:
        transient = error.response.status_code == 429 or error.response.status_code >= 500
        raise (BadConnectionError if transient else NoFileError)(str(error).splitlines()[0]) from error
    except network_error as error:
        raise BadConnectionError(str(error) or type(error).__name__) from error
    if (told.size or 0) > MOST_BYTES:
        raise ModelFileError(f"{entry.address} is larger than the {MOST_BYTES} bytes expected; {by_hand(entry)}")
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            file = Path(
                hf_hub_download(
                    entry.hub, entry.file, revision=told.commit_hash, local_dir=folder, token=False, tqdm_class=Progress
                )
            )
            digests = read(entry, file)
            digests.check(entry.address)
            if len(told.etag or "") == 64 and told.etag != digests.sha256.hexdigest():  # a large file's is its SHA-256
                raise ModelFileError(
                    f"{entry.address} arrived damaged: its SHA-256 is not the hub's {told.etag}; try again; "
                    f"{by_hand(entry)}"
                )
            with file.open("rb") as written:
                os.fsync(written.fileno())
            file.replace(path)
    except (HfHubHTTPError, LocalEntryNotFoundError, network_error) as error:  # after tries of its own
        raise NoFileError(str(error.__cause__ or error).splitlines()[0]) from error
    except OSError as error:
        raise cannot_write(path, error) from error
    return digests.sha256.hexdigest()

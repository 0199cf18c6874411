"""Everything the package raises on purpose; each error knows the exit code of the command line."""

from pathlib import Path


class InceptionError(Exception):
    """The root: catch this to catch every deliberate error of the package."""

    exit_code = 70


class UsageError(InceptionError, ValueError):
    """A setting, name or combination of options that cannot work."""

    exit_code = 2


class DataError(InceptionError):
    """Pictures, folders or model files that are there but cannot be used."""

    exit_code = 65


class ImageError(DataError):
    """One picture that cannot be used: where it is, why (a short code), and what to do."""

    def __init__(self, path: str | Path, reason: str, advice: str) -> None:
        super().__init__(path, reason, advice)  # all three, so that it survives pickling
        self.path, self.reason, self.advice = str(path), reason, advice

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; {self.advice}"


class ModelFileError(DataError):
    """A model file that is damaged, foreign, or from a newer version."""


class NoClassifierError(ModelFileError):
    """A file of features alone, where the answers of a classifier are asked for."""


class MissingInputError(InceptionError, FileNotFoundError):
    """A file or folder that was named but is not there."""

    exit_code = 66


class SaveError(InceptionError, OSError):
    """A file or folder that could not be written; what stood there before is untouched."""

    exit_code = 74


class InterruptedRunError(InceptionError):
    """Stopped by a signal, after a clean save."""

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(signum, message)
        self.exit_code = 128 + signum

    def __str__(self) -> str:
        return str(self.args[1])


class LostProcessError(InceptionError):
    """Another process of the same run died, or no longer answers."""

"""What runs in a forked child: the command line, and at an exact moment a signal or an error if a test asks for one."""

import faulthandler
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

PRELOAD = (  # imported once, by the server that children are forked from; a fresh process needs 6 s for them
    "lightning.pytorch",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "torchinception.cli",
    "torchinception.doctor",
    "torchinception.prediction",
    "torchinception.summary",
    "torchinception.training.demo",
    "torchmetrics",
    "torchvision.transforms.v2",
)


@dataclass
class At:
    """A moment: the `nth` time that a run opens a file like `path`, or with `event="os.rename"` puts one in its place.

    Counted over the process and its workers, from when the run has written its recipe, which leaves out the
    check of the pictures; with `begun=True` from the start. At that moment the process sends itself `signum`,
    or with `group=True` its workers too, as Ctrl-C in a terminal does; or what was to be done fails with `error`.
    """

    path: str
    nth: int = 1
    signum: int = 0
    error: Exception | None = None
    event: str = "open"
    group: bool = False
    begun: bool = False

    def install(self) -> None:
        """Audit hooks hear of every file that Python opens or renames; workers inherit them."""
        self.process, self.left = os.getpid(), multiprocessing.get_context("fork").Value("i", self.nth)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "os.rename"):
            return
        path = str(arguments[event == "os.rename"])
        self.begun |= event == "os.rename" and path.endswith("recipe.toml")
        if not self.begun or event != self.event or not fnmatch(path, self.path):
            return
        with self.left.get_lock():
            self.left.value -= 1
            now = self.left.value == 0
        if now:
            self._strike()

    def _strike(self) -> None:
        if self.error:
            raise self.error
        if self.group:
            os.killpg(self.process, self.signum)
        elif os.getpid() == self.process:
            os.kill(self.process, self.signum)


def run(
    arguments: Sequence[str], cwd: Path, output: Path, moments: Sequence[At], environment: Mapping[str, str]
) -> None:
    """`inception ARGUMENTS` in `cwd`, in a process group of its own; what it prints goes to files in `output`."""
    multiprocessing.set_start_method(None, force=True)  # that of a fresh process, not this child's own
    os.setsid()
    os.chdir(cwd)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(output / name, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    faulthandler.dump_traceback_later(500)  # to stderr, which `Running.finish` shows of one that hangs
    os.environ.update(environment)
    sys.argv = ["inception", *arguments]
    for moment in moments:
        moment.install()
    from torchinception.cli import main

    main()

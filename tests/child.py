"""What runs in a forked child: the command line, with a signal or an error at an exact moment if a test asks for one."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

PRELOAD = (  # imported once, in the server that children are forked from: a fresh process would pay 6 s for them
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
    """The `nth` time that a run opens a file like `path` (or renames one to it, with `event="os.rename"`).

    Counted from when the run has written its recipe, so that the first look at the pictures is left out.
    Then the process gets `signum`, or its whole group does, as after Ctrl-C in a terminal; 0 raises an error.
    """

    path: str
    nth: int = 1
    signum: int = 0
    event: str = "open"
    group: bool = False
    begun: bool = False

    def install(self) -> None:
        """Audit hooks see every file that Python opens or renames, and workers inherit them."""
        self.process = os.getpid()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "os.rename"):
            return
        path = str(arguments[1 if event == "os.rename" else 0])
        self.begun |= event == "os.rename" and path.endswith("recipe.toml")
        if not self.begun or event != self.event or not fnmatch(path, self.path):
            return
        self.nth -= 1
        if self.nth != 0:
            return
        if not self.signum:
            raise ZeroDivisionError(f"planted at {path}")
        if self.group:
            os.killpg(0, self.signum)
        elif os.getpid() == self.process:
            os.kill(self.process, self.signum)


def run(arguments: Sequence[str], cwd: Path, moments: Sequence[At]) -> None:
    """`inception ARGUMENTS` in `cwd`, in a group of its own; what it prints goes into files there."""
    os.setsid()
    os.chdir(cwd)
    for descriptor, name in ((1, ".stdout"), (2, ".stderr")):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = ["inception", *map(str, arguments)]
    for moment in moments:
        moment.install()
    from torchinception.cli import main

    main()

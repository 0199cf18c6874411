"""A training step of ours beside torchvision's same network, in the same plain loop.    make bench

The same batch and size, auxiliary heads off on both, SGD; ours channels last, as our training runs it, theirs as it
comes and channels last. One and two threads, in one run.
"""

import json
import os
import platform
import warnings
from collections.abc import Callable

import torch
import torchvision
from run import RESULTS, compare
from torch import nn

from torchinception.models import create


def step(net: nn.Module, size: int, batch: int, memory: torch.memory_format) -> Callable[[], None]:
    """One step of forward, backward and SGD with momentum."""
    net = net.train().to(memory_format=memory)  # type: ignore[call-overload]
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=memory)
    labels = torch.arange(batch) % 10
    optimizer = torch.optim.SGD(net.parameters(), 0.001, 0.9)

    def run() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return run


def main() -> None:
    """Both networks with one and two threads."""
    warnings.simplefilter("ignore")  # torchvision's, of its own initialization
    results: dict[str, object] = dict(
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        versions=dict(torch=torch.__version__, torchvision=torchvision.__version__),
    )
    options = dict(num_classes=10, aux_logits=False, init_weights=False, transform_input=False)
    for name, size, batch in (("googlenet", 224, 8), ("inception_v3", 299, 4)):
        build = getattr(torchvision.models, name)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            sides = {
                "ours": step(create(f"{name}_torch", 10), size, batch, torch.channels_last),
                "torchvision": step(build(**options), size, batch, torch.contiguous_format),
                "torchvision, channels last": step(build(**options), size, batch, torch.channels_last),
            }
            title = f"A training step of {name} at {size} px, batch {batch}, {threads} threads"
            results[title] = compare(title, sides, rounds=7)
    (RESULTS / "training.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

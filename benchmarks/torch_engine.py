"""The `torch` engine beside PyTorch as it is, and without each of its rewrites: batch 1, one thread, CPU time.

Random weights and pictures; before anything is timed, every side's logits are held against float64.
"""

import copy
import json
import os
import platform
import time
from functools import partial

import torch
from run import RESULTS, Side, compare
from torch import Tensor

from torchinception.engines.module import to_module
from torchinception.engines.rewrite import REWRITES, fold_scaling
from torchinception.engines.torch_engine import TorchEngine
from torchinception.models import create, find_spec

ALLOWED = 1e-4  # of the largest logit


def sides_of(name: str) -> dict[str, Side]:
    """What is to be timed; all have answered right."""
    torch.manual_seed(0)
    net, size = create(name, dropout=0.0).train(), find_spec(name).size
    pictures = torch.randn(1, 3, size, size)
    net(torch.randn(4, 3, size, size))  # for the statistics of batch norm
    right = copy.deepcopy(net.eval()).double()(pictures.double())
    last = pictures.contiguous(memory_format=torch.channels_last)
    engine = TorchEngine(net)
    kept = {
        one.__name__: [other for other in REWRITES if other is not one] for one in REWRITES if one is not fold_scaling
    }
    sides: dict[str, Side] = {
        "eager, channels last": partial(copy.deepcopy(net).to(memory_format=torch.channels_last), last),
        "eager, contiguous": partial(net, pictures),
        "engine": partial(engine.run, pictures),
        "engine without packed weights": partial(to_module(engine.graph), last),
        "engine without rewrites": partial(TorchEngine(net, rewrites=()).run, pictures),
        **{
            f"engine without {one}": partial(TorchEngine(net, rewrites=rest).run, pictures)
            for one, rest in kept.items()
        },
    }
    for side, run in sides.items():
        found = run()
        assert isinstance(found, Tensor)
        error = ((found - right).abs().max() / right.abs().max()).item()
        print(f"{name}, {side}: differs from float64 by {error:.1e} of the largest logit")
        assert error <= ALLOWED
    return sides


def main() -> None:
    """Run every comparison."""
    torch.set_num_threads(1)
    results: dict[str, object] = dict(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        versions=dict(torch=torch.__version__),
    )
    with torch.inference_mode():
        for name in ("googlenet", "inception_v3", "inception_v4", "inception_resnet_v2"):
            title = f"{name} at {find_spec(name).size} px"
            results[title] = compare(title, sides_of(name), rounds=11, clock=time.process_time)
    (RESULTS / "torch_engine.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

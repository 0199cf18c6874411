"""What choosing an engine costs, the first time and later, and what it comes to.    make bench

Each network in a process of its own with an empty cache: seconds from a loaded network to an engine that has answered,
as `predict` and `evaluate` wait for it; batch 8; and how much memory each engine takes, in a process of its own too.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

from run import RESULTS

NETWORKS = ("googlenet", "inception_v3", "inception_v4", "inception_resnet_v2")


def settle(name: str):
    import torch

    import torchinception as ti

    torch.manual_seed(0)
    net, size = ti.create(name, dropout=0.0).train(), ti.NETWORKS[name].size
    with torch.no_grad():
        net(torch.randn(4, 3, size, size))  # for the statistics of batch norm
    return net.eval(), size


def choose(name: str, threads: int) -> dict[str, object]:
    import torchinception as ti
    from torchinception.engines.remembered import remembered

    net, _ = settle(name)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        engine = ti.engine(net, batch=8, threads=threads)
        seconds.append(time.perf_counter() - start)
    (choice,) = remembered()
    trials = {trial.engine: dict(seconds=trial.seconds, error=trial.error) for trial in choice.trials}
    return dict(engine=engine.name, first_seconds=seconds[0], later_seconds=seconds[1], trials=trials)


def memory(name: str, engine: str) -> dict[str, object]:
    import torchinception as ti
    from torchinception.engines.checked import check_pictures
    from torchinception.engines.engine import Preprocess

    net, size = settle(name)
    ready = ti.engine(net, engine, batch=8, threads=1)
    ready.run_uint8(check_pictures(8, Preprocess(size=size)))
    return dict(memory_bytes=ready.memory_bytes)


def in_a_process(*arguments: object) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | dict(TORCHINCEPTION_CACHE=cache, GOMP_SPINCOUNT="1000")
        command = [sys.executable, __file__, *map(str, arguments)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run everything."""
    results: dict[str, object] = {}
    for name in NETWORKS:
        for threads in (1, 2):
            found = results[f"{name}, {threads} threads"] = in_a_process("choose", name, threads)
            first, later = found["first_seconds"], found["later_seconds"]
            print(f"{name}, {threads} threads: {found['engine']}, first {first:.1f} s, later {later:.2f} s")
        results[f"{name}, memory"] = {
            engine: in_a_process("memory", name, engine)["memory_bytes"]
            for engine in ("torch", "onnx", "openvino", "eager")
        }
        print({engine: f"{bytes_ / 1e6:.0f} MB" for engine, bytes_ in results[f"{name}, memory"].items()})
    (RESULTS / "choice.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["choose"]:
        print(json.dumps(choose(sys.argv[2], int(sys.argv[3]))))
    elif sys.argv[1:2] == ["memory"]:
        print(json.dumps(memory(*sys.argv[2:])))
    else:
        main()

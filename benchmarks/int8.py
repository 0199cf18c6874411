"""Engines in 8 bits beside the same runtimes in fp32: batch 1, one thread, CPU time.

Random weights, and pictures of noise over a gradient: what a network answers with such weights says nothing of what
8 bits do to trained ones, so differences are printed, and none is refused. Accuracy is for `quantize_model` to say.
"""

import json
import os
import platform
import resource
import time
from functools import partial
from importlib.metadata import version

import torch
from run import RESULTS, Side, compare
from torch import Tensor

from torchinception.data.transforms import Preprocess
from torchinception.engines.engine import Engine, build
from torchinception.engines.int8 import INT8_ENGINES, load_quantized, quantized_model
from torchinception.engines.int8_graph import saturates
from torchinception.models import create, find_spec

CALIBRATION = 64


def pictures_of(size: int) -> Tensor:
    """Uint8 (N, size, size, 3)."""
    draw = torch.Generator().manual_seed(0)
    slope = torch.linspace(0, 128, size)[:, None, None]
    noise = 128 * torch.rand(CALIBRATION, size, size, 3, generator=draw)
    return (slope + noise).to(torch.uint8)


def engines_of(name: str, found: dict[str, object]) -> dict[str, Engine]:
    """Every engine; what quantizing took goes into `found`."""
    torch.manual_seed(0)
    size = find_spec(name).size
    preprocess, pictures = Preprocess(size=size), pictures_of(size)
    net = create(name, dropout=0.0).train()
    with torch.no_grad():
        net(preprocess.normalize(pictures[:4].permute(0, 3, 1, 2)))  # for the statistics of batch norm
    net.eval()
    engines = {f"{runtime}, fp32": build(runtime, net, preprocess=preprocess, threads=1) for runtime in INT8_ENGINES}
    for runtime in INT8_ENGINES:
        start = time.perf_counter()
        model = quantized_model(runtime, net, preprocess, pictures.split(16))
        found[f"{runtime} quantized"] = dict(
            pictures=CALIBRATION,
            seconds=time.perf_counter() - start,
            bytes=len(model),
            peak_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,  # of the process so far
        )
        engines[f"{runtime}, int8"] = load_quantized(runtime, net, preprocess, model, (size, size), threads=1)
    return engines


def main() -> None:
    """Run every comparison."""
    torch.set_num_threads(1)
    packages = ("torch", "onnxruntime", "openvino", "nncf")
    results: dict[str, object] = dict(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {'no ' * saturates()}VNNI",
        versions={package: version(package) for package in packages},
    )
    for name in ("googlenet", "inception_v3"):
        found: dict[str, object] = {}
        engines = engines_of(name, found)
        one = pictures_of(find_spec(name).size)[:1]
        sides: dict[str, Side] = {side: partial(engine.run_uint8, one) for side, engine in engines.items()}
        right = engines["onnx, fp32"].run_uint8(one)
        for side, engine in engines.items():
            error = ((engine.run_uint8(one) - right).abs().max() / right.abs().max()).item()
            print(f"{name}, {side}: differs from fp32 by {error:.1e} of the largest logit")
            found[f"{side} differs by"] = error
        title = f"{name} at {find_spec(name).size} px"
        results[title] = found | compare(title, sides, rounds=11, clock=time.process_time)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "int8.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""GFLOP/s of the family's convolutions by each algorithm, one thread, against the peak of multiply-adds.

PYTHONPATH=src python benchmarks/native_layers.py [--level avx2] [--batch 8] [--cold] [--threads 2] [--only 35x35]

Rates are those that direct convolution would need for the time taken, so Winograd's exceed the peak. Each is the best
of many runs. `--cold` reads 64 MB of something else ahead of each run, as the rest of a network does.
A star marks what the written rule chooses in the fast tier.
"""

import argparse
import ctypes
from pathlib import Path

import torch

from torchinception.engines.native_library import NOTHING, Context, Plan, Segment, Weights, load
from torchinception.engines.operations import UNPADDED, Sides

# height (= width), channels, outputs, kernel, stride, padded
LAYERS = [
    (35, 288, 240, (1, 1), 1, False),
    (17, 768, 704, (1, 1), 1, False),
    (8, 2048, 1344, (1, 1), 1, False),
    (73, 64, 80, (1, 1), 1, False),
    (14, 512, 296, (1, 1), 1, False),
    (7, 832, 624, (1, 1), 1, False),
    (149, 32, 32, (3, 3), 1, False),
    (147, 32, 64, (3, 3), 1, True),
    (73, 80, 192, (3, 3), 1, False),
    (56, 64, 192, (3, 3), 1, True),
    (35, 96, 96, (3, 3), 1, True),
    (28, 128, 192, (3, 3), 1, True),
    (14, 160, 320, (3, 3), 1, True),
    (7, 192, 384, (3, 3), 1, True),
    (8, 448, 384, (3, 3), 1, True),
    (35, 48, 64, (5, 5), 1, True),
    (28, 32, 96, (5, 5), 1, True),
    (14, 32, 128, (5, 5), 1, True),
    (7, 48, 128, (5, 5), 1, True),
    (17, 128, 128, (1, 7), 1, True),
    (17, 192, 192, (7, 1), 1, True),
    (8, 384, 384, (1, 3), 1, True),
    (35, 288, 384, (3, 3), 2, False),
    (17, 192, 320, (3, 3), 2, False),
    (299, 3, 32, (3, 3), 2, False),
    (115, 12, 64, (4, 4), 1, False),
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--level")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--build", type=Path, help="Another libtorchinception.so.")
    arguments = parser.parse_args()
    library = load(arguments.build)
    level = arguments.level or library.levels()[-1]
    peak, product = library.measure(level, 192, 0.3)
    print(f"{level}: peak {peak:.0f} GFLOP/s a thread, matrix product {product:.0f}")
    context, other = Context(library, level, arguments.threads), torch.zeros(16 << 20)
    for size, channels, outputs, kernel, stride, padded in LAYERS:
        name = f"{kernel[0]}x{kernel[1]}/{stride} {size}x{size} {channels}->{outputs}"
        if arguments.only not in name:
            continue
        pad = Sides(*(side // 2 for side in kernel for _ in range(2))) if padded else UNPADDED
        height, width = (
            (size + 2 * before - side) // stride + 1 for before, side in zip((pad.top, pad.left), kernel, strict=True)
        )
        flops = 2 * arguments.batch * height * width * channels * outputs * kernel[0] * kernel[1]
        weight = torch.randn(outputs, channels, *kernel, dtype=torch.float64)
        chosen = context.choose("fast", weight.shape, stride, arguments.batch, height, width)
        line = f"{name:26}"
        for number, algorithm in enumerate(library.algorithms):
            if not library.call("algorithm_fits", number, *kernel, stride):
                continue
            plan = Plan(context, arguments.batch)
            before, after = plan.buffer(size, size, channels), plan.buffer(height, width, outputs)
            plan.add("pictures", before, (size, size), UNPADDED, 1, torch.ones(channels), torch.zeros(channels))
            plan.add("convolution", before, Weights(context, algorithm, weight, None), stride, pad, [Segment(after)])
            mean = plan.buffer(1, 1, outputs)  # so that the layer writes into the arena, not into memory that is new
            plan.add("pool", after, "adaptive", (1, 1), 1, UNPADDED, None, False, None, None, NOTHING, mean, False)
            plan.finish(mean)
            pictures, times = torch.randn(arguments.batch, channels, size, size), (ctypes.c_int64 * 3)()
            best = None
            for _ in range(arguments.runs):
                if arguments.cold:
                    other.add_(1)
                plan.run(pictures, nanoseconds=times)
                best = min(best or times[1], times[1])
            rate = flops / best
            mark = "*" if algorithm == chosen else ""
            line += f"  {mark}{algorithm} {rate:.0f} ({rate / peak / arguments.threads:.2f}, {best / 1000:.0f} us)"
        print(line, flush=True)


if __name__ == "__main__":
    main()

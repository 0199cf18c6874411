"""Every engine beside torchvision and timm with the same weights, in PyTorch and in the runtimes themselves.

What `inception bench --peers` measures, for the networks whose figures are published. An hour; for a look at one:
python benchmarks/runtimes.py --networks googlenet_torch --rounds 3 --out /tmp/runtimes
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from run import RESULTS

from torchinception.bench import table
from torchinception.bench.measure import ROUNDS, measure
from torchinception.bench.plot import plot
from torchinception.bench.records import Case
from torchinception.bench.results import check_folder, describe
from torchinception.console import out, print_table

BOTH = ("googlenet_torch", "inception_v3_torch")  # with one thread and with two: torchvision's
ONE = ("inception_v4", "inception_resnet_v2", "googlenet")  # timm's, and true 5x5 convolutions, which no other has
BATCHES = (1, 8)


def summary(cases: Sequence[Case]) -> None:
    """What is promised of each case: the best of ours beside the reference and beside the best of the runtimes."""
    rows = []
    for case in cases:
        best, beside = case.best("ours"), case.best_beside_runtimes
        if best and beside:
            speed, peak = case.speed(best), case.fraction_of_peak(best)
            assert speed
            what = (case.network, case.batch, case.threads, best.side, case.reference)
            rows.append((*what, f"{speed.median:.2f}", f"{beside.median:.2f}", f"{peak or 0:.0%}"))
    headings = ("network", "batch", "threads", "ours", "reference", "times-as-fast", "as-the-runtimes", "of-peak")
    print_table("Best of ours", headings, rows, "batch threads times-as-fast as-the-runtimes of-peak")


def main() -> None:
    """Measure all, or the networks that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=(*BOTH, *ONE))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    check_folder(asked.out)
    cases = []
    for network in asked.networks:
        threads = (1, 2) if network in BOTH else (1,)
        for case in measure([network], batches=BATCHES, threads=threads, peers=True, rounds=asked.rounds):
            cases.append(case)
            print_table(table.title(case), table.HEADINGS, table.lines(case), table.NUMBERS)
            out.print("\n".join(table.remarks(case)) + "\n")
            (asked.out / "runtimes.json").write_text(json.dumps(describe(cases), indent=1) + "\n")
            (asked.out / "runtimes.png").write_bytes(plot(cases))
    summary(cases)


if __name__ == "__main__":
    main()

"""Every engine beside torchvision and timm with the same weights, in PyTorch and in the runtimes themselves.

What `inception bench --peers` measures, for the networks whose figures are published. An hour; for a look at one:
python benchmarks/runtimes.py --networks googlenet_torch --rounds 3 --out /tmp/runtimes
"""

from collections.abc import Iterator, Sequence

from cases import options, tell

from torchinception.bench.measure import measure
from torchinception.bench.records import Case
from torchinception.bench.results import check_folder
from torchinception.console import print_table

BOTH = ("googlenet_torch", "inception_v3_torch")  # with one thread and with two: torchvision's
ONE = ("inception_v4", "inception_resnet_v2", "googlenet")  # timm's, and true 5x5 convolutions, which no other has
BATCHES = (1, 8)


def measured(networks: Sequence[str], rounds: int) -> Iterator[Case]:
    """One after the other, every side."""
    for network in networks:
        threads = (1, 2) if network in BOTH else (1,)
        yield from measure([network], batches=BATCHES, threads=threads, peers=True, rounds=rounds)


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
    asked = options(__doc__, (*BOTH, *ONE)).parse_args()
    check_folder(asked.out)
    summary(tell(measured(asked.networks, asked.rounds), asked.out, "runtimes"))


if __name__ == "__main__":
    main()

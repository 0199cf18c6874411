"""The native engine beside the best of ONNX Runtime, OpenVINO and ncnn, and beside torchvision or timm.

The same weights in all. Runtimes are given what PyTorch exports of the peer's network, and our own graph: the best of
these counts. Sides that take a minute to compile, and are slower, are left out; benchmarks/runtimes.py has them.
Half an hour; for a look: python benchmarks/native.py --networks googlenet_torch --rounds 3 --out /tmp/native
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from run import RESULTS

from torchinception.bench import table
from torchinception.bench.measure import ROUNDS, measure_case
from torchinception.bench.ours import engine_sides
from torchinception.bench.peers import make_peer, peer_sides
from torchinception.bench.plot import plot
from torchinception.bench.records import Case, Ratio, Row, compare
from torchinception.bench.results import check_folder, describe
from torchinception.bench.subjects import make_subject
from torchinception.console import out, print_table
from torchinception.engines.native_engine import native_problem
from torchinception.errors import UsageError

BOTH = ("googlenet_torch", "inception_v3_torch")  # with one thread and with two
ONE = ("googlenet", "bn_inception", "inception_v4", "inception_resnet_v2", "xception_torch")
BATCHES = (1, 8)
RUNTIMES = ("onnx", "openvino", "ONNX Runtime", "OpenVINO", "ncnn")  # what the names of their sides end in


def cases(networks: Sequence[str], rounds: int) -> Iterator[Case]:
    """One after the other, every side but those that compile."""
    for network in networks:
        with tempfile.TemporaryDirectory(prefix="torchinception-bench-") as name:
            folder = Path(name)
            subject = make_subject(network, max(BATCHES), folder)
            peer = make_peer(subject, folder)
            for threads in (1, 2) if network in BOTH else (1,):
                for batch in BATCHES:
                    pictures = subject.pictures[:batch].numpy()
                    theirs, notes = peer_sides(peer, pictures, threads, folder)
                    sides = [*engine_sides(subject.file, pictures, threads), *theirs]
                    sides = [side for side in sides if "compile" not in side.name]
                    notes = [note for note in (peer.note, *notes) if note]
                    yield measure_case(
                        subject, sides, batch, threads, reference=peer.reference, rounds=rounds, notes=notes
                    )


def beside_best(case: Case) -> tuple[Row, Ratio] | None:
    """The best of the runtimes, and how many times as fast as that the native engine is."""
    native = next((row for row in case.timed if row.side == "native"), None)
    best = next((row for row in case.timed if row.side.endswith(RUNTIMES)), None)
    return (best, compare(best.seconds, native.seconds)) if native and best else None


def summary(found: Sequence[Case]) -> None:
    """The native engine in each case."""
    rows = []
    for case in found:
        native, best = next(row for row in case.rows if row.side == "native"), beside_best(case)
        speed = case.speed(native)
        if best and speed and native.error is not None:
            ratio = f"{best[1].median:.2f} ({best[1].low:.2f} to {best[1].high:.2f})"
            what = (case.network, case.batch, case.threads, f"{case.milliseconds(native):.1f}", best[0].side, ratio)
            rows.append((*what, f"{speed.median:.2f}", case.reference, f"{native.error:.0e}"))
    headings = (
        "network",
        "batch",
        "threads",
        "ms",
        "best-runtime",
        "times-that",
        "times-reference",
        "reference",
        "error",
    )
    print_table("The native engine", headings, rows, "batch threads ms times-that times-reference error")


def main() -> None:
    """Measure all, or the networks that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=(*BOTH, *ONE))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    check_folder(asked.out)
    if problem := native_problem():
        raise UsageError(problem)
    found: list[Case] = []
    for case in cases(asked.networks, asked.rounds):
        found.append(case)
        print_table(table.title(case), table.HEADINGS, table.lines(case), table.NUMBERS)
        out.print("\n".join(table.remarks(case)) + "\n")
        (asked.out / "native.json").write_text(json.dumps(describe(found), indent=1) + "\n")
        (asked.out / "native.png").write_bytes(plot(found))
    summary(found)


if __name__ == "__main__":
    main()

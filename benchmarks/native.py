"""The native engine beside the best of ONNX Runtime, OpenVINO and ncnn, and beside torchvision or timm.

The same weights in all. Runtimes are given what PyTorch exports of the peer's network, and our own graph: the best of
these counts. The engine is measured tuned, by its rule alone, and in its fast tier. Sides that take a minute to
compile, and are slower, are left out; benchmarks/runtimes.py has them. Three quarters of an hour; for a look:
python benchmarks/native.py --networks googlenet_torch --rounds 3 --out /tmp/native
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from cases import options, tell

from torchinception.bench.measure import measure_case
from torchinception.bench.ours import engine_sides, native_side
from torchinception.bench.peers import make_peer, peer_sides
from torchinception.bench.records import Case, Ratio, Row, compare
from torchinception.bench.results import check_folder
from torchinception.bench.side import Side
from torchinception.bench.subjects import make_subject
from torchinception.bench.worker import Load, Prepare
from torchinception.console import print_table
from torchinception.engines import native_engine
from torchinception.errors import UsageError

BOTH = ("googlenet_torch", "inception_v3_torch")  # with one thread and with two
ONE = ("googlenet", "bn_inception", "inception_v4", "inception_resnet_v2", "xception_torch")
BATCHES = (1, 8)
NATIVE, RULE, FAST = "native", "native, rule", "native, fast"
RUNTIMES = ("onnx", "openvino", "ONNX Runtime", "OpenVINO", "ncnn")  # what the names of their sides end in

# Of others: oneDNN's convolutions in PyTorch and OpenVINO, PyTorch's own loops and MKL, OpenVINO's other kernels, and
# the matrix product. ONNX Runtime and ncnn ask the processor, and cannot be told to use less than it has.
LIMITS = dict(
    avx2=dict(
        ONEDNN_MAX_CPU_ISA="AVX2",
        ATEN_CPU_CAPABILITY="avx2",
        MKL_ENABLE_INSTRUCTIONS="AVX2",
        OV_CPU_MAX_ISA="AVX2",
        OPENBLAS_CORETYPE="Haswell",
    )
)
UNLIMITED = ("onnx", "ONNX Runtime", "ncnn")
LIMITED = "limited to {level}; ONNX Runtime and ncnn are left out, which cannot be, and would use all instructions"


def cases(networks: Sequence[str], rounds: int, level: str | None) -> Iterator[Case]:
    """One after the other, every side but those that compile, or that a level does not hold for."""
    left_out = UNLIMITED if level else ()
    for network in networks:
        with tempfile.TemporaryDirectory(prefix="torchinception-bench-") as name:
            folder = Path(name)
            subject = make_subject(network, max(BATCHES), folder)
            peer = make_peer(subject, folder)
            for threads in (1, 2) if network in BOTH else (1,):
                for batch in BATCHES:
                    pictures = subject.pictures[:batch].numpy()
                    theirs, notes = peer_sides(peer, pictures, threads, folder)
                    rule = native_side(subject.file, pictures, threads, tune=False)
                    fast = native_side(subject.file, pictures, threads, tier="fast")
                    sides = [*engine_sides(subject.file, pictures, threads), rule, fast, *theirs]
                    sides = [side for side in sides if "compile" not in side.name and not side.name.endswith(left_out)]
                    notes = [note for note in (peer.note, *notes) if note]
                    if level:
                        sides = [limited(side, level) for side in sides]
                        notes.append(LIMITED.format(level=level))
                    yield measure_case(
                        subject, sides, batch, threads, reference=peer.reference, rounds=rounds, notes=notes
                    )


def limited(side: Side, level: str) -> Side:
    """With the kernels of a level, which others are told by the environment."""
    return replace(side, prepare=partial(on_level, level, side.prepare)) if side.name.startswith(NATIVE) else side


def on_level(level: str, prepare: Prepare) -> Load:
    """In its process."""
    native_engine.Context = partial(native_engine.Context, level=level)
    return prepare()


def find(case: Case, name: str) -> Row | None:
    """A side, if it was timed."""
    return next((row for row in case.timed if row.side == name), None)


def beside_best(case: Case, name: str = NATIVE) -> tuple[Row, Ratio] | None:
    """The best of the runtimes, and how many times as fast as that a side is."""
    row, best = find(case, name), next((row for row in case.timed if row.side.endswith(RUNTIMES)), None)
    return (best, compare(best.seconds, row.seconds)) if row and best else None


def summary(found: Sequence[Case]) -> None:
    """The native engine in each case."""
    rows = []
    for case in found:
        native, best = find(case, NATIVE), beside_best(case)
        speed = case.speed(native) if native else None
        if native and best and speed and native.error is not None:
            what = (case.network, case.batch, case.threads, f"{case.milliseconds(native):.1f}", best[0].side)
            rows.append((*what, show(best[1]), f"{speed.median:.2f}", case.reference, f"{native.error:.0e}"))
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


def summary_of_choices(found: Sequence[Case]) -> None:
    """What tuning gains on the rule, of which at most 2 % are promised, and what the fast tier comes to."""
    rows = []
    for case in found:
        native, rule, fast, best = find(case, NATIVE), find(case, RULE), find(case, FAST), beside_best(case, FAST)
        if native and rule and fast and fast.error is not None and best:
            gain, speed = compare(rule.seconds, native.seconds), f"{case.milliseconds(fast):.1f}"
            what = (case.network, case.batch, case.threads, show(gain), speed, best[0].side, show(best[1]))
            rows.append((*what, f"{fast.error:.0e}"))
    headings = ("network", "batch", "threads", "rule/tuned", "fast-ms", "best-runtime", "times-that", "error")
    print_table("Its rule, and its fast tier", headings, rows, "batch threads rule/tuned fast-ms times-that error")


def show(ratio: Ratio) -> str:
    """With its range."""
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def main() -> None:
    """Measure all, or the networks that are named."""
    parser = options(__doc__, (*BOTH, *ONE))
    parser.add_argument("--level", choices=LIMITS, help="on a processor that has more: with these instructions only")
    asked = parser.parse_args()
    check_folder(asked.out)
    if problem := native_engine.native_problem():
        raise UsageError(problem)
    cache = tempfile.TemporaryDirectory()  # nothing that was tuned before, for other kernels
    os.environ["TORCHINCEPTION_CACHE"] = cache.name
    if asked.level:
        os.environ |= LIMITS[asked.level]
    found = tell(
        cases(asked.networks, asked.rounds, asked.level), asked.out, "-".join(filter(None, ["native", asked.level]))
    )
    summary(found)
    summary_of_choices(found)


if __name__ == "__main__":
    main()

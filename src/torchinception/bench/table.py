"""A case as a table, for the terminal."""

from collections.abc import Iterator

from torchinception.bench.records import Case, Ratio, Row

HEADINGS = ("side", "ms/picture", "times-as-fast", "of-rounds", "of-peak", "error", "MB", "load-s", "version")
STEADY = 0.8  # of its best, to which the matrix product may fall: 0.97 was seen on one thread of a busy machine
NUMBERS = "ms/picture times-as-fast of-rounds of-peak error MB load-s"


def title(case: Case) -> str:
    """What was measured, how, and on how quick a machine."""
    threads = f"{case.threads} thread{'s' * (case.threads > 1)}"
    found = f"{case.network} at {case.size_px} px, batch {case.batch}, {threads}, {case.clock}"
    if case.peak_flops:
        found += f"; matrix product: {max(case.peak_flops) / 1e9:.0f} GFLOP/s"
    return found


def lines(case: Case) -> Iterator[tuple[str, ...]]:
    """A row of the table for each side, the fastest first, those that were not timed last."""
    for row in (*case.timed, *(row for row in case.rows if not row.seconds)):
        speed, peak = case.speed(row), case.fraction_of_peak(row)
        yield (
            row.side,
            f"{case.milliseconds(row):.2f}" if row.seconds else "-",
            f"{speed.median:.2f}" if speed else "-",
            f"{speed.low:.2f} to {speed.high:.2f}" if speed else "-",
            "-" if peak is None else f"{peak:.0%}",
            "-" if row.error is None else f"{row.error:.0e}",
            "-" if row.memory_bytes is None else f"{row.memory_bytes / 1e6:.0f}",
            "-" if row.load_seconds is None else f"{row.load_seconds:.1f}",
            row.version or "-",
        )


def remarks(case: Case) -> Iterator[str]:
    """What stands below the table."""
    if case.reference:
        yield f"times-as-fast: as {case.reference}, the median of the rounds' ratios and their 10 to 90 % range"
    best, runtime, ratio = case.best("ours"), case.best("runtime"), case.best_beside_runtimes
    if best and runtime and ratio:
        yield f"best of ours, {best.side}, beside {runtime.side}: {_ratio(ratio)} times as fast"
    for row in case.rows:
        if row.problem:
            yield f"{row.side} was not timed: {_problem(row)}"
    slowest, fastest = (pick(case.peak_flops, default=0.0) for pick in (min, max))
    if slowest < STEADY * fastest:
        yield (
            f"the matrix product itself went from {slowest / 1e9:.0f} to {fastest / 1e9:.0f} GFLOP/s: "
            "something else was running here, and these figures say little"
        )
    yield from case.notes


def _problem(row: Row) -> str:
    if row.error is None:
        return row.problem
    return f"{row.problem}: {row.error:.1e} of the largest logit off float64, top-1 equal in {row.top1:.0%}"


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"

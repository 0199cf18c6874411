"""What a study found, in words: rows for a table, verdicts, a page."""

from collections.abc import Iterator, Sequence
from typing import Any

from torchinception.studies.catalogue import STUDIES, find_study
from torchinception.studies.records import Result
from torchinception.studies.study import Measure, Study
from torchinception.studies.verdicts import RULE, Verdict, judge

INTRODUCTION = f"""# Studies

Claims of the papers and of textbooks, as small experiments that anyone can repeat in minutes on two processor cores:
`inception study NAME`, or `inception study all`; `--data torchvision:CIFAR10` or a folder takes other pictures, and
`--steps` other lengths. Each variant is trained from several seeds; variants of one seed see the same pictures in the
same order, as they are or mirrored, at 28 px. The verdicts are computed from the figures:

> {RULE}

In the tables ± is the standard deviation of the seeds; of times, which are those of one processor and one thread, that
of seven turns that the variants take with the clock. (… x) compares with the first variant. A claim that does not show
here is not refuted: these are small networks, few pictures and short runs.
"""


def headings(study: Study) -> tuple[str, ...]:
    """Of the table."""
    return ("variant", *(measure.heading for measure in study.measures))


def rows(study: Study, result: Result) -> Iterator[tuple[str, ...]]:
    """A row for each variant; exact figures and times beside those of the first one."""
    for outcome in result.outcomes:
        died = sum(run.died_at is not None for run in outcome.runs)
        name = f"{outcome.name}, {died} of {len(outcome.runs)} died" if died else outcome.name
        yield name, *(_cell(measure, result, outcome.name) for measure in study.measures)


def verdicts(study: Study, result: Result) -> tuple[Verdict, ...]:
    """Of each claim."""
    return tuple(judge(claim, result) for claim in study.claims)


def describe(result: Result) -> dict[str, Any]:
    """Every run, and what follows from them."""
    judged = [
        dict(claim=v.claim.text, source=v.claim.source, verdict=v.finding, figures=v.figures)
        for v in verdicts(find_study(result.study), result)
    ]
    return result.model_dump() | dict(verdicts=judged)


def page(results: Sequence[Result]) -> str:
    """Markdown: how it was done, what was found at a glance, then each study."""
    found = {result.study: result for result in results}
    ordered = [found[name] for name in STUDIES if name in found]
    parts = [INTRODUCTION, "| study | claim | verdict |\n|---|---|---|"]
    for result in ordered:
        study = find_study(result.study)
        parts += [
            f"| [{study.name}](#{study.name}) | {verdict.claim.text} | {verdict.finding} |"
            for verdict in verdicts(study, result)
        ]
    return "\n".join([*parts, "", *(section(result) for result in ordered)])


def section(result: Result) -> str:
    """Markdown of one study."""
    study = find_study(result.study)
    seeds = max(len(outcome.runs) for outcome in result.outcomes)
    versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    processor = sum(run.seconds for outcome in result.outcomes for run in outcome.runs)
    head, *body = [headings(study), *rows(study, result)]
    table = [
        f"| {' | '.join(head)} |",
        "|---" + "|--:" * (len(head) - 1) + "|",
        *(f"| {' | '.join(r)} |" for r in body),
    ]
    judged = [
        f"- **{v.claim.text}: {v.finding}.** {v.figures}{_margin(v)}. Source: {v.claim.source}."
        for v in verdicts(study, result)
    ]
    how = (
        f"Run by `inception study {study.name} --seeds {seeds}`: {result.steps} steps of {result.batch} pictures, "
        f"seeds 0 to {seeds - 1}, trained on {result.train:,} and measured on {result.held_out:,} pictures of "
        f"{result.classes} classes ({result.data}). {result.seconds / 60:.1f} minutes, {processor / 60:.1f} of "
        f"processor time, on {result.machine}; {versions}. {_deaths(result)}"
    )
    plot = f"![{study.title}](studies/{study.name}.svg)"
    parts = [f"## {study.name}\n", f"{study.title}\n", f"{study.setting}\n", f"{how}\n", *table, f"\n{plot}\n", *judged]
    return "\n".join([*parts, f"\nWhat this cannot show: {study.limits}\n"])


def _deaths(result: Result) -> str:
    died = [f"{outcome.name} seed {run.seed}" for outcome in result.outcomes for run in outcome.runs if run.died_at]
    return (
        f"Loss or gradient left the finite numbers in {', '.join(died)}."
        if died
        else "Loss and gradients stayed finite."
    )


def _cell(measure: Measure, result: Result, name: str) -> str:
    values = measure.of(result, result.outcome(name))
    text = measure.describe(values)
    first = measure.of(result, result.outcomes[0])
    if measure.relative and values and first and values != first:
        text += f" ({sum(values) / len(values) / (sum(first) / len(first)):.2f} x)"
    return text


def _margin(verdict: Verdict) -> str:
    return f"; margin {verdict.claim.measure.show(verdict.claim.margin)}" if verdict.claim.margin else ""

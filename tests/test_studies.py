"""Studies: each runs from end to end in miniature, equal seeds are equal runs, and what was done is not done again."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any
from uuid import uuid4

import pytest
from child import At
from conftest import Result as Ended
from conftest import Running, copy_splits

from torchinception.errors import DataError, UsageError
from torchinception.models import find_spec
from torchinception.progress import Listener
from torchinception.studies import page
from torchinception.studies.catalogue import STUDIES, find_study
from torchinception.studies.experiment import digest, measure_size, take_time, train
from torchinception.studies.pictures import Pictures, read_pictures
from torchinception.studies.plot import plot
from torchinception.studies.records import Result, Run, checkpoints, read_result
from torchinception.studies.running import run_study
from torchinception.studies.study import Study, Variant
from torchinception.summary import summarize
from torchinception.training.recipe import Optimizer

Inception = Callable[..., Ended]
STUDY, STEPS = "factorization", 2
TINY = Variant("tiny", find_spec("tiny_inception"), Optimizer(lr=0.05))
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="session")
def data(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 classes of 12 pictures in `train`, which is a batch of 32, and 4 in `val`."""
    return copy_splits(sample, tmp_path_factory.mktemp("study") / "clothes", train=12, val=4)


@pytest.fixture(scope="session")
def pictures(data: Path) -> Pictures:
    return read_pictures(data, 1000, 32, Listener())


@pytest.fixture(scope="session")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that was never stopped. Only read it."""
    out = tmp_path_factory.mktemp("whole")
    run_study(STUDY, data=data, seeds=1, steps=STEPS, out=out)
    return out


def untimed(run: Run) -> dict[str, Any]:
    return run.model_dump(exclude={"seconds"})


def runs(result: Result) -> dict[str, list[dict[str, Any]]]:
    return {outcome.name: [untimed(run) for run in outcome.runs] for outcome in result.outcomes}


def made_up(study: Study, *, seeds: int = 3) -> Result:
    """A result of a study, whose every accuracy and gradient is the seed's and the variant's."""
    outcomes = []
    for place, variant in enumerate(study.variants):
        size = measure_size(variant, 10)
        found = tuple(
            Run(
                seed=seed,
                losses=(1.0,) * 20,
                accuracies=tuple(0.1 + 0.03 * step + 0.001 * seed + 0.01 * place for step in range(20)),
                gradients={stage: 1.0 + place + 0.1 * seed for stage in variant.spec.stages if "pool" not in stage},
                died_at=None,
                seconds=1.0,
            )
            for seed in range(seeds)
        )
        outcomes.append(size.model_copy(update=dict(runs=found, milliseconds=(10.0 + place, 11.0 + place))))
    return Result(
        study=study.name, digest="0", data="made up", train=100, held_out=50, classes=10, steps=100, batch=32,
        machine="none", versions={"torch": "0"}, seconds=60.0, outcomes=tuple(outcomes),
    )  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_every_variant_of_a_study_trains_and_looks_at_the_held_out_pictures(name: str, pictures: Pictures) -> None:
    for variant in find_study(name).variants:
        run = train(variant, pictures, seed=0, steps=STEPS)
        assert (len(run.losses), len(run.accuracies), run.died_at) == (STEPS, STEPS, None), variant.name
        assert set(run.gradients) == {stage for stage in variant.spec.stages if not stage.startswith("pool")}
        assert all(norm > 0 for norm in run.gradients.values()), variant.name


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_told_with_every_variant_claim_and_figure(name: str) -> None:
    study = find_study(name)
    result = made_up(study)
    text, svg = page.section(result), plot(study, result).decode()
    for variant in study.variants:
        assert f"| {variant.name} |" in text
        assert variant.name in svg.replace("&lt;", "<")
    assert all(claim.text in text and claim.source in text for claim in study.claims)
    assert "nan" not in text.lower().split()


def test_equal_results_give_equal_plots() -> None:
    result = made_up(find_study(STUDY))
    assert plot(find_study(STUDY), result) == plot(find_study(STUDY), result)


def test_equal_seeds_give_equal_runs_and_others_do_not(pictures: Pictures) -> None:
    first, again, other = (untimed(train(TINY, pictures, seed, steps=4)) for seed in (3, 3, 4))
    assert first == again
    assert first["losses"] != other["losses"]


def test_variants_of_one_seed_see_the_same_pictures_in_the_same_order(pictures: Pictures) -> None:
    still = replace(TINY, optimizer=Optimizer(lr=1e-30))
    renamed = replace(still, name="another")
    assert untimed(train(still, pictures, 0, steps=3)) == untimed(train(renamed, pictures, 0, steps=3))


def test_a_network_that_dies_guesses_from_then_on(pictures: Pictures) -> None:
    run = train(replace(TINY, optimizer=Optimizer(lr=1e38)), pictures, seed=0, steps=6)
    assert run.died_at is not None
    assert run.died_at <= 6
    assert (len(run.accuracies), run.accuracies[-1]) == (6, 1 / 3)
    assert len(run.losses) < 6
    assert Run.model_validate_json(run.model_dump_json()) == run


def test_training_leaves_the_callers_random_numbers_alone(pictures: Pictures) -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(TINY, pictures, seed=0, steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_sizes_are_those_of_the_summary() -> None:
    size, summary = measure_size(TINY, 10), summarize("tiny_inception", 28)
    assert (size.parameters, size.macs) == (summary.parameters, summary.macs)


def test_heads_count_neither_as_parameters_nor_as_multiply_adds() -> None:
    sizes = [measure_size(variant, 10) for variant in find_study("auxiliary").variants]
    assert len({(size.parameters, size.macs) for size in sizes}) == 1


def test_the_clock_gives_every_variant_as_many_turns(pictures: Pictures) -> None:
    times = take_time((TINY, TINY), pictures)
    assert [len(turns) for turns in times] == [7, 7]
    assert all(value > 0 for turns in times for value in turns)


def test_held_out_pictures_are_test_ones_where_there_are(sample: Path, tmp_path: Path) -> None:
    folder = copy_splits(sample, tmp_path / "data", train=14, val=4)
    (folder / "val").rename(folder / "test")
    found = read_pictures(folder, 1000, 32, Listener())
    assert (len(found.held_out), found.classes) == (12, 3)


def test_no_more_pictures_are_read_than_a_run_looks_at(data: Path) -> None:
    found = read_pictures(data, 20, 20, Listener())
    assert len(found.train) == 20
    assert set(found.train.labels.tolist()) == {0, 1, 2}


def test_too_few_pictures_for_a_batch_are_refused(split: Path) -> None:
    with pytest.raises(DataError, match="24 pictures to train on; a study needs 32 or more"):
        read_pictures(split, 1000, 32, Listener())


def test_every_setting_moves_the_digest(pictures: Pictures) -> None:
    others = (
        digest([replace(TINY, optimizer=Optimizer(lr=0.06))], pictures, 4),
        digest([replace(TINY, spec=find_spec("small_inception"))], pictures, 4),
        digest([TINY], pictures, 5),
        digest([TINY], replace(pictures, fingerprint="other"), 4),
        digest([TINY, TINY], pictures, 4),
    )
    assert len({digest([TINY], pictures, 4), *others}) == 6
    assert digest([TINY], pictures, 4) == digest([TINY], pictures, 4)


def test_checkpoints_are_evenly_spread_and_end_with_the_run() -> None:
    for steps in range(1, 200):
        found = checkpoints(steps)
        assert found[-1] == steps
        assert len(set(found)) == len(found) == min(20, steps)


def test_a_study_killed_after_one_run_goes_on_and_ends_as_one_that_never_was(
    inception: Inception, data: Path, whole: Path, tmp_path: Path
) -> None:
    mark = str(uuid4())
    options = (STUDY, "--data", data, "--seeds", 1, "--steps", STEPS, "--out", tmp_path)
    second = At(f"*{STUDY}.json", 2, SIGKILL, event="os.rename", begun=True)
    assert inception("study", *options, at=(second,), environment={"MARK": mark}).code == -SIGKILL
    kept = read_result(tmp_path / f"{STUDY}.json")
    assert sum(len(outcome.runs) for outcome in kept.outcomes) == 1
    assert within_seconds(10, lambda: not marked(mark)), "processes outlive the study that began them"
    resumed = inception("study", *options)
    assert resumed.code == 0, resumed.err
    result = read_result(tmp_path / f"{STUDY}.json")
    assert runs(result) == runs(read_result(whole / f"{STUDY}.json"))
    done = next(outcome for outcome in kept.outcomes if outcome.runs)
    assert result.outcome(done.name).runs == done.runs, "what was kept was done again"
    assert all(len(outcome.milliseconds) == 7 for outcome in result.outcomes)
    for text in ("5x5", "Two 3x3 save parameters", "shows", f"{STUDY}.svg"):
        assert text in resumed.out
    assert (tmp_path / f"{STUDY}.svg").read_bytes().startswith(b"<?xml")


def within_seconds(seconds: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def marked(mark: str) -> list[Path]:
    """The processes of a study that was begun with this mark in its environment; not the study's own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if mark.encode() in (process / "environ").read_bytes():
                found.append(process)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of processes")
def test_a_signal_ends_a_study_with_all_its_processes(
    start: Callable[..., Running], data: Path, tmp_path: Path
) -> None:
    mark = str(uuid4())
    first = At(f"*{STUDY}.json", 1, SIGTERM, event="os.rename", begun=True)
    running = start(
        "study", STUDY, "--data", data, "--steps", 8, "--out", tmp_path, at=(first,), environment={"MARK": mark}
    )
    assert within_seconds(60, lambda: bool(marked(mark)))
    assert running.finish().code == 128 + SIGTERM
    assert within_seconds(10, lambda: not marked(mark))


def test_a_finished_study_is_read_and_not_run_again(whole: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (whole / f"{STUDY}.json").read_bytes()

    def refuse(*_: object) -> None:
        raise AssertionError("it was run again")

    monkeypatch.setattr("torchinception.studies.running.Workers", refuse)
    run_study(STUDY, data=data, seeds=1, steps=STEPS, out=whole)
    assert (whole / f"{STUDY}.json").read_bytes() == before


def test_results_of_other_pictures_or_settings_are_not_mixed(
    whole: Path, data: Path, sample: Path, tmp_path: Path
) -> None:
    other = copy_splits(sample, tmp_path / "other", train=11, val=4)
    for options in (dict(data=data, steps=STEPS + 1), dict(data=other, steps=STEPS)):
        with pytest.raises(
            UsageError, match=r"holds runs of other pictures, settings or another torch; choose another"
        ):
            run_study(STUDY, seeds=1, out=whole, **options)  # type: ignore[arg-type]


def test_a_damaged_result_is_refused_and_left_as_it_is(tmp_path: Path, data: Path) -> None:
    (tmp_path / f"{STUDY}.json").write_text('{"study": "fact')
    with pytest.raises(DataError, match=r"factorization\.json holds no results of a study, or damaged ones; remove it"):
        run_study(STUDY, data=data, out=tmp_path)
    assert (tmp_path / f"{STUDY}.json").read_text() == '{"study": "fact'


def test_a_misspelt_study_is_told_before_anything_is_written(inception: Inception, tmp_path: Path) -> None:
    ended = inception("study", "bachnorm", cwd=tmp_path)
    assert ended.code == 2
    assert "no study named bachnorm; did you mean batchnorm? studies: auxiliary, reduction, batchnorm" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_json_holds_every_run_and_verdict(inception: Inception, whole: Path, data: Path) -> None:
    ended = inception("study", STUDY, "--data", data, "--seeds", 1, "--steps", STEPS, "--out", whole, "--json")
    (found,) = json.loads(ended.out)
    assert [verdict["claim"] for verdict in found["verdicts"]] == [claim.text for claim in find_study(STUDY).claims]
    assert found["outcomes"][0]["runs"][0]["seed"] == 0


def test_the_page_is_current_with_the_committed_results() -> None:
    results = [read_result(path) for path in (DOCS / "studies").glob("*.json")]
    assert {result.study for result in results} == set(STUDIES)
    assert (DOCS / "studies.md").read_text("utf-8").endswith("\n" + page.page(results))


def test_committed_results_are_of_the_studies_as_they_stand() -> None:
    for name, study in STUDIES.items():
        result = read_result(DOCS / "studies" / f"{name}.json")
        sizes = {variant.name: measure_size(variant, result.classes) for variant in study.variants}
        for outcome in result.outcomes:
            assert len(outcome.runs) >= 3
            assert (outcome.parameters, outcome.macs) == (sizes[outcome.name].parameters, sizes[outcome.name].macs)
        assert result.steps == study.steps
        assert [outcome.name for outcome in result.outcomes] == [variant.name for variant in study.variants]
        assert (DOCS / "studies" / f"{name}.svg").exists()

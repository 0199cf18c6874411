"""The protocol: what is told of a side follows from its rounds, and no wrong, failing or dead one is timed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import typer
from bench_fixtures import answering, dying, side, telling
from typer.testing import CliRunner

from torchinception.bench import measure as measuring
from torchinception.bench import ours, table
from torchinception.bench.measure import measure, measure_case
from torchinception.bench.records import Case, Ratio, Row, compare
from torchinception.bench.subjects import Subject, make_subject
from torchinception.bench.worker import Worker
from torchinception.cli_bench import bench
from torchinception.errors import SaveError, UsageError
from torchinception.models import create

RIGHT = [[0.0, 1.0, -2.0]]
EAGER = Row("torchvision eager", "peer", seconds=(4.0, 8.0, 4.0))
ONNX = Row("onnx", "ours", seconds=(1.0, 4.0, 2.0), error=1e-6, top1=1.0, memory_bytes=5_000_000, load_seconds=0.5)
RAW = Row("torchvision in OpenVINO", "runtime", seconds=(2.0, 2.0, 3.0))
WRONG = Row("openvino", "ours", problem="its answers are wrong", error=0.25, top1=0.5)
CASE = Case(
    network="googlenet_torch",
    size_px=224,
    batch=2,
    threads=1,
    clock="CPU time",
    macs=10**9,
    peak_flops=(4e9, 2e9, 4e9),
    blas="OpenBLAS",
    reference="torchvision eager",
    rows=(WRONG, EAGER, ONNX, RAW),
    notes=("no peer here",),
)


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    assert compare([10, 20, 90], [10, 10, 30]) == Ratio(2.0, 1.0, 3.0)


def test_the_range_leaves_out_a_tenth_on_either_side() -> None:
    seconds = [1 / ratio for ratio in range(1, 12)]
    assert compare([1.0] * 11, seconds) == Ratio(6.0, pytest.approx(2), pytest.approx(10))


def test_times_of_other_rounds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare([1.0, 2.0], [1.0])


def test_what_is_told_of_a_side_follows_from_its_rounds() -> None:
    assert CASE.milliseconds(ONNX) == 1000  # 2 s for 2 pictures
    assert CASE.speed(ONNX) == Ratio(2.0, 2.0, 4.0)
    # 2 pictures of 10^9 multiply-adds are 4e9 operations: 2e9 a second, of 4e9 in the product's best round
    assert CASE.fraction_of_peak(ONNX) == 0.5
    assert CASE.best_beside_runtimes == Ratio(1.5, 0.5, 2.0)
    assert [row.side for row in CASE.timed] == ["onnx", "torchvision in OpenVINO", "torchvision eager"]


def test_what_was_not_measured_is_not_told() -> None:
    assert CASE.speed(WRONG) is None
    assert CASE.fraction_of_peak(WRONG) is None
    assert replace(CASE, peak_flops=()).fraction_of_peak(ONNX) is None
    assert replace(CASE, reference=None).speed(ONNX) is None
    assert replace(CASE, rows=(EAGER, ONNX)).best_beside_runtimes is None


def test_the_table_has_the_fastest_first_and_those_that_were_not_timed_last() -> None:
    rows = [dict(zip(table.HEADINGS, line, strict=True)) for line in table.lines(CASE)]
    assert [row["side"] for row in rows] == ["onnx", "torchvision in OpenVINO", "torchvision eager", "openvino"]
    shown = {"ms/picture": "1000.00", "times-as-fast": "2.00", "of-rounds": "2.00 to 4.00", "of-peak": "50%"}
    assert shown.items() <= rows[0].items()
    assert {"error": "1e-06", "MB": "5", "load-s": "0.5"}.items() <= rows[0].items()
    assert (rows[-1]["ms/picture"], rows[-1]["error"]) == ("-", "2e-01")
    text = "\n".join(table.remarks(CASE))
    assert "openvino was not timed: its answers are wrong: 2.5e-01 of the largest logit off" in text
    assert "best of ours, onnx, beside torchvision in OpenVINO: 1.50 (0.50 to 2.00) times as fast" in text
    assert "no peer here" in text


def test_a_machine_that_was_busy_is_told() -> None:
    told = "the matrix product itself went from 2 to 4 GFLOP/s"
    assert any(told in line for line in table.remarks(CASE))
    steady = replace(CASE, peak_flops=(4e9, 3.5e9, 3.8e9))
    assert not any("matrix product" in line for line in table.remarks(steady))


@pytest.fixture(scope="module")
def contest() -> Case:
    """Seven sides, two of which are fit to be timed to the end."""
    right = torch.tensor(RIGHT, dtype=torch.float64)
    pictures = torch.zeros(1, 3, 28, 28)
    subject = Subject("tiny", create("tiny_inception", 3), Path(), pictures, right)
    sides = [
        side("slow", answering, RIGHT, computing=0.03),
        side("fast", answering, RIGHT, computing=0.01),
        side("wrong", answering, [[0.0, 1.001, -2.0]]),
        side("other shape", answering, [[0.0, 1.0]]),
        side("not finite", answering, [[0.0, float("nan"), -2.0]]),
        side("dying", dying),
        side("failing", answering, RIGHT, failing_at=6),  # the last check, two to warm up, two a turn
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "TURN_SECONDS", 1e-6)
        return measure_case(subject, sides, 1, 1, reference="slow", rounds=3)


def row(case: Case, name: str) -> Row:
    (found,) = (row for row in case.rows if row.side == name)
    return found


def test_sides_have_a_time_of_every_round(contest: Case) -> None:
    assert [row.side for row in contest.timed] == ["fast", "slow"]
    assert all(len(row.seconds) == 3 for row in contest.timed)
    assert len(contest.peak_flops) == 3
    assert min(row(contest, "slow").seconds) >= 0.03
    speed = contest.speed(row(contest, "fast"))
    assert speed
    assert speed.median > 1
    assert row(contest, "fast").problem == ""


def test_a_side_with_wrong_answers_is_named_and_not_timed(contest: Case) -> None:
    for name, error in (("wrong", 0.0005), ("not finite", float("inf"))):
        found = row(contest, name)
        assert found.error == pytest.approx(error, rel=1e-3)
        assert (found.problem, found.seconds) == ("its answers are wrong", ())


def test_a_side_with_answers_of_another_shape_is_named_and_not_timed(contest: Case) -> None:
    found = row(contest, "other shape")
    assert (found.problem, found.seconds) == ("its answers are of shape (1, 2), not (1, 3)", ())


def test_a_side_whose_process_died_is_named_with_its_last_words(contest: Case) -> None:
    found = row(contest, "dying")
    assert found.problem == "fails: its process died (SIGKILL): out of luck"
    assert found.seconds == ()


def test_a_side_that_fails_in_a_later_round_has_no_figures(contest: Case) -> None:
    found = row(contest, "failing")
    assert found.problem == "fails: ValueError: no more of this"
    assert (found.seconds, found.memory_bytes) == ((), None)
    assert found.error == 0


def test_without_its_reference_a_case_is_compared_with_the_first_that_was_timed() -> None:
    subject = Subject("tiny", create("tiny_inception", 3), Path(), torch.zeros(1, 3, 28, 28), torch.zeros(1, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "TURN_SECONDS", 1e-6)
        found = measure_case(subject, [side("one", answering, [[0.0] * 3])], 1, 1, reference="gone", rounds=1)
    assert found.reference == "one"


def test_a_process_finds_its_environment_and_prints_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prepare = partial(telling, "OMP_NUM_THREADS", "GOMP_SPINCOUNT")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOMP_SPINCOUNT", "1000")
        environment = {"OMP_NUM_THREADS": "7", "GOMP_SPINCOUNT": None}
        with Worker(prepare, threads=1, environment=environment, log=tmp_path / "log") as worker:
            variables, processors = worker.load().answers
    assert variables == ["7", None]
    assert processors in (1, None)  # pinned, where the system can
    assert capfd.readouterr() == ("", "")


def test_a_process_is_ended_in_the_middle_of_a_call(tmp_path: Path) -> None:
    with Worker(partial(answering, 0, computing=600), threads=1, environment={}, log=tmp_path / "log") as worker:
        process = worker._process
        pid = process.pid
        worker._connection.send(worker._prepare)
        time.sleep(0.2)
        assert process.is_alive()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


SCRIPT = """
import os, sys
from pathlib import Path
from torchinception.bench.worker import Worker

FOUND = os.environ.get("OMP_NUM_THREADS")  # by the worker too, which imports this script ahead of all

def tell():
    return lambda: ("1.0", lambda: FOUND)

if __name__ == "__main__":
    worker = Worker(tell, threads=1, environment={"OMP_NUM_THREADS": "7"}, log=Path(sys.argv[1]))
    print(worker._process.pid, worker.load().answers, os.environ.get("OMP_NUM_THREADS"), flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a script said that started a worker and was killed: the worker's number, its threads and the script's."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "script.py").write_text(SCRIPT)
    environment = os.environ | dict(PYTHONPATH=os.pathsep.join(sys.path), OMP_NUM_THREADS="1")
    command = [sys.executable, folder / "script.py", folder / "log"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


def test_a_process_has_its_environment_before_it_imports_its_parents_script(killed: list[str]) -> None:
    assert killed[1:] == ["7", "1"]


@pytest.mark.skipif(not Path("/proc").exists(), reason="asks Linux which processes there are")
def test_a_process_does_not_outlive_a_parent_that_was_killed(killed: list[str]) -> None:
    command = Path(f"/proc/{killed[0]}/cmdline")
    until = time.monotonic() + 60
    while command.exists() and b"spawn_main" in command.read_bytes():  # else it is gone, or nobody asked how it ended
        assert time.monotonic() < until
        time.sleep(0.05)


app = typer.Typer()
app.command()(bench)


def test_a_small_benchmark_from_the_command_to_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "installed", lambda: ("onnx", "eager"))
    monkeypatch.setattr(measuring, "TURN_SECONDS", 0.01)
    done = CliRunner().invoke(app, ["tiny_inception", "--batch", "2", "--out", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert "tiny_inception at 28 px, batch 2, 1 thread, CPU time; matrix product: " in done.stdout
    assert "times-as-fast: as eager" in done.stdout
    (case,) = json.loads((tmp_path / "new" / "bench.json").read_text())["cases"]
    assert [row["side"] for row in case["rows"]] == ["onnx", "eager"]
    for found in case["rows"]:
        assert found["error"] <= 1e-4
        assert (found["top1"], found["problem"], len(found["seconds"])) == (1.0, "", 7)
        assert found["ms_per_picture"] > 0
        assert found["load_seconds"] > 0
        assert found["fraction_of_peak"] > 0
        assert found["memory_bytes"] is None or found["memory_bytes"] > 0
    assert case["rows"][1]["speed"] == dict(median=1.0, low=1.0, high=1.0)
    assert (tmp_path / "new" / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_all_that_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "measure", lambda *_, **__: iter([CASE, replace(CASE, batch=8)]))
    done = CliRunner().invoke(app, ["--json", "--out", str(tmp_path)])
    cases = json.loads(done.stdout)["cases"]
    assert [case["batch"] for case in cases] == [2, 8]
    assert cases == json.loads((tmp_path / "bench.json").read_text())["cases"]


@pytest.mark.parametrize("numbers", ["0", "1,", "1,x", "-1", "1 8"])
def test_numbers_that_are_none_are_refused(numbers: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected whole numbers from 1"):
        CliRunner().invoke(app, [f"--batch={numbers}", "--out", str(tmp_path)], catch_exceptions=False)


def test_a_folder_that_cannot_be_written_to_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="choose another --out"):
        CliRunner().invoke(app, ["--out", str(tmp_path / "file" / "bench")], catch_exceptions=False)


def test_more_threads_than_processors_are_refused() -> None:
    with pytest.raises(UsageError, match="100000 threads are asked for"):
        next(measure(["tiny_inception"], threads=[1, 100_000]))


def test_a_misspelt_name_is_told_before_anything_is_measured() -> None:
    with pytest.raises(UsageError, match="did you mean googlenet"):
        next(measure(["tiny_inception", "googlenett"]))


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])
def test_with_random_weights_pictures_decide_what_a_network_answers(name: str, tmp_path: Path) -> None:
    subject = make_subject(name, 4, tmp_path)
    products = subject.right - subject.net.classifier.bias
    assert (products - products.mean(0)).abs().max() > products.abs().max() / 10


def test_a_model_is_measured_as_it_is(finished: Path, tmp_path: Path) -> None:
    subject = make_subject(str(finished), 2, tmp_path)
    assert subject.net.classifier.out_features == 3
    assert subject.pictures.shape == (2, 3, 28, 28)
    assert subject.right.shape == (2, 3)

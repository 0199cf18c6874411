import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from conftest import Result, copy_pictures
from data_fixtures import full_disk

from torchinception.doctor import PACKAGES, examine
from torchinception.engines import remembered
from torchinception.engines.native_engine import native_problem

Inception = Callable[..., Result]


def pretend(folder: Path, package: str, number: str) -> None:
    """What pip leaves of an installed package, so that `importlib.metadata` finds it first."""
    record = folder / f"{package}-{number}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n")


def test_this_installation_is_examined_as_it_is() -> None:
    found = examine()
    assert found["versions"] == {package: version(package) for package in PACKAGES}
    assert (found["cores"], found["threads"]) == (os.cpu_count(), torch.get_num_threads())
    assert found["problems"] == []


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_is_the_cpu_in_fp32() -> None:
    found = examine()
    assert (found["gpus"], found["device"], found["precision"]) == ([], "cpu", "fp32")


@pytest.mark.parametrize(
    ("package", "number", "problems"),
    [
        ("lightning", "2.6.1", 0),
        ("lightning", "2.6.2", 1),
        ("lightning", "2.6.3", 1),
        ("lightning", "2.6.4", 0),
        ("torch", "2.9.1", 1),
        ("torch", "2.10.0", 0),
        ("torch", "2.10.0+cpu", 0),
        ("torch", "2.9.0a0+git123", 1),
        ("torch", "3.0", 0),
        ("pillow", "12.2.9", 1),
        ("pillow", "12.3.0", 0),
    ],
)
def test_known_bad_versions_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, number: str, problems: int
) -> None:
    pretend(tmp_path, package, number)
    monkeypatch.syspath_prepend(tmp_path)
    found = examine()
    assert found["versions"][package] == number
    assert [line.split()[:2] for line in found["problems"]] == [[package, number]] * problems


@pytest.mark.parametrize("package", ["torch", "torchvision"])
def test_a_package_that_does_not_load_is_told_by_its_name(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    found = examine()
    (problem,) = found["problems"]
    assert problem.startswith(f"{package} does not load (")
    assert problem.endswith("; install it anew")
    assert "engines" not in found


def test_a_mistake_elsewhere_is_not_told_as_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistake() -> None:
        raise ImportError("a mistake of ours")

    monkeypatch.setattr(remembered, "remembered", mistake)
    with pytest.raises(ImportError, match="a mistake of ours"):
        examine()


def test_a_cache_that_cannot_be_written_is_a_problem_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "file" / "cache"))
    (problem,) = examine()["problems"]
    assert problem.startswith(f"the cache {tmp_path / 'file' / 'cache'} cannot be written (Not a directory)")
    assert problem.endswith("$TORCHINCEPTION_CACHE")


def test_a_full_disk_is_a_problem_and_a_good_cache_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    with full_disk(10):
        (problem,) = examine()["problems"]
    assert "cannot be written (File too large)" in problem
    assert examine()["problems"] == []
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_table_holds_what_json_holds(inception: Inception) -> None:
    found = json.loads(inception("doctor", "--json").out)
    shown = inception("doctor")
    rows = [tuple(row.split()) for row in shown.out.splitlines()]
    assert shown.code == 0
    assert set(found["versions"].items()) <= set(rows)
    assert "No problems found." in shown.out


def test_it_tells_the_engines_and_which_were_chosen(
    inception: Inception, finished: Path, sample: Path, tmp_path: Path
) -> None:
    environment = dict(TORCHINCEPTION_CACHE=str(tmp_path / "cache"))
    data = copy_pictures(sample / "train", tmp_path / "clothes", 22)  # 66 in all
    before = json.loads(inception("doctor", "--json", environment=environment).out)
    measured = inception("evaluate", finished, data, "--threads", 1, environment=environment)
    assert measured.code == 0, measured.err
    after = json.loads(inception("doctor", "--json", environment=environment).out)
    shown = inception("doctor", environment=environment).out
    others = dict(torch=torch.__version__, onnx=version("onnxruntime"), openvino=version("openvino"))
    native = {} if native_problem() else dict(native=version("torchinception"))
    assert before["engines"] == others | native
    assert before["native_engine"].startswith("with avx" if native else "the native engine")
    assert before["chosen_engines"] == {}
    ((what, which),) = after["chosen_engines"].items()
    assert what.startswith("tiny_inception, 28 px, ")
    assert f": {which}" in measured.err
    assert "fastest engine for" in shown
    assert what.split(", batch")[0] in shown  # the table is narrow, and folds the rest

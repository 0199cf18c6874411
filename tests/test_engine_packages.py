"""Runtimes that come under other names, that are broken, or that are missing, are told apart."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torchinception.doctor import examine
from torchinception.engines import engine
from torchinception.engines.int8_openvino import import_nncf
from torchinception.engines.onnx_engine import import_onnxruntime
from torchinception.engines.onnx_model import import_onnx
from torchinception.engines.openvino_engine import import_openvino
from torchinception.engines.packages import package_version
from torchinception.engines.remembered import engine_versions
from torchinception.errors import UsageError

IMPORTS = dict(onnxruntime=import_onnxruntime, openvino=import_openvino, onnx=import_onnx, nncf=import_nncf)


def install(folder: Path, module: str, distribution: str, number: str) -> None:
    """A module, and what pip leaves of the distribution that brought it."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").touch()
    record = folder / f"{distribution.replace('-', '_')}-{number}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {number}\n")
    (record / "top_level.txt").write_text(f"{module}\n")


def test_a_runtime_of_another_distribution_has_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "fastruntime", "fastruntime-gpu", "9.8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(engine.PACKAGES, "onnx", "fastruntime")
    assert package_version("fastruntime") == "fastruntime-gpu 9.8"
    assert engine_versions()["onnx"] == "fastruntime-gpu 9.8"
    assert examine()["engines"]["onnx"] == "fastruntime-gpu 9.8"


def test_a_runtime_of_no_distribution_takes_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "homemade.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(engine.PACKAGES, "onnx", "homemade")
    assert package_version("homemade") is None
    assert {"onnx", "openvino"} & engine_versions().keys() == {"openvino"}


@pytest.mark.parametrize(("package", "load"), IMPORTS.items())
def test_a_package_that_is_missing_is_to_be_installed(
    package: str, load: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf" needs? {package}.*: pip install 'torchinception\[\w+\]'$"):
        load()


@pytest.mark.parametrize(("package", "load"), IMPORTS.items())
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("raise ImportError('libgomp.so.1: cannot open shared object file')", "libgomp.so.1: cannot open"),
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("raise OSError('exec format error')", "exec format error"),
    ],
)
def test_a_package_that_does_not_load_is_not_told_as_missing(
    package: str, load: Callable[[], object], content: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{package}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(UsageError, match=f"{package}, which is installed but does not load: {reason}") as told:
        load()
    assert "pip install" not in str(told.value)

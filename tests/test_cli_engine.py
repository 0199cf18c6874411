"""What computes is settled before anything is read, and by the first of several processes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Result, copy_pictures

Inception = Callable[..., Result]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "tensorrt"], "no engine named tensorrt; expected auto, torch, onnx"),
        (["--precision", "int4"], "no precision int4 on cpu; expected fp32, bf16"),
        (["--precision", "fp16", "--device", "cpu"], "no precision fp16 on cpu"),
        (["--engine", "onnx", "--precision", "bf16"], "the engine onnx runs on the CPU in fp32, not on cpu in bf16"),
        (["--precision", "int8", "--calibrate", "x", "--engine", "tensorrt"], "no engine named tensorrt"),
        (["--precision", "int8", "--calibrate", "x", "--engine", "eager"], "no int8 in the engine eager"),
        (["--device", "tpu"], "no device named tpu"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_read(
    command: str, options: list[str], told: str, inception: Inception
) -> None:
    result = inception(command, "no-model", "no-pictures", *options)
    assert (result.code, told in result.err) == (2, True), result.err


def test_a_wrong_stage_is_told_before_engines_are_measured(
    inception: Inception, finished: Path, sample: Path, tmp_path: Path
) -> None:
    environment = dict(TORCHINCEPTION_CACHE=str(tmp_path / "cache"))
    pictures = copy_pictures(sample / "train", tmp_path / "clothes", 22)  # 66 in all, enough to measure for
    options = ("--features", tmp_path / "a.npy", "--stage", "mixed_9z")
    result = inception("predict", finished, pictures, *options, environment=environment)
    assert (result.code, "no stage named mixed_9z in tiny_inception" in result.err) == (2, True), result.err
    assert not list((tmp_path / "cache").glob("engines/*"))

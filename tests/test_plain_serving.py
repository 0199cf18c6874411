"""An exported file is served with ONNX Runtime, Pillow and NumPy alone, and answers as the model does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import plain_serving
import pytest
from data_fixtures import tiny_classifier
from export_fixtures import varied
from PIL import Image

from torchinception.classifier import Classifier
from torchinception.data.real_pictures import real_pictures
from torchinception.data.transforms import Preprocess
from torchinception.exports.exporting import export
from torchinception.weights.bundle import ModelSpec

SERVE = """
import runpy, sys
sys.modules["torch"] = sys.modules["torchinception"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def photograph(path: Path, width: int, height: int) -> Path:
    Image.fromarray(real_pictures(1, height, width)[0].numpy()).save(path)
    return path


@pytest.mark.parametrize("look", [dict(), dict(resize="stretch", interpolation="bicubic")])
def test_a_script_without_torch_names_pictures_as_predict_does(look: dict[str, Any], tmp_path: Path) -> None:
    names = tuple(f"class {i}" for i in range(10))
    network = varied(tiny_classifier(*names)).network
    model = Classifier(network, ModelSpec(network=network.name, classes=names, preprocess=Preprocess(size=28, **look)))
    export(model, tmp_path / "model.onnx")
    files = [photograph(tmp_path / f"{i}.png", *size) for i, size in enumerate([(120, 97), (64, 200), (75, 75)])]
    command = [sys.executable, "-c", SERVE, plain_serving.__file__, tmp_path / "model.onnx", *files]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | dict(PYTHONPATH=""))
    expected = [
        "\t".join((str(path), *(f"{n} {p:.1%}" for n, p in zip(found.names, found.probabilities, strict=True))))
        for path, found in zip(files, model.predict(files, 5), strict=True)
    ]
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("size", [28, 75, 299])
@pytest.mark.parametrize("resize", ["shorter side", "stretch"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_script_prepares_pictures_to_the_bit(size: int, resize: Any, interpolation: Any, tmp_path: Path) -> None:
    look = Preprocess(size=size, resize=resize, interpolation=interpolation)
    for width, height in ((500, 375), (333, 512), (31, 90)):
        path = photograph(tmp_path / "picture.png", width, height)
        with Image.open(path) as image:
            right = look.cut(image).permute(1, 2, 0).numpy()
        assert np.array_equal(plain_serving.prepare(path, look.model_dump()), right), (width, height)

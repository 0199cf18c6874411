"""The linear probe beside training the whole network for as many epochs: whole runs, one after the other.    make bench

googlenet_bn at 128 px on 120 pictures of the embedded sample, enlarged; 20 epochs each, one thread. The probe computes
its features anew each time. Every run checks its pictures, trains, evaluates and writes its report.
"""

import json
import os
import platform
import shutil
import tempfile
from pathlib import Path

import torch
from PIL import Image
from run import RESULTS, compare

import torchinception as ti
from torchinception.classifier import Classifier
from torchinception.data.sample import write_sample
from torchinception.data.transforms import Preprocess
from torchinception.models import create
from torchinception.weights.bundle import ModelSpec

EPOCHS, PICTURES = 20, 12  # of each of 10 classes


def pictures(folder: Path) -> Path:
    """Class folders of 160 px pictures."""
    sample = write_sample(folder / "sample")
    for path in sorted((sample / "train").glob("*/*.png")):
        if int(path.stem) < PICTURES:
            with Image.open(path) as image:
                large = image.convert("RGB").resize((160, 160))
            target = folder / "pictures" / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            large.save(target)
    return folder / "pictures"


def main() -> None:
    """Three rounds of both."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["TORCHINCEPTION_CACHE"] = str(folder / "cache")
        data, weights = pictures(folder), folder / "weights.safetensors"
        spec = ModelSpec(network="googlenet_bn", classes=("a", "b"), preprocess=Preprocess(size=128))
        Classifier(create("googlenet_bn", 2), spec).save(weights)
        settings = {"weights": str(weights), "epochs": EPOCHS, "loss.aux_weight": 0.0}

        def run(recipe: str) -> None:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            ti.train(
                data, recipe=recipe, settings=settings, out=folder / recipe, workers=0, device="cpu", overwrite=True
            )

        sides = {"whole network": lambda: run("default"), "linear probe": lambda: run("linear-probe")}
        title = f"{EPOCHS} epochs of googlenet_bn at 128 px on {10 * PICTURES} pictures"
        results = dict(
            machine=f"{platform.machine()}, {os.cpu_count()} cores",
            versions=dict(torch=torch.__version__),
            **{title: compare(title, sides, rounds=3)},
        )
    (RESULTS / "probe.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""`inception predict` on JPEG files, beside the engine alone and beside a plain torchvision loop.    make bench

    python benchmarks/predict.py [FILES] [ENGINE]    default: 200 files a round, the engine torch

inception_v3 with the same weights on both sides, 500 x 375 px crops of a photograph. The engine alone is given cut
pictures, batch after batch, from memory: what `predict` reaches of it is how well decoding hides. The loop is what is
usually written: a DataLoader with two workers, torchvision's network as it comes, inference mode. Starting the
process and loading the weights are not counted; the loop's workers start in each round, as they would.
"""

import json
import os
import platform
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torchvision
from matplotlib.cbook import get_sample_data
from PIL import Image
from run import RESULTS, compare
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

from torchinception.classifier import Classifier, load
from torchinception.data.images import open_image
from torchinception.data.transforms import stack
from torchinception.engines.batches import fitting_batch
from torchinception.engines.engine import build
from torchinception.prediction import Output, Plan, Run, find_inputs

ALLOWED = 1e-4  # of the largest logit


def write_files(folder: Path, count: int) -> list[Path]:
    """Parts of a photograph, from a third of it to all, as JPEG of quality 90."""
    folder.mkdir()
    with get_sample_data("grace_hopper.jpg") as file:
        photograph = Image.open(file).convert("RGB")
    draws = np.random.default_rng(0)
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for path in paths:
        width = photograph.width * draws.uniform(1 / 3, 1)
        left, top = draws.uniform(0, photograph.width - width), draws.uniform(0, photograph.height - width * 0.75)
        box = (left, top, left + width, top + width * 0.75)
        photograph.resize((500, 375), Image.Resampling.BICUBIC, box).save(path, quality=90)
    return paths


def settle(net: nn.Module, paths: list[Path]) -> nn.Module:
    """In evaluation mode, with batch norm that is centred on some pictures, or every picture's logits are the same."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    files = Files(paths, Compose([Resize(342), CenterCrop(299), ToTensor(), Normalize([0.5] * 3, [0.5] * 3)]))
    with torch.inference_mode():
        net.train()(torch.stack([files[index] for index in range(len(files))]))
    return net.eval()


class Files(Dataset[Tensor]):
    """What a loop reads: float32 (3, 299, 299)."""

    def __init__(self, paths: list[Path], transform: Compose) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        picture: Tensor = self.transform(Image.open(self.paths[index]).convert("RGB"))
        return picture


def run_loop(net: nn.Module, files: Files, batch: int, classes: list[str]) -> list[tuple[str, list[tuple[str, float]]]]:
    """Every file's five likeliest classes."""
    found = []
    with torch.inference_mode():
        for number, pictures in enumerate(DataLoader(files, batch, num_workers=2)):
            best = net(pictures).softmax(1).topk(5)
            paths = files.paths[number * batch :]
            for path, indices, values in zip(paths, best.indices.tolist(), best.values.tolist(), strict=False):
                found.append((str(path), [(classes[i], v) for i, v in zip(indices, values, strict=True)]))
    return found


def run_predict(model: Classifier, folder: Path, batch: int) -> None:
    """Into a CSV file."""
    output = Output(folder.with_name("named.csv"), "csv")
    for _ in Run(model, find_inputs([str(folder)], None), Plan(batch, output=output)):
        pass


def run_engine(model: Classifier, pictures: Tensor, count: int) -> None:
    """As many pictures, a batch of them again and again, from memory."""
    for start in range(0, count, len(pictures)):
        model.engine.run_uint8(pictures[: count - start])


def main() -> None:
    """Both comparisons, after the answers were compared."""
    count, engine = int(next(iter(sys.argv[1:]), 200)), next(iter(sys.argv[2:]), "torch")
    warnings.simplefilter("ignore")  # torchvision's, of its own initialization; outputs without names
    with tempfile.TemporaryDirectory() as place:
        paths = write_files(Path(place) / "files", count)
        net = settle(torchvision.models.inception_v3(init_weights=False), paths[:8])
        torch.save(net.state_dict(), Path(place) / "inception_v3.pth")
        model = load(Path(place) / "inception_v3.pth", source="torchvision_inception_v3")
        look = model.preprocess
        batch = fitting_batch(look.size, model.device)
        model.use(build(engine, model.network, preprocess=look, batch=batch))
        usual = Compose([Resize(round(look.size / look.crop)), CenterCrop(look.size), ToTensor()])
        usual.transforms.append(Normalize(look.mean, look.std))
        files = Files(paths, usual)
        cuts = stack([look.cut(open_image(path)) for path in paths[:batch]])
        with torch.inference_mode():
            right = net(torch.stack([files[index] for index in range(batch)]))
        error = ((model.logits(cuts) - right).abs().max() / right.abs().max()).item()
        print(f"logits differ from torchvision's by {error:.1e} of the largest")
        assert error <= ALLOWED
        predict = partial(run_predict, model, Path(place) / "files", batch)
        alone = partial(run_engine, model, cuts.permute(0, 2, 3, 1).contiguous(), len(paths))
        loop = partial(run_loop, net, files, batch, list(model.classes))
        title = f"inception_v3, {len(paths)} JPEG files of 500 x 375 px, batch {batch}"
        results = dict(
            machine=f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
            versions=dict(torch=torch.__version__, torchvision=torchvision.__version__),
            engine=f"{model.engine.name} {model.engine.version}",
            difference=error,
            hidden=compare(
                f"{title}: what predict reaches of the engine", {"engine alone": alone, "predict": predict}, 5
            ),
            loop=compare(f"{title}: beside a loop", {"torchvision loop": loop, "predict": predict}, 5),
        )
    (RESULTS / "predict.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

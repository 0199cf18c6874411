"""torchvision's datasets with few pictures, each in the files that it is published in."""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from data_fixtures import encode, noise


def write_idx(root: Path, name: str) -> None:
    """MNIST's format; 30 pictures to train, 20 to test; labels go round."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part, count in dict(train=30, t10k=20).items():
        pictures = np.stack([noise(count + n, 28, 28)[:, :, 0] for n in range(count)])
        labels = np.arange(count, dtype=np.uint8) % 10
        for kind, values in (("images-idx3", pictures), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            (raw / f"{part}-{kind}-ubyte").write_bytes(head + values.tobytes())


def write_cifar(root: Path, name: str) -> None:
    """Pickles of rows; 4 pictures a file."""
    fine = name == "CIFAR100"
    folder = root / ("cifar-100-python" if fine else "cifar-10-batches-py")
    folder.mkdir()
    names = [f"class {n}" for n in range(100 if fine else 10)]
    files = ["train", "test"] if fine else [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    for place, file in enumerate(files):
        rows = np.stack([noise(10 * place + n, 32, 32).transpose(2, 0, 1).reshape(-1) for n in range(4)])
        content = {"data": rows, "fine_labels" if fine else "labels": [3, 0, 9, 7]}
        (folder / file).write_bytes(pickle.dumps(content))
    head = {"fine_label_names" if fine else "label_names": names}
    (folder / ("meta" if fine else "batches.meta")).write_bytes(pickle.dumps(head))


def write_flowers(root: Path, _name: str) -> None:
    """Numbered JPEG files, and labels and splits for MATLAB, both counted from 1."""
    from scipy.io import savemat

    folder = root / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    for number in range(1, 13):
        (folder / "jpg" / f"image_{number:05}.jpg").write_bytes(encode(noise(number, 20, 30), "JPEG"))
    savemat(folder / "imagelabels.mat", dict(labels=np.array([[1, 102, 50, 51] * 3])))
    splits = dict(trnid=[[1, 4, 2, 8]], valid=[[3, 5, 6]], tstid=[[12, 11, 10, 9, 7]])
    savemat(folder / "setid.mat", {name: np.array(ids) for name, ids in splits.items()})


def write_pets(root: Path, _name: str) -> None:
    """JPEG files called after the breed, and lists with labels counted from 1."""
    folder = root / "oxford-iiit-pet"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    breeds = ("Abyssinian", "american_bulldog", "Bengal")
    for split, numbers in dict(trainval=(1, 2), test=(3,)).items():
        lines = []
        for label, breed in enumerate(breeds, 1):
            for number in numbers:
                (folder / "images" / f"{breed}_{number}.jpg").write_bytes(
                    encode(noise(10 * label + number, 20, 20), "JPEG")
                )
                lines.append(f"{breed}_{number} {label} 1 1\n")
        (folder / "annotations" / f"{split}.txt").write_text("".join(lines))


def write_imagenette(root: Path, _name: str) -> list[str]:
    """Its ten class folders, with a picture in each of train and val; their WordNet ids."""
    from torchvision.datasets import Imagenette

    ids = sorted(Imagenette._WNID_TO_CLASS)
    for split in ("train", "val"):
        for number, wordnet_id in enumerate(ids):
            folder = root / "imagenette2" / split / wordnet_id
            folder.mkdir(parents=True)
            (folder / f"{wordnet_id}_1.JPEG").write_bytes(encode(noise(100 * len(split) + number), "JPEG"))
    return ids


WRITERS: dict[str, Callable[[Path, str], object]] = {
    "MNIST": write_idx,
    "FashionMNIST": write_idx,
    "CIFAR10": write_cifar,
    "CIFAR100": write_cifar,
    "Flowers102": write_flowers,
    "OxfordIIITPet": write_pets,
    "Imagenette": write_imagenette,
}

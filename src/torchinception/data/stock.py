"""torchvision's datasets by name: fetched once, written as tar shards, from then on read as those are.

ImageNet alone is read where it is, as class folders: nobody may give it away, and a copy would be 150 GB.
"""

import contextlib
import difflib
import hashlib
import io
import tarfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from torchinception.data.remote import is_offline
from torchinception.errors import MissingInputError, SaveError, UsageError
from torchinception.files import cache_folder, write_atomically
from torchinception.progress import Listener

PREFIX = "torchvision:"
IMAGENET = "ImageNet"
Splits = dict[str, dict[str, Any]]  # our split -> torchvision's arguments

BY_FLAG: Splits = dict(train=dict(train=True), test=dict(train=False))
IN_TWO: Splits = dict(train=dict(split="train"), test=dict(split="test"))
IN_THREE: Splits = IN_TWO | dict(val=dict(split="val"))
WHOLE: Splits = {"all": {}}
STOCK: dict[str, Splits] = {
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "USPS"), BY_FLAG),
    **dict.fromkeys(("SVHN", "STL10", "Food101", "GTSRB"), IN_TWO),
    **dict.fromkeys(("Flowers102", "DTD", "FGVCAircraft"), IN_THREE),
    **dict.fromkeys(("EuroSAT", "Caltech101", "Caltech256"), WHOLE),
    "OxfordIIITPet": IN_TWO | dict(train=dict(split="trainval")),
    "Imagenette": dict(train=dict(split="train"), val=dict(split="val")),
}


def is_stock(data: str | Path) -> bool:
    """Whether `data` is `torchvision:NAME` and no path."""
    return str(data).startswith(PREFIX)


def split_name(data: str | Path) -> tuple[str, str]:
    """NAME and ROOT of `torchvision:NAME:ROOT`; an empty ROOT of `torchvision:NAME`.

    >>> split_name("torchvision:MNIST:C:/data")
    ('MNIST', 'C:/data')
    """
    name, _, root = str(data).removeprefix(PREFIX).partition(":")
    return name, root


def fetch(data: str | Path, listener: Listener) -> Path:
    """The folder of shards of `torchvision:NAME`, or `torchvision:NAME:ROOT` if torchvision's files are in ROOT.

    Raises:
        UsageError: no such dataset, or torchvision needs a package that is not installed.
        MissingInputError: its files are not in ROOT, or could not be downloaded.
        SaveError: the shards could not be written.
    """
    name, given = split_name(data)
    if name not in STOCK and name != IMAGENET:
        known = sorted([*STOCK, IMAGENET])
        near = [other for other in known if other.lower() == name.lower()] or difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"no dataset {name!r} of torchvision known here; {hint}known are {', '.join(known)}")
    root = Path(given).expanduser().absolute() if given else cache_folder() / "torchvision"
    place = f"{name}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}" if given else name
    folder = cache_folder() / "shards" / place
    if name == IMAGENET:
        return _imagenet(root if given else None, folder)
    for split, options in STOCK[name].items():
        shard = folder / f"{split}.tar"
        if not shard.exists():
            dataset = _open(name, root, options, listener, download=not given and not is_offline())
            write_atomically(shard, partial(_pack, dataset, f"{name} {split}", listener))
    return folder


def _imagenet(root: Path | None, folder: Path) -> Path:
    """ROOT, or a folder with links to its train/ and val/ if there is more in it, as torchvision's meta.bin."""
    if root is None:
        raise UsageError(
            "ImageNet cannot be downloaded from here; get it from image-net.org and name its folder: "
            f"{PREFIX}{IMAGENET}:ROOT"
        )
    splits = [split for split in ("train", "val") if any(root.glob(f"{split}/n[0-9]*/"))]
    if not splits:
        unpacked = f"from torchvision.datasets import ImageNet; ImageNet({str(root)!r}, 'train'); ImageNet(…, 'val')"
        raise MissingInputError(
            f"no train/ or val/ with folders of WordNet ids (n01440764, …) in {root}; "
            f"if the archives (ILSVRC2012_….tar) are there, unpack them: {unpacked}"
        )
    if {path.name for path in root.iterdir()} <= {"train", "val"}:
        return root
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for split in splits:
            with contextlib.suppress(FileExistsError):
                (folder / split).symlink_to(root / split, target_is_directory=True)
    except OSError as error:
        raise SaveError(
            f"cannot link to {root} in {folder} ({error.strerror or error}); leave only train/ and val/ in {root}"
        ) from error
    return folder


def _open(name: str, root: Path, options: dict[str, Any], listener: Listener, *, download: bool) -> Any:
    from torchvision import datasets

    if download:
        listener.say(f"Fetching {name} with torchvision into {root}, if it is not there")
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # its own bars
            if download:
                root.mkdir(parents=True, exist_ok=True)
            return getattr(datasets, name)(root, download=download, **options)
    except ImportError as error:
        raise UsageError(f"torchvision's {name} needs {error.name}: pip install {error.name}") from error
    except (OSError, RuntimeError) as error:
        why = str(error).strip().split("\n")[0]
        raise MissingInputError(
            f"torchvision's files of {name} are not in {root} ({why}); download them where there is a network, put "
            f"them there as torchvision lays them out, or name their folder: {PREFIX}{name}:FOLDER"
        ) from error


def _pack(dataset: Any, task: str, listener: Listener, file: BinaryIO) -> None:
    """Pictures as PNG, each with its class in a .cls; equal datasets give equal bytes."""
    # of several names the first, which are ImageNet's own names in weights/imagenet_classes.txt
    names = [n if isinstance(n, str) else n[0] for n in getattr(dataset, "classes", getattr(dataset, "categories", []))]
    if len(set(names)) < len(names):
        names = []  # the numbers tell them apart
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (picture, label) in enumerate(_items(dataset)):
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            name = names[label] if names else str(label)
            for kind, content in (("png", buffer.getvalue()), ("cls", name.encode())):
                info = tarfile.TarInfo(f"{number:07}.{kind}")  # its time is 0 and its owner nobody
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            listener.progress(f"Packing {task}", number + 1, len(dataset))


def _items(dataset: Any) -> Iterable[tuple[Image.Image, int]]:
    for index in range(len(dataset)):  # several of torchvision's do not end when iterated over
        picture, label = dataset[index]
        yield picture, int(label)

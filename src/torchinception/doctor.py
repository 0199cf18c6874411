"""What is installed, what this machine has, and what will be used."""

import importlib
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torchinception.files import cache_folder

PACKAGES = ("torchinception", "torch", "torchvision", "lightning", "torchmetrics", "safetensors", "pillow", "numpy")
KNOWN_BAD: dict[
    str, tuple[Callable[[tuple[int, ...]], bool], str]
] = {  # package: (test of the version's first three numbers, why)
    "lightning": (lambda v: v in ((2, 6, 2), (2, 6, 3)), "was malicious; pip install -U lightning, change your keys"),
    "torch": (lambda v: v < (2, 10), "loads pickles unsafely (CVE-2026-24747); pip install -U torch"),
    "pillow": (lambda v: v < (12, 3), "has known holes in its decoders; pip install -U pillow"),
}


def examine() -> dict[str, Any]:
    """Versions, machine, what `auto` means here for device, precision and engine, and problems with their cure."""
    versions, problems = {}, []
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            problems.append(f"{package} is not installed; pip install torchinception")
    for package, (bad, why) in KNOWN_BAD.items():
        numbers = tuple(int("".join(filter(str.isdigit, n)) or 0) for n in versions.get(package, "999").split(".")[:3])
        if bad(numbers):
            problems.append(f"{package} {versions[package]} {why}")
    problems += _cache_problems()
    broken = list(_import_problems("torch", "torchvision"))
    found: dict[str, Any] = dict(
        versions=versions,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count(),
    )
    return found | ({} if broken else _torch()) | dict(problems=problems + broken)


def _cache_problems() -> Iterator[str]:
    """What is wrong with the folder of what can be made again, which is found by writing there."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"a byte, as a full disk takes files that are empty")
    except OSError as error:
        yield (
            f"the cache {folder} cannot be written ({error.strerror or error}), so nothing is kept for a second time; "
            "mend that, or name another folder in $TORCHINCEPTION_CACHE"
        )


def _import_problems(*modules: str) -> Iterator[str]:
    """The first of these that does not load; the later ones need it."""
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError) as error:  # torchvision, of another torch, raises RuntimeError
            yield f"{module} does not load ({error}); install it anew"
            return


def _torch() -> dict[str, Any]:
    import torch

    from torchinception.devices import resolve_device, resolve_precision
    from torchinception.engines.native_engine import describe_native
    from torchinception.engines.remembered import engine_versions, remembered

    device = resolve_device()
    chosen = {choice.about: choice.describe() for choice in remembered()}
    return dict(
        threads=torch.get_num_threads(),
        gpus=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        device=str(device),
        precision=resolve_precision("auto", device),
        engines={name: number for name, number in engine_versions().items() if name != "torchinception"},
        native_engine=describe_native(),
        chosen_engines=chosen,
    )

"""`export`: write a file beside its place, compare it with PyTorch there, and only then put it in its place."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from torchinception.classifier import Classifier
from torchinception.engines.onnx_engine import OnnxEngine
from torchinception.engines.openvino_engine import OpenVinoEngine
from torchinception.engines.rewrite import REWRITES, Rewrite
from torchinception.errors import InceptionError, SaveError, UsageError
from torchinception.exports import onnx_file, openvino_file, torch_file
from torchinception.exports.content import OUTPUTS, PROBABILITIES, Content, Loaded, Quantized, content_of
from torchinception.exports.parity import Parity, compare
from torchinception.files import cannot_write
from torchinception.progress import Listener


@dataclass(frozen=True)
class Target:
    """A format: what its files end in, also those beside, and the rewrites that its runtime is quickest with."""

    suffix: str
    write: Callable[[Content, Path], None]
    load: Callable[[Path, int], list[Loaded]]
    rewrites: tuple[Rewrite, ...]
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # which write it, besides torch
    int8: bool = True


TARGETS: Mapping[str, Target] = {
    "onnx": Target(".onnx", onnx_file.write, onnx_file.load, OnnxEngine.rewrites, packages=("onnx",)),
    "openvino": Target(
        ".xml",
        openvino_file.write,
        openvino_file.load,
        OpenVinoEngine.rewrites,
        beside=(".bin",),
        packages=("onnx", "openvino"),
    ),
    "torch-export": Target(".pt2", torch_file.write, torch_file.load, REWRITES, int8=False),
}


def export(
    model: Classifier,
    path: str | Path,
    to: str = "onnx",
    *,
    batch: int | None = None,
    output: str = PROBABILITIES,
    quantized: Quantized | None = None,
    listener: Listener | None = None,
) -> Parity:
    """Write a model for another runtime, to be used there without this package.

    The file takes `pictures`, uint8 (N, size, size, 3), RGB and cut to size as `Preprocess.cut` does (whose resizing no
    runtime has to the bit), and scales them itself. It puts out `probabilities` or `logits`, float32 (N, classes), and
    carries the classes, the preprocessing and the digest of the weights as texts. Before it is put in place it is
    loaded in its runtime and compared with PyTorch on 32 real pictures; what was found goes into PATH.parity.json.

    Args:
        model: what to write; auxiliary heads stay behind.
        path: the file; its folder is made, and one of that name is replaced, but not by one that fails.
        to: a key of `TARGETS`. A file for OpenVINO has another one, with the weights, beside it: x.xml and x.bin.
        batch: how many pictures a call takes; None: any number.
        output: "probabilities" or "logits".
        quantized: the network in 8 bits, to be written instead; the file has to answer as that does.
        listener: hears how far the comparison is.

    Raises:
        UsageError: a format, output, suffix or batch that cannot be, a package that is not installed, or a network
            with layers of its own.
        SaveError: it could not be written.
        InceptionError: the runtime's answers are not PyTorch's, or not those of `quantized`.
    """
    path = Path(path)
    precision = "int8" if quantized else "fp32"
    target = check(path, to, batch, output, precision)
    content = content_of(model, target.rewrites, batch, output, quantized)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp") as folder:
            fresh = Path(folder) / path.name
            target.write(content, fresh)
            loaded = target.load(fresh, torch.get_num_threads())
            if quantized:
                loaded = [one for one in loaded if one.runtime == loaded[0].runtime]  # others round other values
            parity = compare(model, content, loaded, listener)
            if not parity.fits:
                raise InceptionError(_misfit(path, parity, "the network in 8 bits" if quantized else "PyTorch"))
            about = _about(path, to, content, target) | dict(file_sha256=_sha256(fresh))
            fresh.with_name(parity_path(path).name).write_text(parity.to_json(**about), "utf-8")
            _put_in_place(Path(folder), [parity_path(path), *_parts(path, target)])
    except OSError as error:
        if isinstance(error, InceptionError):
            raise
        raise cannot_write(path, error) from error
    return parity


def _about(path: Path, to: str, content: Content, target: Target) -> dict[str, object]:
    """What the parity file says besides the comparison."""
    judged = {} if content.quantized is None else dict(int8=content.quantized.report)
    return dict(
        file=path.name,
        to=to,
        network=content.metadata["network"],
        model_sha256=content.metadata["model_sha256"],
        precision="int8" if content.quantized else "fp32",
        output=content.output,
        batch=content.batch or "dynamic",
        size_px=content.size[0],
        versions={package: version(package) for package in ("torchinception", "torch", *target.packages)},
        **judged,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parity_path(path: Path) -> Path:
    """Where the comparison of the file at `path` is written."""
    return path.with_name(f"{path.name}.parity.json")


def check(path: Path, to: str, batch: int | None, output: str, precision: str = "fp32") -> Target:
    """Refuse what cannot be before anything is loaded.

    Raises:
        UsageError: a format, output, suffix, batch or precision that cannot be.
        SaveError: a file where a folder should be, or a folder where the file should be.
    """
    if to not in TARGETS:
        raise UsageError(f"no format named {to}; formats: {', '.join(TARGETS)}")
    target = TARGETS[to]
    if path.suffix != target.suffix:
        raise UsageError(f"files of {to} end in {target.suffix}: {path.with_suffix(target.suffix)}, not {path}")
    if output not in OUTPUTS:
        raise UsageError(f"no output named {output}; expected {' or '.join(OUTPUTS)}")
    if precision not in ("fp32", "int8"):
        raise UsageError(f"no precision {precision} for files; expected fp32 or int8")
    if precision == "int8" and not target.int8:
        raise UsageError(f"int8 is for {' and '.join(name for name in TARGETS if TARGETS[name].int8)}, not for {to}")
    if batch is not None and batch < 1:
        raise UsageError(f"a batch of {batch} pictures cannot be; leave it out for any number")
    nearest = next(folder for folder in path.parents if os.path.exists(folder))  # noqa: PTH110, false for a long name
    if not nearest.is_dir():
        raise SaveError(f"cannot write {path}: {nearest} is a file and no folder; choose another place")
    for part in (parity_path(path), *_parts(path, target)):
        if os.path.isdir(part):  # noqa: PTH112, likewise
            raise SaveError(f"cannot write {part}: it is a folder; choose another name")
    return target


def _parts(path: Path, target: Target) -> list[Path]:
    """The file and those beside it, which come first."""
    return [*(path.with_suffix(suffix) for suffix in target.beside), path]


def _misfit(path: Path, parity: Parity, right: str) -> str:
    bad = next(runtime for runtime in parity.runtimes if not runtime.fits)
    return (
        f"{path} was not written: {bad.runtime} {bad.version} does not answer as {right} does. On {parity.pictures} "
        f"pictures logits differ by up to {bad.max_difference:.2g}, where {parity.tolerance * parity.scale:.2g} is "
        f"allowed, and top-1 agrees on {bad.top1_agreement:.1%}. Try another version of {bad.runtime}, and please "
        f"report this one"
    )


def _put_in_place(folder: Path, parts: Sequence[Path]) -> None:
    """Move the files of these names out of `folder`; the last one is there only once the others are."""
    for part in parts:
        with (folder / part.name).open("rb+") as file:
            os.fsync(file.fileno())
    *others, main = parts
    old = folder / f"{main.name}.old"
    if len(others) > 1 and main.exists():  # never beside the weights of another model
        main.replace(old)
    try:
        for part in parts:
            (folder / part.name).replace(part)
    except OSError:
        with contextlib.suppress(OSError):
            old.replace(main)
        raise

"""A classifier in 8 bits, if its answers stay: calibrated with some pictures, checked on others, kept for later.

What was quantized is kept in the cache by the digests of the model and of the pictures, and beside it what the check
has found, so that a second time costs no more than a look at the pictures.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import PIL
import torch

from torchinception.classifier import Classifier
from torchinception.data.folder import holds_only_files, scan
from torchinception.data.remote import as_path
from torchinception.data.stock import is_stock
from torchinception.engines import int8
from torchinception.engines.engine import Engine
from torchinception.engines.int8_cache import Kept, key_of
from torchinception.engines.int8_graph import saturates
from torchinception.engines.int8_parity import Int8Parity, compare
from torchinception.engines.int8_pictures import Chosen, choose_labelled, choose_unlabelled, read
from torchinception.engines.packages import package_version
from torchinception.engines.remembered import describe_machine
from torchinception.errors import UsageError
from torchinception.prediction import find_pictures
from torchinception.progress import Listener
from torchinception.weights.bundle import tensors_sha256

FORMAT = 1  # of what is kept; another number when the same inputs are to be quantized in another way
COMPARISON = 2  # likewise, of what a check has found


def quantize_model(
    model: Classifier,
    data: str | Path,
    *,
    name: str = "auto",
    calibration: int = 256,
    check: int = 1000,
    max_loss: float = 0.5,
    batch: int = 1,
    threads: int | None = None,
    anywhere: bool = False,
    listener: Listener | None = None,
) -> tuple[Engine, Int8Parity]:
    """The quickest engine in 8 bits that answers as the model's own engine does in fp32; the model keeps that one.

    It is accepted if no more than `max_loss` points of accuracy are lost, or, where classes are not known, if no more
    are named otherwise. `model.use(engine)` computes with it.

    Args:
        model: whose network; its engine has to compute in fp32.
        data: pictures: what `data.folder.scan` takes, or a folder of pictures without classes.
        name: the runtime, "onnx" or "openvino"; "auto" tries those that are installed.
        calibration: how many pictures decide what 8 bits stand for, at most.
        check: how many others are compared, at most.
        max_loss: in points, hundredths of the pictures.
        batch: how many pictures at a time it is to be quickest for.
        threads: how many a call uses; None: as many as the model's engine.
        anywhere: make it right on every processor, see `engines.int8_graph.saturates`, and not on this one alone.
        listener: hears of progress, and what was found.

    Raises:
        UsageError: no engine was good enough, which is said in figures; a package is not installed; or a setting that
            cannot be.
        DataError: too few pictures, or some that cannot be used.
        MissingInputError: `data` is not there.
    """
    listener = listener or Listener()
    if calibration < 1 or check < 1 or batch < 1 or not 0 <= max_loss <= 100:
        raise UsageError(
            f"calibration, check and batch must be at least 1 and max_loss 0 to 100 points, not {calibration}, "
            f"{check}, {batch} and {max_loss}"
        )
    names, fp32 = _runtimes(name), model.engine
    if fp32.precision != "fp32":
        raise UsageError(f"int8 is compared with fp32, but the model's engine computes in {fp32.precision}")
    chosen = _choose(model, data, calibration, check, listener)
    threads = fp32.threads if threads is None else threads
    half_range = anywhere or saturates()
    found = [_attempt(model, one, chosen, max_loss, batch, threads, half_range, listener) for one in names]
    for _, parity in found:
        listener.say(str(parity))
    good = [(engine, parity) for engine, parity in found if parity.accepted]
    if not good:
        raise UsageError(_refusal([parity for _, parity in found]))
    engine, parity = min(good, key=lambda pair: pair[1].milliseconds_int8)
    if parity.speedup < 1:
        listener.say(
            f"int8 is no quicker than fp32 here, {parity.speedup:.2f} times as fast; fp32 is the better choice"
        )
    return engine, parity


def _runtimes(name: str) -> Sequence[str]:
    """Those to try."""
    if name not in ("auto", *int8.QUANTIZERS):
        raise UsageError(f"no int8 in an engine named {name}; expected auto, {', '.join(int8.QUANTIZERS)}")
    names = int8.installed()
    if (name != "auto" and name not in names) or not names:
        needed = "onnxruntime, or openvino and nncf" if name == "auto" else " and ".join(int8.PACKAGES[name])
        raise UsageError(f"int8 needs {needed}: pip install 'torchinception[int8]'")
    return names if name == "auto" else (name,)


def _choose(model: Classifier, data: str | Path, calibration: int, check: int, listener: Listener) -> Chosen:
    if not is_stock(data) and holds_only_files(as_path(data)):
        paths = [path for path in find_pictures([str(data)], listener) if isinstance(path, Path)]
        return choose_unlabelled(paths, calibration=calibration, check=check, listener=listener)
    return choose_labelled(
        scan(data, listener),
        model.classes,
        model.names,
        trained_on=model.trained_on,
        calibration=calibration,
        check=check,
        listener=listener,
    )


def _attempt(
    model: Classifier,
    name: str,
    chosen: Chosen,
    max_loss: float,
    batch: int,
    threads: int,
    half_range: bool,
    listener: Listener,
) -> tuple[Engine, Int8Parity]:
    """The engine of one runtime, and how it compares."""
    net, preprocess = model.network, model.preprocess
    # what may change a crop by a grey level is among the versions
    cropped = (preprocess.model_dump_json(), PIL.__version__, torch.__version__)
    versions = [package_version(package) for package in int8.PACKAGES[name]]
    digests = [sample.digest for sample in chosen.calibration]
    network = (net.name, net.options, tensors_sha256(net.state_dict()))
    key = key_of(FORMAT, name, versions, half_range, network, cropped, digests)
    kept = Kept(f"{name}-{key[:32]}", listener)
    content = kept.model()
    if content is None:
        listener.say(f"Quantizing for {name} with {len(digests)} pictures")
        content = int8.quantized_model(
            name, net, preprocess, list(read(chosen.calibration, preprocess)), half_range=half_range
        )
        kept.keep_model(content)
    size = (preprocess.size, preprocess.size)
    engine = int8.load_quantized(name, net, preprocess, content, size, batch=batch, threads=threads)
    fp32 = (model.engine.name, model.engine.version, model.engine.threads)
    labels = None if chosen.labels is None else chosen.labels.tolist()
    checked = [sample.digest for sample in chosen.check]
    check = key_of(COMPARISON, cropped, checked, labels, batch, threads, fp32, describe_machine())
    parity = kept.parity(check)
    if parity is None:
        total = len(chosen.check)
        parity = compare(
            model.engine,
            engine,
            read(chosen.check, preprocess, batch),
            chosen.labels,
            max_loss=max_loss,
            batch=batch,
            advance=lambda done: listener.progress(f"Checking int8 in {name}", done, total),
        )
        kept.keep_parity(check, parity)
    return engine, replace(parity, max_loss=max_loss)


def _refusal(found: Sequence[Int8Parity]) -> str:
    figures = "; ".join(str(parity) for parity in found)
    reasons = " and ".join(
        f"loses {parity.loss_points:.2f} of 100 pictures in {parity.name}"
        if parity.finite
        else f"has logits that are not finite in {parity.name}"
        for parity in found
    )
    others = " another runtime," if len(found) == 1 else ""
    return (
        f"int8 is refused, as it {reasons}, and the limit is {found[0].max_loss:g} of 100 pictures: {figures}. "
        f"Calibrate with more pictures, or such as it will see,{others} allow more with --max-loss, or stay with fp32"
    )

"""Errors of the native engine against PyTorch in float64, of every network, with random and with trained weights.

Random ones as `inception bench` has them, with photographs of the network's own size. Trained ones are trained here, on
the sample that comes with the package, enlarged to at most 107 px; then they name pictures that they were not trained
on. Errors are the largest difference over the largest logit; beside them are those of PyTorch, ONNX Runtime and
OpenVINO in float32. With one thread; fails where an error is above what docs/native.md promises, where a picture is
named differently, and where a network has not learned. The last table is that of docs/native.md.
35 minutes; for a look: python benchmarks/native_errors.py --networks tiny_inception small_inception --out /tmp/errors
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from run import RESULTS
from torch import Tensor
from trained import SIDE, enlarge, sample, train

from torchinception.bench.results import check_folder
from torchinception.bench.subjects import make_subject
from torchinception.console import Screen, out, print_table
from torchinception.data.sample import CLASSES
from torchinception.data.transforms import Preprocess
from torchinception.engines.engine import Engine, build, installed
from torchinception.engines.native_engine import NativeEngine, native_problem
from torchinception.engines.remembered import describe_machine
from torchinception.errors import UsageError
from torchinception.models import NETWORKS, Inception, create, find_spec
from torchinception.progress import Listener
from torchinception.weights.bundle import ModelSpec, load_model, save_model

LIMITS = {"default": 1e-5, "fast": 1e-4}  # of the largest logit
TIERS = ("direct", *LIMITS)
PEERS = ("eager", "onnx", "openvino")
SIZE = 107  # px at most, for trained ones: Inception-v3 ends in 2x2 cells, and float64 takes a tenth of 299 px
LEARNED = 0.4  # of the pictures named right, at least; one in ten is chance
AT_ONCE = 25  # pictures
Record = dict[str, Any]


def engines(net: Inception, size: int) -> Iterator[tuple[str, Callable[[], Engine]]]:
    """What makes each of them; only one need be there at a time."""
    for tier in TIERS:
        yield tier, partial(NativeEngine, net, threads=1, tier=tier, tune=False)
    for name in PEERS:
        if name in installed():
            yield name, partial(build, name, net, Preprocess(size=size), threads=1)


def measure(net: Inception, pictures: Tensor, right: Tensor) -> Record:
    """Of each engine, of logits beside right ones, float64 (N, classes).

    `top1` counts pictures to whose class float64 gives less than to another; `margin` is by how much the best class
    leads the next one, where it leads by least.
    """
    scale = right.abs().max()
    errors, typical, differing = dict[str, float | None](), dict[str, float | None](), dict[str, int]()
    for name, make in engines(net, pictures.shape[-1]):
        engine = make()
        found = torch.cat([engine.run(part) for part in pictures.split(AT_ONCE)]).double()
        apart = (found - right) / scale
        errors[name], typical[name] = _finite(apart.abs().max()), _finite(apart.square().mean().sqrt())
        chosen = right.gather(1, found.argmax(1, keepdim=True))
        differing[name] = int((chosen < right.amax(1, keepdim=True)).sum())
    best = right.topk(2).values
    margin = float((best[:, 0] - best[:, 1]).min() / scale)
    size = pictures.shape[-1]
    return dict(px=size, pictures=len(pictures), errors=errors, rms=typical, top1=differing, margin=margin)


def random_errors(name: str, count: int) -> Record:
    """With weights as at the beginning of training."""
    with tempfile.TemporaryDirectory(prefix="torchinception-errors-") as folder:
        subject = make_subject(name, count, Path(folder))
    return measure(subject.net, subject.pictures, subject.right)


def trained_errors(name: str, count: int, steps: int, keep: Path, listener: Listener) -> Record:
    """With weights that have learned; these are kept."""
    size = next(size for size in range(min(find_spec(name).size, SIZE), 0, -1) if bears(name, size))
    steps = steps * SIZE // size  # small pictures cost little
    net, losses = trained(keep / f"{name}-{size}px-{steps}steps.safetensors", name, size, steps, listener)
    small, labels = sample("test", count)
    pictures = enlarge(small, size)
    exact = build("eager", net, Preprocess(size=size), precision="fp64", threads=1)
    right = torch.cat([exact.run(part) for part in pictures.split(AT_ONCE)])
    accuracy = float((right.argmax(1) == labels).double().mean())
    return dict(measure(net, pictures, right), steps=steps, losses=losses, accuracy=accuracy)


def bears(name: str, size: int) -> bool:
    """Whether a network takes pictures of this size: of some BN-Inception's branches would differ by a pixel."""
    with torch.device("meta"):
        trunk = create(name).eval().trunk
        try:
            trunk(torch.empty(1, 3, size, size))
        except RuntimeError:
            return False
    return True


def trained(file: Path, name: str, size: int, steps: int, listener: Listener) -> tuple[Inception, list[float]]:
    """From the file, which is written if it is not there; and the mean losses of the first and the last tenth."""
    if not file.exists():
        torch.manual_seed(0)
        net = create(name, len(CLASSES), dropout=0.0)
        losses = train(net, size, steps, listener=listener)
        tenth = max(1, steps // 10)
        means = [sum(part) / tenth for part in (losses[:tenth], losses[-tenth:])]
        spec = ModelSpec(network=name, classes=CLASSES, preprocess=Preprocess(size=size), **net.options)
        save_model(file, net, spec.model_copy(update=dict(metrics=dict(losses=means))))
    net, spec = load_model(file)
    return net.eval(), spec.metrics["losses"]


def problems(name: str, weights: str, record: Record) -> Iterator[str]:
    """What is not as promised."""
    for tier, limit in LIMITS.items():
        error = record["errors"][tier]
        if error is None or error > limit:
            yield f"{name}, {weights} weights: the error of tier {tier} is {error}; promised is {limit:g}"
        if record["top1"][tier]:
            yield f"{name}, {weights} weights: tier {tier} names {record['top1'][tier]} pictures differently"
    if record.get("accuracy", 1) < LEARNED:
        yield f"{name} was not trained: it names {record['accuracy']:.0%} right; chance is {1 / len(CLASSES):.0%}"


def print_all(found: Record) -> None:
    """Every engine's errors, what was learned, and the table of the documentation."""
    names = [*TIERS, *(name for name in PEERS if name in installed())]
    rows = []
    for name, records in found.items():
        for weights, record in records.items():
            errors = [_show(record["errors"][engine]) for engine in names]
            learned = f"{record['accuracy']:.1%}" if weights == "trained" else ""
            differing = max(record["top1"][tier] for tier in TIERS)
            what = (name, weights, record["px"], record["pictures"], *errors)
            rows.append((*what, f"{differing}", f"{record['margin']:.0e}", learned))
    headings = ("network", "weights", "px", "pictures", *names, "top1-differs", "margin", "accuracy")
    print_table("Errors, of the largest logit", headings, rows, " ".join(headings[2:]))
    out.print("\n" + "\n".join(markdown(found)))


def markdown(found: Record) -> Iterator[str]:
    """The lines of the table in docs/native.md."""
    yield "| network | random: default | fast | OpenVINO | trained: default | fast | OpenVINO | top-1 differ | right |"
    yield "|---|" + "--:|" * 8
    for name, records in found.items():
        errors = [
            _show(records[weights]["errors"].get(engine))
            for weights in ("random", "trained")
            for engine in (*LIMITS, "openvino")
        ]
        record = records["trained"]
        differing = f"{max(record['top1'][tier] for tier in TIERS)} of {record['pictures']}"
        yield f"| {name} | {' | '.join(errors)} | {differing} | {record['accuracy']:.0%} |"


def _show(error: float | None) -> str:
    return "–" if error is None else f"{error:.1e}"


def _finite(value: Tensor) -> float | None:
    """None, which JSON has, for what is no number."""
    return float(value) if value.isfinite() else None


def main() -> None:
    """Measure all, or the networks that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=tuple(NETWORKS), help="default: all")
    parser.add_argument("--random-pictures", type=int, default=4, help="photographs for random weights; default 4")
    parser.add_argument("--pictures", type=int, default=500, help="of the sample, for trained ones; at most 1000")
    parser.add_argument("--steps", type=int, default=100, help=f"of training at {SIZE} px; more at {SIDE}; default 100")
    parser.add_argument("--keep", type=Path, help="a folder for the trained networks, to train them only once")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for native_errors.json")
    asked = parser.parse_args()
    check_folder(asked.out)
    if problem := native_problem():
        raise UsageError(problem)
    torch.set_num_threads(1)
    found, wrong = Record(), list[str]()
    with Screen() as screen, tempfile.TemporaryDirectory(prefix="torchinception-errors-") as folder:
        keep = asked.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        for done, name in enumerate(asked.networks, 1):
            random = random_errors(name, asked.random_pictures)
            learned = trained_errors(name, asked.pictures, asked.steps, keep, screen)
            found[name] = dict(random=random, trained=learned)
            for weights, record in found[name].items():
                errors = ", ".join(f"{engine} {_show(error)}" for engine, error in record["errors"].items())
                screen.say(f"{name}, {weights}: {errors}")
                wrong += problems(name, weights, record)
            screen.say(f"{name} names {learned['accuracy']:.1%} right")
            screen.progress("networks", done, len(asked.networks))
            content = dict(machine=describe_machine(), torch=torch.__version__, limits=LIMITS, networks=found)
            (asked.out / "native_errors.json").write_text(json.dumps(content, indent=1) + "\n")
    print_all(found)
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()

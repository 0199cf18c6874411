"""How near a file's answers come to PyTorch's, and how quick they are."""

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from torchinception.classifier import Classifier
from torchinception.data.real_pictures import real_pictures
from torchinception.engines.checked import TOLERANCE
from torchinception.engines.engine import build
from torchinception.exports.content import PROBABILITIES, Content, Loaded
from torchinception.progress import Listener

PICTURES = 32
SEVERAL = 5  # pictures of the one call which shows that a call may have any number
LEAST = torch.finfo(torch.float32).tiny  # probabilities below it are 0 to some runtimes, and no difference


@dataclass(frozen=True)
class Agreement:
    """One runtime's answers beside those of PyTorch in float64, and in float32 with the network as it is.

    Differences are the largest of any logit; of probabilities, of their logarithms, which are logits but for a
    constant. `unclear` pictures have another best class, in float64 as near to the first as the tolerance.
    `latency_ms` is the median of a call.
    """

    runtime: str
    version: str
    max_difference: float
    max_difference_to_fp32: float
    top1_agreement: float
    unclear: int
    latency_ms: float
    fits: bool


@dataclass(frozen=True)
class Parity:
    """What was found on so many real pictures: the first runtime is the format's own, `pytorch` the network as it is.

    `scale` is the largest logit, and `tolerance` a part of it.
    """

    pictures: int
    pictures_a_call: int
    threads: int
    scale: float
    tolerance: float
    runtimes: tuple[Agreement, ...]
    pytorch: Agreement

    @property
    def fits(self) -> bool:
        """Whether the file may be kept."""
        return all(runtime.fits for runtime in self.runtimes)

    def to_json(self, **others: object) -> str:
        """The content of the parity file; `others` come first in it."""
        return json.dumps(others | asdict(self) | dict(machine=machine()), indent=2, ensure_ascii=False) + "\n"


def compare(model: Classifier, content: Content, loaded: Sequence[Loaded], listener: Listener | None = None) -> Parity:
    """Run the network and what was loaded by turns, a call (of a batch of pictures, or of one) at a time.

    What is right is PyTorch's answer in float64, or of a network in 8 bits that of the engine it was judged in.
    """
    listener, look, batch = listener or Listener(), model.preprocess, content.batch
    pictures = real_pictures(PICTURES, look.size, look.size)
    logits = _right_logits(model, content, pictures, listener)
    eager = build("eager", model.network, look)
    calls = _calls(batch)
    runs = {"pytorch": eager.run_uint8} | {one.runtime: one.run for one in loaded}
    answers, latencies = _run_by_turns(runs, pictures, calls, listener)
    right, eagers = logits[torch.cat(calls)], answers["pytorch"]
    found = {one.runtime: answers[one.runtime] for one in loaded}
    if content.output == PROBABILITIES:
        right, eagers = (values.log_softmax(1).clamp(min=math.log(LEAST)) for values in (right, eagers))
        found = {name: values.clamp(min=LEAST).log() for name, values in found.items()}
    scale = logits.abs().max().item()
    agreements = [
        _agreement(name, version, values, right, eagers, TOLERANCE * scale, latencies[name])
        for name, version, values in (
            *((one.runtime, one.version, found[one.runtime]) for one in loaded),
            ("pytorch", torch.__version__, eagers),
        )
    ]
    *runtimes, pytorch = agreements
    return Parity(PICTURES, batch or 1, torch.get_num_threads(), scale, TOLERANCE, tuple(runtimes), pytorch)


def _right_logits(model: Classifier, content: Content, pictures: Tensor, listener: Listener) -> Tensor:
    """Float64 (N, classes)."""
    if content.quantized:
        run, together, task = content.quantized.run, content.batch or 1, "The network in 8 bits"
    else:
        run = build("eager", model.network, model.preprocess, precision="fp64").run_uint8
        together, task = 1, "PyTorch in float64"  # more would take more memory, and no less time
    parts = []
    for start in range(0, len(pictures), together):
        parts.append(run(pictures[start : start + together]).double())
        listener.progress(task, min(start + together, len(pictures)), len(pictures))
    return torch.cat(parts)


def _calls(batch: int | None) -> list[Tensor]:
    """Which pictures each call takes; the last ones are filled up with the first."""
    length = batch or 1
    numbers = torch.arange(-(-PICTURES // length) * length) % PICTURES
    return [*numbers.view(-1, length), *([] if batch else [torch.arange(SEVERAL)])]


def _run_by_turns(
    runs: Mapping[str, Callable[[Tensor], Tensor]], pictures: Tensor, calls: Sequence[Tensor], listener: Listener
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """All answers of each, float64 (N, classes), and the median of its times in milliseconds."""
    answers: dict[str, list[Tensor]] = {name: [] for name in runs}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(pictures[calls[0]])  # the first call prepares
    for done, call in enumerate(calls, 1):
        for name, run in runs.items():
            began = time.perf_counter()
            answer = run(pictures[call])
            times[name].append(1000 * (time.perf_counter() - began))
            answers[name].append(answer.double())
        listener.progress("Comparing", done, len(calls))
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    return {name: torch.cat(values) for name, values in answers.items()}, medians


def _agreement(
    runtime: str, version: str, found: Tensor, right: Tensor, eager: Tensor, tolerance: float, latency_ms: float
) -> Agreement:
    """All answers (N, classes), in the unit of logits, as `tolerance` is."""
    difference = (found - right).abs().max().item()
    best = right.topk(min(2, right.shape[1])).values
    other = found.argmax(1) != right.argmax(1)
    near = best[:, 0] - best[:, -1] <= tolerance
    return Agreement(
        runtime,
        version,
        max_difference=difference,
        max_difference_to_fp32=(found - eager).abs().max().item(),
        top1_agreement=1 - other.double().mean().item(),
        unclear=int((other & near).sum()),
        latency_ms=latency_ms,
        fits=difference <= tolerance and not (other & ~near).any(),  # what is no number is not below it
    )


def machine() -> dict[str, object]:
    """What the times were taken on."""
    lines: list[str] = []
    if (found := Path("/proc/cpuinfo")).is_file():
        lines = [line.partition(":")[2].strip() for line in found.read_text().splitlines() if "model name" in line]
    return dict(
        processor=lines[0] if lines else platform.processor(),
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count(),
    )

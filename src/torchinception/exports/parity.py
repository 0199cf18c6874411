"""How near a file's answers come to PyTorch's, and how quick they are."""

import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from torchinception.classifier import Classifier
from torchinception.data.real_pictures import real_pictures
from torchinception.engines.checked import TOLERANCE, same_top1
from torchinception.engines.engine import build
from torchinception.exports.content import PROBABILITIES, Content, Loaded
from torchinception.machine import processor_name, usable_cores
from torchinception.progress import Listener

PICTURES = 32
SEVERAL = 5  # pictures of the one call which shows that a call may have any number
LEAST = torch.finfo(torch.float32).tiny  # probabilities below it are 0 to some runtimes, and no difference


@dataclass(frozen=True)
class Agreement:
    """One runtime's answers beside those of PyTorch in float64, and in float32 with the network as it is.

    Differences are the largest of any logit; of probabilities, of their logarithms, which are logits but for a
    constant. `unclear` pictures have another best class, which is as good as the first by `same_top1`.
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

    `scale` is the largest logit, and `tolerance` a part of it. `plain` are runtimes without the settings for float32:
    OpenVINO computes in bfloat16 then if the processor can.
    """

    pictures: int
    pictures_a_call: int
    threads: int
    scale: float
    tolerance: float
    runtimes: tuple[Agreement, ...]
    plain: tuple[Agreement, ...]
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
    (eagers, *found), latencies = _run_by_turns(
        [eager.run_uint8, *(one.run for one in loaded)], pictures, calls, listener
    )
    right = logits[torch.cat(calls)]
    if content.output == PROBABILITIES:
        right, eagers = (values.log_softmax(1).clamp(min=math.log(LEAST)) for values in (right, eagers))
        found = [values.clamp(min=LEAST).log() for values in found]
    scale = logits.abs().max().item()
    pytorch, *others = (
        _agreement(runtime, version, values, right, eagers, TOLERANCE * scale, latency)
        for (runtime, version), values, latency in zip(
            [("pytorch", torch.__version__), *(one[:2] for one in loaded)], [eagers, *found], latencies, strict=True
        )
    )
    runtimes, plain = (
        tuple(other for other, one in zip(others, loaded, strict=True) if one.plain == wanted)
        for wanted in (False, True)
    )
    return Parity(PICTURES, batch or 1, torch.get_num_threads(), scale, TOLERANCE, runtimes, plain, pytorch)


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
    runs: Sequence[Callable[[Tensor], Tensor]], pictures: Tensor, calls: Sequence[Tensor], listener: Listener
) -> tuple[list[Tensor], list[float]]:
    """All answers of each, float64 (N, classes), and the median of its times in milliseconds."""
    answers: list[list[Tensor]] = [[] for _ in runs]
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run(pictures[calls[0]])  # the first call prepares
    for done, call in enumerate(calls, 1):
        for run, own_answers, own_times in zip(runs, answers, times, strict=True):
            began = time.perf_counter()
            answer = run(pictures[call])
            own_times.append(1000 * (time.perf_counter() - began))
            own_answers.append(answer.double())
        listener.progress("Comparing", done, len(calls))
    return [torch.cat(own) for own in answers], [round(statistics.median(own), 3) for own in times]


def _agreement(
    runtime: str, version: str, found: Tensor, right: Tensor, eager: Tensor, tolerance: float, latency_ms: float
) -> Agreement:
    """All answers (N, classes), in the unit of logits, as `tolerance` is."""
    difference = (found - right).abs().max().item()
    other, same = found.argmax(1) != right.argmax(1), same_top1(found, right, tolerance)
    return Agreement(
        runtime,
        version,
        max_difference=difference,
        max_difference_to_fp32=(found - eager).abs().max().item(),
        top1_agreement=1 - other.double().mean().item(),
        unclear=int((other & same).sum()),
        latency_ms=latency_ms,
        fits=difference <= tolerance and bool(same.all()),  # what is no number is not below it
    )


def machine() -> dict[str, object]:
    """What the times were taken on."""
    return dict(processor=processor_name(), system=f"{platform.system()} {platform.machine()}", cores=usable_cores())

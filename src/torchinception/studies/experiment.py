"""One variant trained from one seed, by the losses, optimizers and schedules of any training; and its clock.

No Lightning, checkpoints or workers: a run is a minute long, its pictures are in memory, and what is wanted of it is
the gradient of each stage, which a run folder does not record.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.flop_counter import FlopCounterMode

from torchinception.models import Inception
from torchinception.models import build as build_network
from torchinception.studies.pictures import LOOK, Pictures, Set
from torchinception.studies.records import Outcome, Run, checkpoints
from torchinception.studies.study import Variant
from torchinception.studies.trunk import SIDE
from torchinception.training.loss import head_losses, total_loss
from torchinception.training.optimizer import build_optimizer
from torchinception.training.schedule import rate

BATCH = 32
TURNS = 7  # of the clock
TIMED_STEPS = 3  # a turn
ORDER = 1 << 32  # added to seeds, so that the order of pictures is drawn from other numbers than the weights


def train(variant: Variant, pictures: Pictures, seed: int, steps: int, tell: Callable[[], None] = lambda: None) -> Run:
    """Train, and look at the held-out pictures after each twentieth of the steps; `tell` is called after each step.

    Variants of one seed see the same pictures in the same order, and equal seeds give equal runs.
    """
    began, random = time.process_time(), torch.Generator().manual_seed(ORDER + seed)
    ends = checkpoints(steps)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        trainer = _Trainer(variant, pictures.classes, steps)
        losses, accuracies, recent = list[float](), list[float](), list[float]()
        gradients = defaultdict[str, float](float)
        died_at = None
        for step, (inputs, labels) in zip(range(1, steps + 1), _batches(pictures.train, random), strict=False):
            recent.append(trainer.step(inputs, labels))
            norms = trainer.gradients() if step <= ends[0] else {}
            if not math.isfinite(recent[-1] + sum(norms.values())):
                died_at = step
                break
            for stage, norm in norms.items():
                gradients[stage] += norm / ends[0]
            if step in ends:
                losses.append(sum(recent) / len(recent))
                recent.clear()
                accuracies.append(_accuracy(trainer.net, pictures.held_out))
            tell()
    accuracies += [1 / pictures.classes] * (len(ends) - len(accuracies))
    return Run(
        seed=seed,
        losses=tuple(losses),
        accuracies=tuple(accuracies),
        gradients=dict(gradients),
        died_at=died_at,
        seconds=time.process_time() - began,
    )


def take_time(variants: Sequence[Variant], pictures: Pictures) -> list[tuple[float, ...]]:
    """Milliseconds of a step of each, in turns: what else the machine does meanwhile meets all of them alike."""
    random = torch.Generator().manual_seed(0)
    inputs, labels = next(_batches(pictures.train, random))
    trainers = [_Trainer(variant, pictures.classes, 1) for variant in variants]
    found: list[list[float]] = [[] for _ in variants]
    for turn in range(TURNS + 1):
        for trainer, times in zip(trainers, found, strict=True):
            before = time.process_time()
            for _ in range(TIMED_STEPS):
                trainer.step(inputs, labels)
            if turn:  # not the first, which only warms up
                times.append(1000 * (time.process_time() - before) / TIMED_STEPS)
    return [tuple(times) for times in found]


def measure_size(variant: Variant, classes: int) -> Outcome:
    """Parameters and multiply-adds of one picture, without auxiliary heads; no runs yet."""
    with torch.device("meta"), torch.no_grad():
        net = build_network(variant.name, variant.spec, classes, aux=False).eval()
        with FlopCounterMode(display=False) as counter:
            net(torch.empty(1, 3, SIDE, SIDE))
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Outcome(name=variant.name, parameters=parameters, macs=counter.get_total_flops() // 2)


def digest(variants: Sequence[Variant], pictures: Pictures, steps: int) -> str:
    """Of all that runs depend on, so that only comparable ones are kept together."""
    parts = [pictures.fingerprint, str(len(pictures.train)), str(steps), str(BATCH), torch.__version__]
    for variant in variants:
        with torch.device("meta"):
            net = build_network(variant.name, variant.spec, pictures.classes, aux=_has_heads(variant))
        settings = (variant.optimizer, variant.loss, variant.schedule)
        parts += [variant.name, repr(net), getattr(variant.spec.initialize, "__name__", "")]
        parts += [model.model_dump_json() for model in settings]
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]


class _Trainer:
    """A network with its optimizer and schedule."""

    def __init__(self, variant: Variant, classes: int, steps: int) -> None:
        self.loss = variant.loss
        self.net = build_network(variant.name, variant.spec, classes, aux=_has_heads(variant))
        self.net.to(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(self.net, variant.optimizer)
        self.scheduler = LambdaLR(self.optimizer, lambda step: rate(step, steps, 1, variant.schedule))

    def step(self, inputs: Tensor, labels: Tensor) -> float:
        """Float (N, 3, SIDE, SIDE) and labels (N,) -> the classifier's loss ahead of the step."""
        self.net.train()
        self.optimizer.zero_grad()
        main, opinions = self.net(inputs, aux=True)
        losses = head_losses({"main": main, **opinions}, labels, self.loss)
        total_loss(losses, self.loss).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.scheduler.step()
        return losses["main"].item()

    def gradients(self) -> dict[str, float]:
        """The length of each stage's gradient at the last step."""
        found = {}
        for stage, module in self.net.trunk.named_children():
            norms = [p.grad.norm() for p in module.parameters() if p.grad is not None]
            if norms:
                found[stage] = torch.stack(norms).norm().item()
        return found


def _has_heads(variant: Variant) -> bool:
    return bool(variant.loss.aux_weight)


def _batches(pictures: Set, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled anew each time through, half of them mirrored: float (BATCH, 3, SIDE, SIDE) and labels (BATCH,)."""
    inputs, labels = torch.from_numpy(pictures.pictures), torch.from_numpy(pictures.labels)
    while True:
        order = torch.randperm(len(labels), generator=random)
        for start in range(0, len(order) - BATCH + 1, BATCH):  # a last, smaller batch is left out
            chosen = order[start : start + BATCH]
            some = inputs[chosen]
            mirrored = torch.rand(BATCH, generator=random) < 0.5
            some[mirrored] = some[mirrored].flip(3)
            yield LOOK.normalize(some), labels[chosen]


@torch.no_grad()
def _accuracy(net: Inception, held_out: Set, together: int = 250) -> float:
    net.eval()
    right = 0
    for start in range(0, len(held_out), together):
        part = slice(start, start + together)
        logits = net(LOOK.normalize(torch.from_numpy(held_out.pictures[part])))
        right += int((logits.argmax(1) == torch.from_numpy(held_out.labels[part])).sum())
    return right / len(held_out)

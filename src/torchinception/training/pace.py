"""How fast training goes on this machine: a batch that makes good use of it, and the epochs that fit into a time.

What is found depends on the machine and on what else it does. It becomes plain numbers of the run's recipe,
so that going on with a run measures nothing again.
"""

import contextlib
import math
import re
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch

from torchinception.data.transforms import Preprocess
from torchinception.devices import forked_random
from torchinception.errors import UsageError
from torchinception.models import create
from torchinception.progress import Listener
from torchinception.training.module import Training
from torchinception.training.optimizer import build_optimizer
from torchinception.training.recipe import Recipe

BATCHES = (4, 8, 16, 32, 64, 128, 256)
GROWTH = 1.03  # a doubled batch that gains less is not worth going on
NEAR = 0.95  # of the best rate: what a smaller batch may lose, since it takes more and better steps an epoch
SHARE = 0.9  # of the time left: the rest is for what was not measured, as checkpoints, the model and the report


def find_batch(recipe: Recipe, classes: int, count: int, device: torch.device, listener: Listener) -> int:
    """The smallest batch within 5 % of the most pictures a second, by real steps on random pictures.

    Batches are doubled from 4 to 256, or as long as there are `count` pictures, memory suffices, and a doubling
    gains 3 % or more. At least 2; torch's random state stays as it is. Of the recipe, network, size,
    loss.aux_weight and precision must be resolved; its batch is not looked at.
    """
    with _measuring(recipe, classes, device) as machine:

        def rate(batch: int) -> float | None:
            listener.progress("Finding a batch", BATCHES.index(batch), len(BATCHES))
            if not machine.has_room():
                return None
            try:
                return batch / min(_times(lambda: machine.step(batch), most=3, seconds=3))
            except RuntimeError as error:
                if not re.search("out of memory|allocate memory|not enough memory", str(error)):
                    raise
            return None

        batch = search((batch for batch in BATCHES if batch <= count), rate, listener)
    listener.progress("Finding a batch", len(BATCHES), len(BATCHES))
    return batch


def search(batches: Iterable[int], rate: Callable[[int], float | None], listener: Listener) -> int:
    """The smallest of the rising `batches` near the best `rate` (pictures a second; None: no memory); 2 if none is."""
    rates: dict[int, float] = {}
    for batch in batches:
        found = rate(batch)
        if found is None:
            listener.say(f"Batch {batch}: memory does not suffice")
            break
        listener.say(f"Batch {batch}: {found:.4g} pictures a second")
        before = max(rates.values(), default=0.0)
        rates[batch] = found
        if found < GROWTH * before:
            break
    best = max(rates.values(), default=0.0)
    chosen = next((batch for batch, found in rates.items() if found >= NEAR * best), 2)
    listener.say(f"Chose batches of {chosen}: the smallest that are within 5 % of the fastest. Others: --batch")
    return chosen


def fit_epochs(
    recipe: Recipe,
    train_count: int,
    val_count: int,
    last_count: int,
    classes: int,
    pictures_per_second_read: float | None,
    seconds: float,
    device: torch.device,
    listener: Listener,
) -> int:
    """Whole epochs, validation and a last evaluation of `last_count` pictures included, that fit into `seconds`.

    Measuring takes about a tenth of the time, and counts. Torch's random state stays as it is. The recipe must
    be resolved but for its epochs. `pictures_per_second_read` is what all processes that read do together, None if
    that takes no time worth counting: a GPU computes meanwhile; on the CPU both share the cores, and their
    times add up.

    Raises:
        UsageError: not even one epoch fits.
    """
    begun = time.perf_counter()
    batch = recipe.batch or 1
    steps, looks = train_count // batch, math.ceil(val_count / batch)
    with _measuring(recipe, classes, device) as machine:
        step = statistics.median(_times(lambda: machine.step(batch), most=10, seconds=0.08 * seconds))
        look = statistics.median(_times(lambda: machine.look(batch), most=10, seconds=0.02 * seconds))
    read = 1 / pictures_per_second_read if pictures_per_second_read else 0.0
    join: Callable[[tuple[float, float]], float] = sum if device.type == "cpu" else max
    validation = join((looks * look, val_count * read))
    epoch = join((steps * step, train_count * read)) + validation
    last = join((math.ceil(last_count / batch) * look, last_count * read))
    rest = SHARE * (seconds - (time.perf_counter() - begun)) - last
    epochs = int(rest / epoch)
    each = f"one takes about {describe(epoch)} ({steps} steps of {describe(step)}, then {val_count} pictures held out)"
    if epochs < 1:
        raise UsageError(
            f"not one epoch fits into {describe(seconds)}: {each}, and {describe(max(0, rest))} are left for training; "
            "allow more time, or take a smaller --size, a smaller --network, or fewer pictures"
        )
    listener.say(f"Chose {epochs} epochs: {each}, and {describe(seconds)} are allowed. Others: --epochs, --budget")
    return epochs


def parse_duration(text: str) -> float:
    """Seconds.

    >>> [parse_duration(text) for text in ("10m", "90s", "1h30m", "600")]
    [600.0, 90.0, 5400.0, 600.0]

    Raises:
        UsageError: no such duration, or none at all.
    """
    number = r"([0-9]+(?:\.[0-9]+)?)"
    match = re.fullmatch(f"{number}|(?:{number}h)?(?:{number}m)?(?:{number}s)?", text.strip())
    plain, hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0.0,) * 4
    total = plain + 3600 * hours + 60 * minutes + seconds
    if not 0 < total < math.inf:
        raise UsageError(f"no duration {text!r}; expected hours, minutes or seconds, as 10m, 90s, 1h30m or 600")
    return total


def describe(seconds: float) -> str:
    """A duration in the unit that suits it.

    >>> [describe(seconds) for seconds in (0.0123, 75, 600, 9000)]
    ['0.012 s', '75 s', '10 min', '2.5 h']
    """
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (0, "s")) if seconds >= 2 * size)
    amount = seconds / (size or 1)
    return f"{amount:.2g} {unit}" if amount < 10 else f"{amount:.0f} {unit}"


def _times(run: Callable[[], float], *, most: int, seconds: float) -> list[float]:
    """Up to `most` times of `run` after one to warm up, or that one alone, if `seconds` do not allow another."""
    first, times = run(), list[float]()
    left = seconds - first
    while len(times) < most and left > 0 and (not times or left > times[-1]):
        times.append(run())
        left -= times[-1]
    return times or [first]


class _Machine:
    """One network in training on random pictures; each method returns the seconds that it takes."""

    def __init__(self, recipe: Recipe, classes: int, device: torch.device) -> None:
        assert recipe.network
        assert recipe.size
        self.size, self.classes, self.device = recipe.size, classes, device
        with contextlib.suppress(OSError):  # where there is none, memory is not watched
            Path("/proc/self/clear_refs").write_text("5")  # the highest mark begins anew: man 5 proc
        self.before = _memory_bytes("self/status", "VmRSS")
        net = create(recipe.network, classes, aux=bool(recipe.loss.aux_weight)).to(memory_format=torch.channels_last)
        net.activation_checkpointing = recipe.activation_checkpointing
        self.training = Training(net, Preprocess(size=recipe.size), recipe, 1, "").to(device)
        self.optimizer = build_optimizer(net, recipe.optimizer)
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(recipe.precision)
        self.autocast = torch.autocast(device.type, dtype, enabled=dtype is not None)

    def has_room(self) -> bool:
        """False if a batch twice as large as the largest until now might take more memory than the CPU's has left."""
        peak, available = _memory_bytes("self/status", "VmHWM"), _memory_bytes("meminfo", "MemAvailable")
        if self.device.type != "cpu" or self.before is None or peak is None or available is None:
            return True
        return 2 * (peak - self.before) < available

    def step(self, batch: int) -> float:
        """Forward, backward, optimizer, average."""
        self.training.train()
        labels = torch.randint(self.classes, (batch,), device=self.device)

        def run() -> None:
            self.optimizer.zero_grad()
            with self.autocast:
                loss = self.training.training_step((pictures, labels), 0)["loss"]
            loss.backward()
            self.optimizer.step()
            if self.training.average:
                self.training.average.update(self.training.net)

        pictures = self._draw(batch)
        return self._time(run)

    def look(self, batch: int) -> float:
        """A batch of validation."""
        self.training.eval()
        pictures = self._draw(batch)
        with torch.inference_mode(), self.autocast:
            return self._time(lambda: self.training.best(self.training.normalize(pictures)))

    def _draw(self, batch: int) -> torch.Tensor:
        return torch.randint(256, (batch, 3, self.size, self.size), dtype=torch.uint8, device=self.device)

    def _time(self, run: Callable[[], object]) -> float:
        module = torch.get_device_module(self.device)
        module.synchronize()
        start = time.perf_counter()
        run()
        module.synchronize()
        return time.perf_counter() - start


@contextlib.contextmanager
def _measuring(recipe: Recipe, classes: int, device: torch.device) -> Iterator[_Machine]:
    """A machine for a while; torch's random state is then as it was."""
    with forked_random(device):
        yield _Machine(recipe, classes, device)


def _memory_bytes(file: str, key: str) -> int | None:
    """A line of one of Linux's files on memory; None elsewhere."""
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB$", Path("/proc", file).read_text(), re.MULTILINE)
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None

"""Pictures that excite a stage or one of its channels: DeepDream and feature visualisation.

The method is Mordvintsev, Olah and Tyka's, "Inceptionism" (Google Research blog, 2015): gradient ascent on the picture
itself, from coarse to fine ("octaves"), with a random shift before each step ("jitter").

Differs:
    - A step's gradient is divided by its mean magnitude, as theirs, and the gradient of total variation, likewise
      divided, is taken off it, so that `smoothness` means the same for every network.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate, leaky_relu, relu
from torch.overrides import TorchFunctionMode

from torchinception.classifier import Classifier
from torchinception.data.images import Source, open_image
from torchinception.errors import UsageError
from torchinception.progress import Listener

MOST_PIXELS = 1_000_000  # of a dream: Inception-v3 to its last stage keeps about 1 GB for the way back
OCTAVE_SCALE = 1.4  # from one octave to the next


@dataclass(frozen=True)
class Dream:
    """RGB uint8 (H, W, 3), and the activation of the start and of this very picture, as `dream` tells."""

    picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    before: float
    after: float

    def png(self) -> bytes:
        """The file's bytes."""
        return _png(Image.fromarray(self.picture))


@dataclass(frozen=True)
class Ascent:
    """How the picture is changed; `rate` is the mean change of a value from 0 to 1 in one step.

    `jitter` is in pixels, of small pictures at most a sixteenth of the shorter side.
    """

    octaves: int = 4
    steps: int = 40
    rate: float = 0.03
    jitter: int = 16
    smoothness: float = 0.05


def dream(
    model: Classifier,
    start: Source | None,
    stage: str,
    channel: int | None = None,
    *,
    size: int | None = None,
    ascent: Ascent | None = None,
    seed: int = 0,
    listener: Listener | None = None,
) -> Dream:
    """Change a picture, or grey noise, so that it excites a stage more.

    What is raised is the mean square of all that the stage puts out, or the mean of one channel. On a CPU the same
    arguments, threads and versions give the same picture to the bit.

    Args:
        model: whose network, and whose mean and standard deviation of pixels.
        start: a picture as `load_image` takes it; None for noise.
        stage: one of the network's.
        channel: one of the stage's, from 0; None for all together.
        size: the longer side of a picture, or both of noise, in pixels; None: the picture's own, shrunk to at most
            1,000,000 pixels, or the network's.
        ascent: octaves, steps and their like; None: the defaults.
        seed: of noise and jitter.
        listener: hears of each step.

    Raises:
        ImageError: the picture cannot be used.
        UsageError: no such stage or channel, or a size that cannot be.
    """
    generator = torch.Generator().manual_seed(seed)
    pixels = _noise(model, size, generator) if start is None else _picture(start, size)
    activation = _Activation(model, stage, channel)
    before = activation.measure(pixels)
    pixels = _ascend(activation, pixels, ascent or Ascent(), generator, listener or Listener())
    picture = (pixels[0] * 255).round().to(torch.uint8)
    return Dream(picture.permute(1, 2, 0).cpu().numpy(), before, activation.measure(picture[None].float() / 255))


def dream_channels(
    model: Classifier,
    start: Source | None,
    stage: str,
    channels: Sequence[int],
    *,
    size: int | None = None,
    ascent: Ascent | None = None,
    seed: int = 0,
    listener: Listener | None = None,
) -> tuple[Dream, ...]:
    """A `dream` of each channel, all from the same start.

    Raises:
        ImageError: the picture cannot be used.
        UsageError: as `dream`; a channel that is not there before any is computed.
    """
    check_channels(model, stage, channels)
    dreams = []
    for done, channel in enumerate(channels):
        if listener:
            listener.progress("Channels", done, len(channels))
        dreams.append(dream(model, start, stage, channel, size=size, ascent=ascent, seed=seed))
    if listener:
        listener.progress("Channels", len(channels), len(channels))
    return tuple(dreams)


def check_channels(model: Classifier, stage: str, channels: Sequence[int]) -> None:
    """Refuse channels that a stage has not.

    Raises:
        UsageError: the range that is there.
    """
    side = model.preprocess.size
    with torch.inference_mode():
        blank = torch.zeros(1, model.network.channels, side, side, device=model.device)
        found = model.network.endpoints(blank, [stage])[stage].shape[1]
    for channel in channels:
        if not 0 <= channel < found:
            raise UsageError(f"{stage} of {model.network.name} has channels 0 to {found - 1}, not {channel}")


def contact_sheet(dreams: Sequence[Dream], labels: Sequence[str], columns: int = 4) -> bytes:
    """A PNG of dreams of one size side by side, each with its label below; small ones are enlarged to 96 px."""
    height, width = dreams[0].picture.shape[:2]
    times = math.ceil(96 / min(height, width))
    height, width = height * times, width * times
    gap, line = 8, 20
    columns = min(columns, len(dreams))
    rows = math.ceil(len(dreams) / columns)
    page = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + line + gap) + gap), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for index, (found, label) in enumerate(zip(dreams, labels, strict=True)):
        x, y = gap + index % columns * (width + gap), gap + index // columns * (height + line + gap)
        page.paste(Image.fromarray(found.picture).resize((width, height), Image.Resampling.NEAREST), (x, y))
        draw.text((x + width / 2, y + height + line / 2), label, "black", font, anchor="mm")
    return _png(page)


class _Activation:
    """What is raised, of pictures (1, 3, H, W) from 0 to 1."""

    def __init__(self, model: Classifier, stage: str, channel: int | None) -> None:
        self.network, self.device, self.stage, self.channel = model.network, model.device, stage, channel
        look = model.preprocess
        self.mean, self.std = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in (look.mean, look.std))
        check_channels(model, stage, [] if channel is None else [channel])

    def __call__(self, pixels: Tensor) -> Tensor:
        found = self.network.endpoints((pixels - self.mean) / self.std, [self.stage])[self.stage]
        raised: Tensor = found.square().mean() if self.channel is None else found[:, self.channel].mean()
        return raised

    def measure(self, pixels: Tensor) -> float:
        with torch.inference_mode():
            return self(pixels.to(self.device)).item()

    def gradient(self, pixels: Tensor) -> Tensor:
        """Of the picture alone: the weights stay as they are, and need none."""
        pixels = pixels.detach().requires_grad_()
        with torch.enable_grad():
            found: tuple[Tensor, ...] = torch.autograd.grad(self(pixels), pixels)
            if not found[0].any():
                with _Leaking():
                    found = torch.autograd.grad(self(pixels), pixels)
        return found[0]


class _Leaking(TorchFunctionMode):
    """ReLU lets a tenth of what is below zero through: a way out for a channel that nothing excites yet."""

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (relu, torch.relu_):
            return leaky_relu(args[0], 0.1)
        return function(*args, **(kwargs or {}))


def _ascend(
    activation: _Activation, start: Tensor, ascent: Ascent, generator: torch.Generator, listener: Listener
) -> Tensor:
    """From coarse to fine; each octave adds its detail to the start at its own size."""
    height, width = start.shape[-2:]
    scales = [OCTAVE_SCALE**-octave for octave in range(ascent.octaves)]
    sizes = [(round(height * scale), round(width * scale)) for scale in reversed(scales)]
    sizes = [size for size in sizes if min(size) >= activation.network.min_size]  # the last is the start's, checked
    start = start.to(activation.device)
    detail = torch.zeros_like(start)
    done, total = 0, len(sizes) * ascent.steps
    for size in sizes:
        plain = _resize(start, size)
        pixels = (plain + _resize(detail, size)).clamp(0, 1)
        for _ in range(ascent.steps):
            pixels = _step(activation, pixels, ascent, generator)
            done += 1
            listener.progress("Dreaming", done, total)
        detail = pixels - plain
    return (start + detail).clamp(0, 1)


def _step(activation: _Activation, pixels: Tensor, ascent: Ascent, generator: torch.Generator) -> Tensor:
    most = min(ascent.jitter, min(pixels.shape[-2:]) // 16)
    shift = torch.randint(-most, most + 1, (2,), generator=generator).tolist()
    pixels = pixels.roll(shift, (2, 3))
    way = _even(activation.gradient(pixels)) - ascent.smoothness * _even(_total_variation_gradient(pixels))
    return (pixels + ascent.rate * way).clamp(0, 1).roll([-step for step in shift], (2, 3))


def _even(gradient: Tensor) -> Tensor:
    """Of mean magnitude 1, so that the rate does not depend on the network; zeros stay zeros."""
    return gradient / gradient.abs().mean().clamp(min=1e-30)


def _total_variation_gradient(pixels: Tensor) -> Tensor:
    """Of half the sum of squared differences between neighbours, the edges being neighbours too, as `roll` has it."""
    neighbours = [pixels.roll(step, axis) for axis in (2, 3) for step in (1, -1)]
    return 4 * pixels - torch.stack(neighbours).sum(0)


def _resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    if pixels.shape[-2:] == size:
        return pixels
    return interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)


def _noise(model: Classifier, size: int | None, generator: torch.Generator) -> Tensor:
    side = model.preprocess.size if size is None else size
    _check_most(side, side)
    return (0.5 + 0.02 * torch.randn(1, 3, side, side, generator=generator)).clamp(0, 1)


def _picture(start: Source, size: int | None) -> Tensor:
    image = open_image(start)
    if size is None:
        scale = min(1.0, math.sqrt(MOST_PIXELS / (image.width * image.height)))
        width, height = (max(1, int(side * scale)) for side in image.size)
    else:
        width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
        _check_most(width, height)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def _check_most(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UsageError(f"a dream has at most {MOST_PIXELS:,} pixels, not {width}x{height}; choose a smaller size")


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()

"""From a decoded picture to the network's input in training: crops and other changes at random."""

import math
from collections.abc import Callable
from random import Random
from typing import Literal

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor
from torch.nn.functional import interpolate

from torchinception.data.images import Picture
from torchinception.data.transforms import Fraction, Ratio

RANDOM_INTERPOLATION = ("bilinear", "area", "nearest-exact", "bicubic")  # arXiv:1409.4842, section 6


class Augment(BaseModel):
    """Training's changes to a picture, in this order: crop and resize, mirror, RandAugment, color.

    Crop (arXiv:1409.4842, section 6): `area` 8 to 100 %, `aspect` 3/4 to 4/3, and `interpolation` "random" for one of
    bilinear, area, nearest and cubic. RandAugment (arXiv:1909.13719): `rand_augment` operations, each with strength
    `magnitude` of 0 to 30. Color: brightness shifted by up to `brightness` of the full range, contrast and saturation
    times 1 - theirs to 1 + theirs, hue turned by up to `hue` of the circle, in random order. 0 is off. TF-slim's
    values are 32/255, 0.5, 0.5 and 0.2.
    Differs: bilinear and cubic smooth when shrinking, which TensorFlow's do not; area is the plain mean of all pixels
    that an output pixel touches; all 24 orders of color where TF-slim has four; contrast and saturation are Pillow's
    (about the mean grey, and towards grey), and each step rounds and clips to 0 to 255.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: tuple[Fraction, Fraction] = (0.08, 1.0)
    aspect: tuple[Ratio, Ratio] = (3 / 4, 4 / 3)
    interpolation: Literal["bilinear", "random"] = "bilinear"
    flip: float = Field(0.5, ge=0, le=1)
    rand_augment: int = Field(0, ge=0)
    magnitude: int = Field(9, ge=0, le=30)
    brightness: float = Field(0.0, ge=0, le=1)
    contrast: float = Field(0.0, ge=0, le=1)
    saturation: float = Field(0.0, ge=0, le=1)
    hue: float = Field(0.0, ge=0, le=0.5)

    @field_validator("area", "aspect")
    @classmethod
    def _rises(cls, span: tuple[float, float]) -> tuple[float, float]:
        if span[0] > span[1]:
            raise ValueError("the first must not be above the second")
        return span

    @staticmethod
    def least(size: int) -> int:
        """The `least` of `open_image` with which a crop of a quarter of the area or more has `size` x `size` pixels."""
        return 2 * size

    def cut(self, picture: Picture | Image.Image, size: int, random: Random) -> Tensor:
        """RGB uint8 (H, W, 3) or an RGB image -> uint8 (3, size, size), by draws from `random` alone."""
        from torchvision.transforms.v2 import functional  # 1.6 s to import, and prediction needs none of it

        cut = self._crop(picture, size, random)
        if random.random() < self.flip:
            cut = functional.horizontal_flip(cut)
        if self.rand_augment:
            cut = self._rand_augment(cut, random)
        return self._color(cut, random)

    def _crop(self, picture: Picture | Image.Image, size: int, random: Random) -> Tensor:
        from torchvision.transforms.v2 import InterpolationMode, functional

        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        top, left, height, width = self._box(image.height, image.width, random)
        pixels = torch.from_numpy(np.array(image.crop((left, top, left + width, top + height)))).permute(2, 0, 1)
        method = random.choice(RANDOM_INTERPOLATION) if self.interpolation == "random" else "bilinear"
        if method == "area":
            return interpolate(pixels[None].float(), (size, size), mode="area")[0].round().to(torch.uint8)
        cut: Tensor = functional.resize(pixels, [size, size], InterpolationMode(method), antialias=True)
        return cut

    def _rand_augment(self, cut: Tensor, random: Random) -> Tensor:
        from torchvision.transforms.v2 import InterpolationMode, RandAugment

        # nearest as torchvision's; what moves out of the picture leaves mid grey
        operations = RandAugment(self.rand_augment, self.magnitude, 31, InterpolationMode.NEAREST, fill=128)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(random.getrandbits(63))  # torch.manual_seed would seed the GPUs too
            changed: Tensor = operations(cut)
        return changed

    def _color(self, cut: Tensor, random: Random) -> Tensor:
        from torchvision.transforms.v2 import functional

        steps: list[tuple[float, Callable[[Tensor, float], Tensor]]] = [
            (self.brightness, lambda pixels, by: (pixels.int() + round(255 * by)).clamp(0, 255).to(torch.uint8)),
            (self.contrast, lambda pixels, by: functional.adjust_contrast(pixels, 1 + by)),
            (self.saturation, lambda pixels, by: functional.adjust_saturation(pixels, 1 + by)),
            (self.hue, functional.adjust_hue),
        ]
        random.shuffle(steps)
        for most, change in steps:
            if most:
                cut = change(cut, random.uniform(-most, most))
        return cut

    def _box(self, height: int, width: int, random: Random) -> tuple[int, int, int, int]:
        """Top, left, height and width of a crop: ten tries for one that fits, else the central square."""
        for _ in range(10):
            area = height * width * random.uniform(*self.area)
            aspect = math.exp(random.uniform(*map(math.log, self.aspect)))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return random.randint(0, height - h), random.randint(0, width - w), h, w
        side = min(height, width)
        return (height - side) // 2, (width - side) // 2, side, side

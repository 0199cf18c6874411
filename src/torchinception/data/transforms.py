"""From a decoded picture to the network's input: one `Preprocess` for evaluation everywhere."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor
from torch.nn.functional import interpolate

from torchinception.data.images import Picture

Fraction = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]


Interpolation = Literal["bilinear", "bicubic", "bilinear_uint8", "bilinear_tf1", "bilinear_torch"]


class Preprocess(BaseModel):
    """How a picture becomes the input; part of the model file, so that every user of it agrees bit for bit.

    The shorter side is resized to `size / crop` and the central square of `size` cut out, which are torchvision's
    `Resize` and `CenterCrop` of a Pillow image to the bit; or, with "stretch", the middle `crop` of both sides is
    resized to `size` x `size`, as TF-slim does. Then each channel (RGB, 0 to 1) becomes `(x - mean) / std`; the
    defaults give -1 to 1, as TF-slim does.

    `bilinear` and `bicubic` are Pillow's, which smooth when shrinking. `bilinear_uint8` is PyTorch's of bytes, as
    `Resize` of a tensor and `Augment` use it: it smooths too, is three times as fast for pictures of 500 px, slower
    for 12 megapixels, and differs from Pillow's by one grey level in one of 1,000 values of photographs (of noise,
    in one of 50). `bilinear_tf1` is TensorFlow 1's `resize_bilinear`, which does not smooth, and puts pixel 0 on
    pixel 0; `bilinear_torch` is `interpolate`'s, which does not either, and aligns the pictures' edges.
    Differs: these last two compute with fractions of grey levels at home; here the resized picture is rounded to whole
    ones. Of a picture more than four times as long as wide only the middle is resized.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: PositiveInt
    resize: Literal["shorter side", "stretch"] = "shorter side"
    crop: Fraction = 0.875
    interpolation: Interpolation = "bilinear"
    channels: Literal["RGB"] = "RGB"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[Ratio, Ratio, Ratio] = (0.5, 0.5, 0.5)

    @property
    def least(self) -> int:
        """The `least` of `open_image` for a quick look: twice the side that the shorter one is resized to.

        What that changes in crops of 299 px, bilinear and bicubic, of the 23 pictures of scikit-image and scikit-learn
        that are large enough, brought to 12 megapixels at JPEG quality 90: 0.25 of 255 grey levels on average where
        they were enlarged, 0.5 where they were tiled, up to 1.0 in one picture and 11 in one pixel. Without the factor
        of two: 0.8, 2.1, 5.0 and 51, and a fifth quicker.
        """
        return 2 * round(self.size / self.crop)

    def cut(self, picture: Picture | Image.Image) -> Tensor:
        """RGB uint8 (H, W, 3), or an RGB image, which is faster -> uint8 (3, size, size), channels last in memory."""
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        if self.resize == "stretch":
            left, top = (int((length - length * self.crop) / 2) for length in image.size)
            middle = image.crop((left, top, image.width - left, image.height - top))
            return _to_tensor(resize(middle, self.size, self.size, self.interpolation))
        side = min(image.size)
        if max(image.size) > 4 * side:  # of a long strip only the middle is enlarged
            left, top = (max(0, (length - 4 * side) // 2) for length in image.size)
            image = image.crop((left, top, min(left + 4 * side, image.width), min(top + 4 * side, image.height)))
        width, height = (int(round(self.size / self.crop) * length / side) for length in image.size)
        left, top = (round((length - self.size) / 2) for length in (width, height))
        pillows = self.interpolation == "bilinear" or self.interpolation == "bicubic"
        if pillows and image.height <= 2 * image.width:  # across, then down: Pillow 13 takes taller ones the other way
            image = _resize_part(image, 0, width, left, self.size, self.interpolation)
            return _to_tensor(_resize_part(image, 1, height, top, self.size, self.interpolation))
        if self.interpolation == "bilinear_uint8":
            resized = _resize_uint8(image, width, height)
            return resized[top : top + self.size, left : left + self.size].contiguous().permute(2, 0, 1)
        image = resize(image, width, height, self.interpolation)
        return _to_tensor(image.crop((left, top, left + self.size, top + self.size)))

    def normalize(self, batch: Tensor) -> Tensor:
        """uint8 (N, 3, size, size) -> float32 (N, 3, size, size), channels last in memory."""
        count, _, height, width = batch.shape
        rows = batch.permute(0, 2, 3, 1).reshape(count, height, 3 * width)
        if (
            rows.device.type == "cpu"
        ):  # NumPy asks Linux for large pages, which come several times faster than small ones
            values = torch.from_numpy(np.empty(rows.shape, np.float32)).copy_(rows)
        else:
            values = rows.float()
        # one pass over whole rows, as channel by channel three values at a time would not be vectorised
        mean, std = (torch.tensor(three, device=batch.device).repeat(width) for three in (self.mean, self.std))
        values.div_(255).sub_(mean).div_(std)
        return values.view(count, height, width, 3).permute(0, 3, 1, 2)


def stack(cuts: Sequence[Tensor]) -> Tensor:
    """uint8 (3, size, size) each -> uint8 (N, 3, size, size), channels last in memory, quickest to normalize."""
    return torch.stack([cut.permute(1, 2, 0) for cut in cuts]).permute(0, 3, 1, 2)


def _resize_part(
    image: Image.Image, axis: int, length: int, start: int, count: int, method: Interpolation
) -> Image.Image:
    """Pixels `start` to `start + count` of `image` resized by Pillow to `length` along `axis`: 0 across, 1 down.

    Pillow leaves out the other pixels when told the edges of a box; but these become float32, which moves pixels by
    some 1e-5, enough to change one in 300 by a level. So the box ends where both edges are multiples of 1/256.
    """
    old = image.size[axis]
    if length != old:
        period = length // math.gcd(length, 256 * old)
        first, last = start // period * period, -(-(start + count) // period) * period
        size, box = list(image.size), [0.0, 0.0, *image.size]
        size[axis], box[axis], box[axis + 2] = last - first, first * old / length, last * old / length
        resampling = Image.Resampling[method.upper()]
        image = image.resize((size[0], size[1]), resampling, (box[0], box[1], box[2], box[3]))
        start -= first
    edges = [0, 0, *image.size]
    edges[axis], edges[axis + 2] = start, start + count
    return image.crop((edges[0], edges[1], edges[2], edges[3]))


def resize(image: Image.Image, width: int, height: int, method: Interpolation) -> Image.Image:
    """All of an RGB image."""
    if image.size == (width, height):
        return image
    if method == "bilinear" or method == "bicubic":
        return image.resize((width, height), Image.Resampling[method.upper()])
    if method == "bilinear_uint8":
        return Image.fromarray(_resize_uint8(image, width, height).numpy())
    picture = np.array(image)
    if method == "bilinear_torch":
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        values = interpolate(pixels, (height, width), mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    else:
        values = _lerp_tf1(_lerp_tf1(picture.astype(np.float32), width, axis=1), height, axis=0)
    return Image.fromarray(values.round().astype(np.uint8))


def _resize_uint8(image: Image.Image, width: int, height: int) -> Tensor:
    """RGB -> uint8 (height, width, 3)."""
    pixels = torch.from_numpy(np.array(image))[None].permute(0, 3, 1, 2)
    return interpolate(pixels, (height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0)


def _lerp_tf1(values: npt.NDArray[np.float32], length: int, axis: int) -> npt.NDArray[np.float32]:
    """Pixel i comes from i * old / new, between the two pixels around it."""
    old = values.shape[axis]
    place = np.arange(length, dtype=np.float32) * np.float32(old / length)
    below = np.minimum(place.astype(np.int64), old - 1)
    above = np.minimum(below + 1, old - 1)
    weight = np.expand_dims(place - below, tuple(other for other in range(values.ndim) if other != axis))
    low = values.take(below, axis)
    mixed: npt.NDArray[np.float32] = low + (values.take(above, axis) - low) * weight.astype(np.float32)
    return mixed


def _to_tensor(image: Image.Image) -> Tensor:
    """RGB -> uint8 (3, H, W), channels last in memory."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)

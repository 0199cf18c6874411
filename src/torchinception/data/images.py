"""The one gate for pictures: path, bytes, PIL image or array -> RGB uint8 (H, W, 3)."""

import io
import stat
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from torchinception.errors import ImageError

Picture = npt.NDArray[np.uint8]
Source = str | Path | bytes | Image.Image | npt.NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")  # by content, never by the file's name
MAX_PIXELS = 50_000_000
MAX_BYTES = 200_000_000


def load_image(source: Source, *, least: int | None = None) -> Picture:
    """`open_image` as an array: RGB, uint8, (H, W, 3)."""
    return _from_array(source) if isinstance(source, np.ndarray) else np.array(open_image(source, least=least))


def open_image(source: Source, *, least: int | None = None) -> Image.Image:
    """Decode one picture as people see it: turned by its EXIF orientation, transparency over white.

    16-bit grey is scaled to 8 bits; of an animation the first frame counts; colour profiles are left alone.
    With `least` a JPEG file is decoded at the smallest of the scales 1, 1/2, 1/4 and 1/8 that leaves its shorter side
    `least` px or more, which is several times faster; what that changes is told at `Preprocess.least`.

    Returns:
        RGB, decoded; a picture given as such may come back itself.

    Raises:
        ImageError: missing, empty, not one of `FORMATS`, broken, too large, or of an unknown kind.
    """
    if isinstance(source, np.ndarray):
        return Image.fromarray(_from_array(source))
    name = source if isinstance(source, str | Path) else f"<{type(source).__name__}>"
    if isinstance(source, Image.Image):
        return _decode(source, name)
    if isinstance(source, str | Path):
        try:
            found = Path(source).stat()
            if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for, a device may never end
                raise ImageError(name, "no file", "give a picture file")
            if found.st_size > MAX_BYTES:
                raise ImageError(source, "too large", f"at most {MAX_BYTES:,} bytes are read")
            source = Path(source).read_bytes()
        except FileNotFoundError:
            raise ImageError(name, "missing", "check the path") from None
        except (OSError, ValueError) as error:  # ValueError: a name with a zero in it
            raise ImageError(
                name, "unreadable", f"{getattr(error, 'strerror', None) or error}; check its permissions"
            ) from error
    if not isinstance(source, bytes):
        raise ImageError(name, "not a picture", "give a path, bytes, a PIL image or a uint8 array")
    if not source:
        raise ImageError(name, "empty", "remove it or copy it again")
    try:
        image = Image.open(io.BytesIO(source), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(name, "too large", f"at most {MAX_PIXELS:,} pixels are decoded") from error
    except Exception as error:
        if not isinstance(error, UnidentifiedImageError):
            raise ImageError(name, "broken", f"{error}; remove it or copy it again") from error
        raise ImageError(name, "not a picture", f"readable are {', '.join(FORMATS)}") from None
    return _decode(image, name, least)


def _decode(image: Image.Image, name: str | Path, least: int | None = None) -> Image.Image:
    if not image.width * image.height:
        raise ImageError(name, "no pixels", "give a picture")
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(name, "too large", f"at most {MAX_PIXELS:,} pixels are decoded, not {image.size}")
    try:
        if least is not None:
            image.draft(None, (least, least))  # formats other than JPEG ignore it
        image.load()
        if image.getexif().get(ExifTags.Base.Orientation) in range(2, 9):
            image = ImageOps.exif_transpose(image)  # copies even what needs no turning, as `convert` does
        return image if image.mode == "RGB" and not image.has_transparency_data else _to_rgb(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        TypeError,
        KeyError,
        struct.error,
        Warning,
    ) as error:
        raise ImageError(name, "broken", f"{error}; remove it or copy it again") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of kind {image.mode}; save it with 8 or 16 bits a channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _from_array(array: Picture) -> Picture:
    if array.dtype == np.uint8 and array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, 2)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        found = f"{array.dtype} {array.shape}"
        raise ImageError(
            "<array>", "of another kind", f"{found}; give uint8 of shape (H, W, 3) or (H, W), values 0 to 255"
        )
    return array

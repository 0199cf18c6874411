"""The one gate for pictures: path, bytes, PIL image or array -> RGB uint8 (H, W, 3)."""

import io
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from torchinception.data.headers import AGAIN, Reason, Refused, read_header, recognise
from torchinception.data.kinds import UnknownKindError, read_orientation, upright
from torchinception.errors import ImageError, UsageError
from torchinception.files import is_on

Picture = npt.NDArray[np.uint8]
Out = TypeVar("Out")
Source = str | Path | bytes | Image.Image | npt.NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")  # by content, never by the file's name; TIFF if asked for
SUFFIXES = {  # by which pictures are looked for among other files
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
}
MAX_PIXELS = 50_000_000
MAX_BYTES = 200_000_000


def load_image(source: Source, *, formats: Sequence[str] | None = None, least: int | None = None) -> Picture:
    """`open_image` as an array: RGB, uint8, (H, W, 3)."""
    if isinstance(source, np.ndarray):
        return _from_array(source)
    return _open(source, formats, least, upright)


def open_image(source: Source, *, formats: Sequence[str] | None = None, least: int | None = None) -> Image.Image:
    """Decode one picture as people see it: turned by its EXIF orientation, transparency over white.

    Every kind of pixels becomes RGB by the rules of `kinds`; colour profiles are left alone. Of several pictures in
    a file the first counts, or the still one of an animated PNG. Comments, profiles and EXIF that cannot be read
    never matter. A picture that is cut off is refused, one that is damaged within a JPEG's pixels cannot be told.

    Args:
        source: a file's path or content, a PIL image, or RGB (H, W, 3) or grey (H, W) uint8, which is taken as it is.
        formats: what to read, of `FORMATS` and "TIFF", whose first page counts. JPEG includes MPO. Default: `FORMATS`,
            and TIFF if $TORCHINCEPTION_TIFF is 1.
        least: a JPEG file is decoded at the smallest of the scales 1, 1/2, 1/4 and 1/8 that leaves its shorter side
            so many pixels or more, which is several times faster; what that changes is told at `Preprocess.least`.

    Returns:
        RGB, decoded; a PIL image that is RGB and upright comes back itself.

    Raises:
        ImageError: missing, empty, not one of `formats`, broken, too large, or of an unknown kind; see `Reason`.
        UsageError: an unknown format; Pillow is set to let broken pictures pass.
    """
    if isinstance(source, np.ndarray):
        return Image.fromarray(_from_array(source))
    return _open(source, formats, least, _as_image)


def readable_formats() -> tuple[str, ...]:
    """What is read unless more or less is asked for."""
    return (*FORMATS, "TIFF") if is_on("TORCHINCEPTION_TIFF") else FORMATS


def readable_suffixes() -> list[str]:
    """Those of what is read: `.jpg` and so on."""
    return [suffix for kind in readable_formats() for suffix in SUFFIXES[kind]]


def _open(
    source: str | Path | bytes | Image.Image,
    formats: Sequence[str] | None,
    least: int | None,
    finish: Callable[[Image.Image, int], Out],
) -> Out:
    formats = readable_formats() if formats is None else formats
    if not set(formats) <= {*FORMATS, "TIFF"}:
        raise UsageError(f"formats {', '.join(formats)}; known are {', '.join(FORMATS)}, TIFF")
    name = source if isinstance(source, str | Path) else f"<{type(source).__name__}>"
    if isinstance(source, Image.Image):
        return _decode(source, name, None, finish)
    if isinstance(source, str | Path):
        source = _read(source)
    if not isinstance(source, bytes):
        raise _refused(name, "not a picture", "give a path, bytes, a PIL image or a uint8 array")
    if not source:
        raise _refused(name, "empty", AGAIN)
    if len(source) > MAX_BYTES:
        raise _refused(name, "too large", f"at most {MAX_BYTES:,} bytes are read")
    kind = recognise(source)
    if kind not in formats:
        raise _refused(name, "not a picture", _advice(kind, formats))
    try:
        pixels = read_header(kind, source)
        image = Image.open(io.BytesIO(pixels.content), formats=(kind,))
    except Exception as error:
        raise _as_refusal(error, name) from error
    if pixels.exif:
        image.info["exif"] = pixels.exif
    del source, pixels  # up to 200 MB that nothing needs any more
    return _decode(image, name, least, finish)


def _read(path: str | Path) -> bytes:
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for, a device may never end
            raise _refused(path, "no file", "give a picture file")
        if found.st_size > MAX_BYTES:
            raise _refused(path, "too large", f"at most {MAX_BYTES:,} bytes are read")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise _refused(path, "missing", "check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero in it
        advice = f"{getattr(error, 'strerror', None) or error}; check its permissions"
        raise _refused(path, "unreadable", advice) from error


def _decode(image: Image.Image, name: str | Path, least: int | None, finish: Callable[[Image.Image, int], Out]) -> Out:
    if not image.width * image.height:
        raise _refused(name, "no pixels", "give a picture")
    if image.width * image.height > MAX_PIXELS:
        raise _refused(name, "too large", f"at most {MAX_PIXELS:,} pixels are decoded, not {image.size}")
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # a grey half would count as part of the picture, and nothing would tell
        raise UsageError("Pillow is set to let broken pictures pass; set ImageFile.LOAD_TRUNCATED_IMAGES to False")
    try:
        if least is not None:
            image.draft(None, (least, least))  # formats other than JPEG ignore it
        image.load()
        return finish(image, read_orientation(image.info.get("exif")))
    except Exception as error:
        raise _as_refusal(error, name) from error


def _as_image(image: Image.Image, orientation: int) -> Image.Image:
    if image.mode == "RGB" and orientation == 1 and not image.has_transparency_data:
        return image
    return Image.fromarray(upright(image, orientation))


def _refused(name: str | Path, reason: Reason, advice: str) -> ImageError:
    return ImageError(name, reason, advice)


def _as_refusal(error: Exception, name: str | Path) -> ImageError:
    """Whatever Pillow raises, which is nearly everything, and warnings that a user turned into errors."""
    match error:
        case Refused():
            return _refused(name, error.reason, error.advice)
        case UnknownKindError():
            return _refused(name, "unknown kind", str(error))
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            pillows = Image.MAX_IMAGE_PIXELS or MAX_PIXELS
            whose = f"{MAX_PIXELS:,}" if pillows > MAX_PIXELS else f"Pillow's Image.MAX_IMAGE_PIXELS ({pillows:,})"
            return _refused(name, "too large", f"at most {whose} pixels are decoded")
        case UnidentifiedImageError():
            return _refused(name, "broken", f"its header makes no sense; {AGAIN}")
        case MemoryError():
            return _refused(name, "too large", "there is not enough memory to decode it")
    return _refused(name, "broken", f"{str(error) or type(error).__name__}; {AGAIN}")


def _advice(kind: str, formats: Sequence[str]) -> str:
    if kind == "TIFF":
        return "it is a TIFF file; convert it to PNG, or allow TIFF: --tiff, or TORCHINCEPTION_TIFF=1"
    found = f"it is {kind}; " if kind else ""
    return f"{found}readable are {', '.join(formats)}"


def _from_array(array: Picture) -> Picture:
    if array.dtype == np.uint8 and array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, 2)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        found = f"{array.dtype} {array.shape}"
        advice = f"{found}; give uint8 of shape (H, W, 3) or (H, W), values 0 to 255"
        raise _refused("<array>", "unknown kind", advice)
    return array

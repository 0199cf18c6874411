import contextlib
import io
import os
import pickle
import re
import struct
import sys
import threading
import warnings
import zlib
from pathlib import Path
from random import Random
from typing import Literal, get_args

import numpy as np
import pytest
from data_fixtures import encode, noise
from hostile_files import SEEDS
from PIL import Image, ImageFile, PngImagePlugin
from wasteful_files import webp_with_size

from torchinception.data import images
from torchinception.data.headers import Reason
from torchinception.data.images import FORMATS, Source, load_image
from torchinception.errors import ImageError, UsageError

SMALL = Image.fromarray(noise(0, 12, 16))
EXIF = Image.Exif()
EXIF.update({0x010E: "garden", 0x0112: 6, 0x8769: {0x9286: b"in June"}})  # description, orientation, comment
FILES = {
    "JPEG": encode(SMALL, "JPEG", exif=EXIF),
    "PNG": encode(SMALL, "PNG", exif=EXIF),
    "WEBP": encode(SMALL, "WEBP", exif=EXIF),
    "GIF": encode(SMALL, "GIF", save_all=True, append_images=[SMALL.rotate(180)]),
    "BMP": encode(SMALL, "BMP"),
}


def refusal(source: Source) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(source)
    return caught.value.reason


def png_with_header(width: int, height: int) -> bytes:
    content = bytearray(encode(SMALL))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_pictures_come_back_pixel_by_pixel(kind: str) -> None:
    assert np.array_equal(load_image(encode(SMALL, kind, lossless=True)), noise(0, 12, 16))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "MPO"])  # MPO: a phone's JPEG with further pictures in it
def test_of_several_pictures_in_a_file_the_first_counts(kind: str) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    found = load_image(encode(first, kind, save_all=True, append_images=[second])).astype(int)
    assert np.abs(found - (255, 0, 0)).max() <= 2  # lossy kinds


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_known_by_its_content_not_its_name(tmp_path: Path, kind: str) -> None:
    for name in ("a.jpg", "a.txt", "a"):
        (tmp_path / name).write_bytes(FILES[kind])
        assert np.array_equal(load_image(tmp_path / name), load_image(FILES[kind]))


@pytest.mark.parametrize("kind", ["TIFF", "EPS", "PPM", "ICO", "PDF", "TGA", "HTML", "text"])
def test_foreign_formats_are_refused_whatever_their_name(tmp_path: Path, kind: str) -> None:
    texts = {"HTML": b"<!doctype html><title>404</title>", "text": b"hello"}
    (tmp_path / "a.jpg").write_bytes(texts.get(kind) or encode(SMALL, kind))
    assert refusal(tmp_path / "a.jpg") == "not a picture"


@pytest.mark.parametrize("kind", FILES)
def test_a_picture_cut_off_anywhere_is_refused_or_lost_no_pixel(kind: str) -> None:
    content = encode(SMALL, kind)
    for length in range(len(content)):
        with contextlib.suppress(ImageError):
            assert np.array_equal(load_image(content[:length]), load_image(content)), length
            assert length >= len(content) - 20  # PNG's last checksum and end mark


def test_a_tiff_is_refused_until_it_is_asked_for_and_then_shows_its_first_page(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(SMALL.copy(), "TIFF", save_all=True, append_images=[SMALL.rotate(180)]))
    with pytest.raises(ImageError, match=r"not a picture; it is a TIFF file; convert it to PNG, or allow TIFF: --tiff"):
        load_image(tmp_path / "a.jpg")
    assert np.array_equal(load_image(tmp_path / "a.jpg", formats=(*FORMATS, "TIFF")), noise(0, 12, 16))


def test_only_the_formats_asked_for_are_read() -> None:
    assert load_image(encode(SMALL.copy(), "MPO", save_all=True, append_images=[SMALL]), formats=("JPEG",)).size
    with pytest.raises(ImageError, match=r"not a picture; it is PNG; readable are JPEG$"):
        load_image(FILES["PNG"], formats=("JPEG",))
    for unknown in ("AVIF", "tiff"):
        with pytest.raises(UsageError, match=f"formats PNG, {unknown}; known are JPEG, .*, TIFF"):
            load_image(FILES["PNG"], formats=("PNG", unknown))


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"%PDF-1.7", "PDF"), (b"\0\0\0\x18ftypheic", "HEIC"), (b"\0\0\0\x18ftypavif", "AVIF"), (b"\n <HTML>", "HTML")],
)
def test_a_file_often_taken_for_a_picture_is_named(content: bytes, kind: str) -> None:
    with pytest.raises(ImageError, match=f"not a picture; it is {kind}; readable are JPEG, PNG"):
        load_image(content)


@pytest.mark.parametrize("side_px", [8000, 12_000, 20_000, 2**31 - 1])
def test_too_many_pixels_are_refused_by_the_header_alone(side_px: int) -> None:
    assert refusal(png_with_header(side_px, side_px)) == "too large"  # decoding would find it broken


def test_too_many_bytes_are_refused_without_reading_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(FILES["PNG"])
    monkeypatch.setattr(images, "MAX_BYTES", len(FILES["PNG"]))
    assert load_image(tmp_path / "a.png").size
    monkeypatch.setattr(images, "MAX_BYTES", len(FILES["PNG"]) - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read"))
    assert refusal(tmp_path / "a.png") == refusal(FILES["PNG"]) == "too large"


def test_a_webp_too_large_is_refused_before_its_decoder_takes_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("its decoder was asked"))
    for content in (
        webp_with_size(6000, 5000),
        encode(Image.new("L", (1, 1)), "WEBP", lossless=True)[:21] + b"\xff" * 9,
    ):
        assert refusal(content) == "too large"


@pytest.mark.parametrize("most", [None, 40, 100, 10**9])
@pytest.mark.parametrize("warn", ["error", "ignore"])
def test_the_limit_that_a_user_gave_pillow_stays_and_is_named(
    monkeypatch: pytest.MonkeyPatch, most: int | None, warn: Literal["error", "ignore"]
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)  # of 192; Pillow warns beyond it and refuses beyond its double
    with warnings.catch_warnings():
        warnings.simplefilter(warn)
        for content in FILES.values():
            if most == 40 or (most == 100 and warn == "error"):
                with pytest.raises(ImageError, match=rf"too large; at most Pillow's .*MAX_IMAGE_PIXELS \({most}\)"):
                    load_image(content)
            else:
                assert load_image(content).size
        with pytest.raises(ImageError, match="too large"):
            load_image(png_with_header(8000, 8000))
    assert most == Image.MAX_IMAGE_PIXELS


def test_pillow_set_to_let_truncated_pictures_pass_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole = encode(noise(0, 100, 100), "JPEG")
    half = whole[: len(whole) // 2]
    assert np.asarray(Image.open(io.BytesIO(half))).shape == (100, 100, 3)  # what is missing would be grey
    for source in (half, FILES["JPEG"], Image.open(io.BytesIO(half))):
        with pytest.raises(UsageError, match="LOAD_TRUNCATED_IMAGES to False"):
            load_image(source)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


PILLOWS = [struct.error("a"), OverflowError("a"), zlib.error("a"), RecursionError("a"), SyntaxError("a"), OSError("a")]
PILLOWS += [EOFError(), IndexError(), KeyError(0), TypeError(), AttributeError("a"), SystemError("a"), UserWarning("a")]


@pytest.mark.parametrize("where", ["open", "load"])
@pytest.mark.parametrize("error", [*PILLOWS, MemoryError(), Image.DecompressionBombError()], ids=repr)
def test_whatever_pillow_raises_is_a_refusal(monkeypatch: pytest.MonkeyPatch, where: str, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(*((Image, "open") if where == "open" else (PngImagePlugin.PngImageFile, "load")), fail)
    with pytest.raises(ImageError) as caught:
        load_image(FILES["PNG"])
    assert caught.value.reason == ("broken" if error in PILLOWS else "too large")
    assert caught.value.__cause__ is error
    assert re.match(r"\w+.*; remove it or copy it again|there is not enough memory|at most", caught.value.advice)


def test_only_what_makes_pixels_reaches_the_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = re.compile(b"Exif|MPF|ICC_PROFILE|eXIf|iCCP|acTL|a garden")
    opened: list[bytes] = []
    monkeypatch.setattr(Image, "open", lambda file, **_: opened.append(file.read()))
    names = ("jpeg exif", "mpo", "png exif", "apng", "gif")
    for name in names:
        with contextlib.suppress(AttributeError):
            load_image(SEEDS[name])
    for name, content in zip(names, opened, strict=True):
        header = content.partition(b"\xff\xda")[0]  # an MPO goes on after its first picture, where no decoder looks
        assert metadata.search(SEEDS[name])
        assert not metadata.search(header)


def test_what_follows_a_jpeg_is_not_counted_as_passes_over_it() -> None:
    film = b"\xff\xda\0\x0c" * 100_000  # phones put one behind their pictures
    content = encode(Image.new("RGB", (400, 300)), "JPEG", progressive=True)
    assert np.array_equal(load_image(content + film), load_image(content))
    with pytest.raises(ImageError, match=r"too large; more than .* passes over its pixels"):
        load_image(content[:-2] + film)


@pytest.mark.parametrize("filling", [b"\xff" * 5, b"\xff\0", bytes(9), b"\xff\xfe\0\2", b"\xff\x01"])
def test_what_stands_between_the_segments_of_a_jpeg_is_skipped(filling: bytes) -> None:
    first = 4 + int.from_bytes(FILES["JPEG"][4:6], "big")
    content = FILES["JPEG"][:first] + filling + FILES["JPEG"][first:]
    assert np.array_equal(load_image(content), load_image(FILES["JPEG"]))


def test_a_jpeg_of_twelve_bits_is_of_an_unknown_kind() -> None:
    at = FILES["JPEG"].index(b"\xff\xc0") + 4
    with pytest.raises(ImageError, match="unknown kind; JPEG with 12 bits a channel; save it with 8"):
        load_image(FILES["JPEG"][:at] + b"\x0c" + FILES["JPEG"][at + 1 :])


def test_what_is_missing_empty_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert refusal(tmp_path / "none.jpg") == "missing"
    assert refusal(tmp_path / "empty.jpg") == refusal(b"") == "empty"
    assert refusal(tmp_path) not in ("missing", "empty")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b.jpg"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    assert refusal(name)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    reader = threading.Thread(target=refusal, args=[tmp_path / "a.jpg"])
    reader.start()
    reader.join(2)
    if waits := reader.is_alive():
        os.close(os.open(tmp_path / "a.jpg", os.O_WRONLY))  # let the reader go
    assert not waits


def test_images_and_arrays_are_taken_as_they_are_and_left_alone() -> None:
    array = noise(1, 5, 7)
    for source in (array, Image.fromarray(array)):
        assert np.array_equal(load_image(source), noise(1, 5, 7))
        assert np.array_equal(np.array(source), noise(1, 5, 7))
    assert np.array_equal(load_image(array[:, :, 0]), np.dstack([array[:, :, 0]] * 3))


CUT = Image.open(io.BytesIO(FILES["PNG"][:150]))
NO_PICTURES = [np.zeros(shape, np.uint8) for shape in ((4, 4, 4), (3, 4, 4), (0, 4, 3), (0, 4), (4,))]


@pytest.mark.parametrize("source", [*NO_PICTURES, Image.new("F", (4, 4), 2), Image.new("RGB", (0, 4)), CUT])
def test_images_and_arrays_without_clear_pixels_are_refused(source: Source) -> None:
    assert refusal(source)


REFUSED: dict[str, Source] = {
    "missing": "none.jpg",
    "unreadable": "a\0b.jpg",
    "no file": "/",
    "empty": b"",
    "not a picture": b"hello",
    "broken": FILES["PNG"][:200],
    "too large": png_with_header(8000, 8000),
    "no pixels": Image.new("RGB", (0, 4)),
    "unknown kind": Image.new("F", (4, 4), 2),
}


def test_every_reason_has_its_case_and_there_is_no_other() -> None:
    of_shards = {"changed", "unreachable"}  # see test_shards.py and test_remote.py
    assert {refusal(source) for source in REFUSED.values()} == set(REFUSED) == set(get_args(Reason)) - of_shards
    assert all(refusal(source) == reason for reason, source in REFUSED.items())


@pytest.mark.parametrize("source", ["none.jpg", b"", b"hello", FILES["PNG"][:200], np.zeros((1, 1), np.float32), "/"])
def test_a_refusal_has_a_short_code_and_survives_pickling(source: Source) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(source)
    error = caught.value
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.path, copy.reason, copy.advice, str(copy)) == (error.path, error.reason, error.advice, str(error))
    assert error.reason in get_args(Reason)


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_picture_is_decoded_or_refused_and_nothing_else(kind: str) -> None:
    for seed in range(100):
        random, content = Random(f"{kind} {seed}"), bytearray(FILES[kind])
        for _ in range(random.choice((1, 3, 30))):
            content[random.randrange(random.choice((150, len(content))))] ^= 1 << random.randrange(8)
        with contextlib.suppress(ImageError):
            picture = load_image(bytes(content))
            assert (picture.dtype, picture.ndim, picture.shape[2]) == (np.uint8, 3, 3), seed

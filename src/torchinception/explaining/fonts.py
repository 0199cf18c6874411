"""Fonts for names in any script: matplotlib's own has Latin, Greek, Cyrillic and a few others."""

from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

OWN = "DejaVu Sans"
PLACEHOLDER = "Last Resort"  # has every letter, as a box


def find_fonts(texts: Iterable[str]) -> tuple[list[str], dict[int, str]]:
    """Families that have the letters of `texts` between them: matplotlib's own, and installed ones for what it lacks.

    And, as `str.translate` takes it, what to write for letters that none has: their numbers, as Python writes them.
    """
    found = [OWN]
    missing = {letter for text in texts for letter in text if not letter.isspace() and not _has(_own(), letter)}
    fonts = font_manager.fontManager.ttflist if missing else []
    for font in sorted(fonts, key=lambda font: (font.style != "normal", abs(int(font.weight) - 400), font.fname)):
        held = {letter for letter in missing if _has(font.fname, letter)}
        if held and not font.name.startswith(PLACEHOLDER):
            found.append(font.name)
            missing -= held
    return found, {ord(letter): letter.encode("ascii", "backslashreplace").decode() for letter in missing}


@cache
def _own() -> str:
    return font_manager.findfont(OWN)


@cache
def _open(path: str) -> FT2Font:
    return FT2Font(path)


def _has(path: str, letter: str) -> bool:
    return _open(path).get_char_index(ord(letter)) != 0

"""Fonts for names in any script: matplotlib's own has Latin, Greek, Cyrillic and a few others."""

from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

OWN = "DejaVu Sans"
REGULAR = (400, "normal", "regular")
PLACEHOLDER = "Last Resort"  # has every letter, as a box


def find_fonts(texts: Iterable[str]) -> tuple[list[str], dict[int, str]]:
    """Families that have the letters of `texts` between them: matplotlib's own, and installed ones for what it lacks.

    And, as `str.translate` takes it, what to write for letters that none has: their numbers, as Python writes them.
    """
    found = [OWN]
    own = _letters(font_manager.findfont(OWN))
    missing = {ord(letter) for text in texts for letter in text if not letter.isspace()} - own
    fonts = font_manager.fontManager.ttflist if missing else []
    for font in sorted(fonts, key=lambda font: (font.style != "normal", font.weight not in REGULAR, font.fname)):
        held = missing & _letters(font.fname)
        if held and not font.name.startswith(PLACEHOLDER):
            found.append(font.name)
            missing -= held
    return found, {number: chr(number).encode("ascii", "backslashreplace").decode() for number in missing}


@cache
def _letters(path: str) -> frozenset[int]:
    try:
        font = FT2Font(path)
        font.set_size(10, 72)  # fonts of coloured pictures have one size, which is not to be had
    except (OSError, RuntimeError, ValueError):
        return frozenset()
    return frozenset(font.get_charmap())

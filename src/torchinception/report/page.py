"""The page: which classes are shown, pictures as text, the template filled."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from torchinception.files import write_atomically
from torchinception.report.figures import MOST_CLASSES, STYLE, confusion, curves, reliability
from torchinception.report.records import ClassScore, Mistake, Report

MOST_ROWS, WORST, BEST = 30, 15, 5
MOST_PAIRS = 10
SIDE_PX = 200  # of pictures in the page


def write_report(path: str | Path, report: Report) -> None:
    """Write the report; every text in it is escaped.

    Raises:
        SaveError: it could not be written; an older one is untouched.
    """
    environment = Environment(
        loader=PackageLoader("torchinception.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    results = report.results
    ranked = sorted((score for score in results.scores if score.pictures), key=lambda score: (score.f1, score.name))
    if len(results.scores) <= MOST_ROWS:  # of many they would hide the others
        ranked += [score for score in results.scores if not score.pictures]
    classes = _most_confused([score.name for score in results.scores], results.confusion)
    with mpl.rc_context(STYLE):
        page = environment.get_template("report.html.jinja").render(
            title=report.title,
            facts=list(report.facts.items()),
            curves=curves(report.history),
            results=results,
            scores=_few(ranked),
            all_scores=results.scores if len(results.scores) > MOST_ROWS else (),
            classes=classes,
            confusion=confusion(classes, results.confusion),
            pairs=_pairs(results.confusion),
            reliability=reliability(results.calibration.bins),
            mistakes=[_shown(mistake) for mistake in results.mistakes],
            heats=any(mistake.heat is not None for mistake in results.mistakes),
            networks=report.networks,
        )
    write_atomically(path, page)


def _few(ranked: Sequence[ClassScore]) -> list[list[ClassScore]]:
    """All, worst first, or of many the worst and the best."""
    return [list(ranked)] if len(ranked) <= MOST_ROWS else [list(ranked[:WORST]), list(ranked[-BEST:])]


def _pairs(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str, int, int]]:
    """Class, what it was named, how often, of how many: the most frequent mistakes."""
    found = [
        (truth, guess, number, sum(named.values()))
        for truth, named in counts.items()
        for guess, number in named.items()
        if guess != truth
    ]
    return sorted(found, key=lambda pair: -pair[2])[:MOST_PAIRS]


def _most_confused(classes: Sequence[str], counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """All classes, or of many those with most mistakes, or if there are none most pictures, in their order."""
    if len(classes) <= MOST_CLASSES:
        return list(classes)
    pairs = Counter(
        {(truth, guess): number for truth, named in counts.items() for guess, number in named.items() if truth != guess}
    )
    chosen = dict.fromkeys(name for pair, _ in pairs.most_common() for name in pair)
    frequent = sorted(counts, key=lambda truth: -sum(counts[truth].values()))
    kept = set(list(chosen or frequent)[:MOST_CLASSES])
    return [name for name in classes if name in kept]


def _shown(mistake: Mistake) -> dict[str, object]:
    """A mistake with its pictures as text."""
    heat = None
    if mistake.heat is not None:
        heat = _data_uri(blend(mistake.picture if mistake.seen is None else mistake.seen, mistake.heat))
    return dict(picture=_data_uri(mistake.picture), heat=heat, truth=mistake.truth, guesses=mistake.guesses)


def blend(picture: npt.NDArray[np.uint8], heat: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """A heat map (h, w) from 0 to 1 over a picture (H, W, 3): grey where it is cold."""
    size = picture.shape[1], picture.shape[0]
    spread = np.asarray(Image.fromarray(np.float32(heat)).resize(size, Image.Resampling.BILINEAR)).clip(0, 1)
    colours = mpl.colormaps["inferno"](spread)[..., :3] * 255
    grey = picture.mean(2, keepdims=True)
    return np.asarray((0.45 * grey + 0.55 * colours).round(), np.uint8)


def _data_uri(picture: npt.NDArray[np.uint8]) -> str:
    image, buffer = Image.fromarray(picture), io.BytesIO()
    image.thumbnail((SIDE_PX, SIDE_PX))
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

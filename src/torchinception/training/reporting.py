"""What a report is to show of an evaluation, and the files of `inception evaluate --out`."""

import contextlib
import csv
import io
import json
import math
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from torchinception.classifier import Classifier
from torchinception.data.file_systems import hide_secrets
from torchinception.data.folder import Folder, name_of
from torchinception.data.labels import readable
from torchinception.data.transforms import stack
from torchinception.errors import UsageError
from torchinception.evaluation import Evaluation, Mistake
from torchinception.explaining import heat_maps
from torchinception.files import write_atomically
from torchinception.report import SIDE_PX, Bin, Calibration, ClassScore, Report, Results, Stage, write_report
from torchinception.report import Mistake as ShownMistake
from torchinception.summary import summarize
from torchinception.training.recipe import flatten

FILES = ("report.html", "per_class.csv", "confusion.csv", "mistakes.csv", "evaluation.json")  # the last marks the end

VERSIONS = ("torchinception", "torch", "torchmetrics", "pillow", "numpy")
SCORES = ("pictures", "precision", "recall", "f1")
LEAST_HEAT = 1e-12  # below it nothing speaks for the class
KEYS = ("stage", "shape", "parameters", "macs", "receptive_field_px")


def results_of(found: Evaluation, model: Classifier) -> Results:
    """For a report, with heat maps of the mistakes: of several models, the first one's is `model`."""
    called = readable(found.classes, model.names)
    nothing = ClassScore("", 0, None, None, 0.0)
    calibration = found.calibration
    return Results(
        split=found.split,
        scores=[
            ClassScore(name, **asdict(found.scores[name])) if name in found.scores else replace(nothing, name=name)
            for name in called
        ],
        confusion=found.confusion,
        calibration=Calibration(
            calibration.error,
            [Bin(each.pictures, each.confidence, each.accuracy) for each in calibration.bins],
            calibration.temperature,
        ),
        mistakes=_explained(found.mistakes, model),
        looked=("the first network" if found.members else "the network") + (", in one crop," * (found.crops > 1)),
    )


def _explained(mistakes: Sequence[Mistake], model: Classifier) -> list[ShownMistake]:
    """With where the model looked for the first guess."""
    pictures, cuts = [], []
    for mistake in mistakes:  # full pictures one at a time, which may be large
        picture = mistake.sample.image()
        cuts.append(model.preprocess.cut(picture))
        picture.thumbnail((SIDE_PX, SIDE_PX))
        pictures.append(np.array(picture))
    called = readable(model.classes, model.names)
    heats = heat_maps(model, stack(cuts), [called.index(m.guesses[0]) for m in mistakes]) if cuts else ()
    return [
        ShownMistake(
            picture,
            mistake.truth,
            list(zip(mistake.guesses, mistake.probabilities, strict=True)),
            np.nan_to_num(heat / max(float(heat.max()), LEAST_HEAT)),
            cut.permute(1, 2, 0).numpy(),
        )
        for picture, mistake, heat, cut in zip(pictures, mistakes, heats, cuts, strict=True)
    ]


def figures_of(found: Evaluation) -> dict[str, str]:
    """In words, for people."""
    (low, high), (low5, high5), calibration = found.top1_interval, found.top5_interval, found.calibration
    crops = f", {found.crops} crops each" if found.crops > 1 else ""
    told = {
        f"{found.split} pictures": f"{found.pictures:,}{crops}",
        "top-1": f"{found.top1:.2%} (95 %: {low:.2%} to {high:.2%})",
        "top-5": f"{found.top5:.2%} (95 %: {low5:.2%} to {high5:.2%})",
        "loss": f"{found.loss:.4f}",
        "calibration error": f"{calibration.error:.2%}",
    }
    if calibration.temperature is not None:
        told["best temperature"] = f"{calibration.temperature:.3f} (loss {calibration.loss_then:.4f})"
    return told


def stages_of(*models: Classifier) -> dict[str, list[Stage]]:
    """The rows of `inception summary` for each network; without those that it cannot walk at their size."""
    found = {}
    for model in models:
        spec = model.spec
        with contextlib.suppress(UsageError):
            summary = summarize(spec.network, spec.preprocess.size, classes=len(spec.classes), channels=spec.channels)
            rows = (*summary.rows, *(summary.aux_rows if spec.aux else ()))
            found[f"{spec.network} at {summary.size} px"] = [Stage(*(getattr(r, k) for k in KEYS)) for r in rows]
    return found


def package_commit() -> str | None:
    """Which commit of the package this is, if it runs from a checkout of its own repository."""
    source = Path(__file__).resolve().parents[1]
    root, git = source.parents[1], shutil.which("git")
    if git is None or source.parent.name != "src" or not (root / ".git").exists():
        return None
    words = (git, "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        found = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603, our own words
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def made_with(versions: Mapping[str, str]) -> dict[str, str]:
    """Versions, and the package's commit if it is known."""
    commit = package_commit()
    return {**versions, **({"commit": commit} if commit else {})}


def check_place(out: Path) -> None:
    """Refuse a folder that holds anything but an earlier evaluation.

    Raises:
        UsageError: what is in the way.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; choose another --out")
    own = {*FILES, *(f".{name}" for name in FILES)}
    others = [path.name for path in out.iterdir() if not _is_own(path.name, own)] if out.exists() else []
    if others:
        raise UsageError(f"{out} holds {others[0]}, which no evaluation wrote; choose another --out")


def _is_own(name: str, own: set[str]) -> bool:
    """Or a leftover of a save that was killed."""
    return name in own or (name.endswith(".tmp") and name.rsplit(".", 2)[0] in own)


def write_evaluation(
    out: Path, found: Evaluation, names: Sequence[str], models: Sequence[Classifier], folder: Folder
) -> None:
    """`report.html` and tables, and last `evaluation.json`, which holds all figures.

    `names` are what the user called the models.

    Raises:
        SaveError: a file could not be written.
    """
    facts: dict[str, dict[str, object]] = {"Result": {**figures_of(found)}}
    networks = [model.spec.network for model in models]
    members = found.members or (found,)
    for name, model, member in zip(map(hide_secrets, names), models, members, strict=True):
        alone = figures_of(member) if found.members else {}
        settings = "\n".join(f"{key} = {value}" for key, value in flatten(model.spec.recipe).items())
        recipe = {"recipe": settings} if settings else {}
        engine = f"{model.engine.name} {model.engine.version}, {model.engine.precision}"
        facts[f"Model {name}"] = {"network": model.spec.network, "engine": engine, **alone, **recipe}
        facts[f"Model {name}"] |= {f"made with {package}": version for package, version in model.spec.versions.items()}
    facts["Made with"] = {
        **made_with({name: version(name) for name in VERSIONS}),
        "data": folder.root,
        "fingerprint": folder.training_fingerprint,
    }
    results = results_of(found, models[0])
    (out / "evaluation.json").unlink(missing_ok=True)
    title = f"{' + '.join(networks)} on {name_of(str(folder.root))}"
    write_report(out / "report.html", Report(title, facts, results, networks=stages_of(*models)))
    _table(
        out / "per_class.csv", ("class", *SCORES), [[s.name, *(getattr(s, k) for k in SCORES)] for s in results.scores]
    )
    pairs = [[truth, guess, n] for truth, named in found.confusion.items() for guess, n in named.items()]
    _table(out / "confusion.csv", ("class", "named", "pictures"), pairs)
    worst = [[m.sample.place, m.truth, m.guesses[0], m.probabilities[0]] for m in found.mistakes]
    _table(out / "mistakes.csv", ("picture", "class", "named", "probability"), worst)
    write_atomically(out / "evaluation.json", json.dumps(as_plain(found), indent=2) + "\n")


def _table(path: Path, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([headings, *rows])
    write_atomically(path, text.getvalue().encode(errors="surrogateescape"))


def as_plain(found: Evaluation) -> dict[str, Any]:
    """Everything, a picture by its place; what is not finite is null, since JSON has no such numbers."""
    mistakes = [
        dict(picture=m.sample.place, truth=m.truth, guesses=m.guesses, probabilities=m.probabilities)
        for m in found.mistakes
    ]
    plain: dict[str, Any] = _finite(asdict(replace(found, mistakes=(), members=())) | dict(mistakes=mistakes))
    return plain | dict(members=[as_plain(member) for member in found.members])


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

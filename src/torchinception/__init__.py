"""The Inception family of image networks for PyTorch.

>>> import torchinception as ti
>>> ti.summarize("inception_v3").parameters
23834568
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchinception.classifier import Classifier, Prediction, engine, load
    from torchinception.errors import InceptionError
    from torchinception.evaluation import Evaluation, evaluate
    from torchinception.explaining import Explanation, explain
    from torchinception.exports.exporting import export
    from torchinception.models import NETWORKS, Inception, create
    from torchinception.summary import Summary, summarize
    from torchinception.training.run import train

_HOMES = {  # imported at first use: what only predicts need not wait for what trains
    "classifier": ("Classifier", "Prediction", "engine", "load"),
    "errors": ("InceptionError",),
    "explaining": ("Explanation", "explain"),
    "exports.exporting": ("export",),
    "evaluation": ("Evaluation", "evaluate"),
    "models": ("NETWORKS", "Inception", "create"),
    "summary": ("Summary", "summarize"),
    "training.run": ("train",),
}
__all__ = [
    "NETWORKS",
    "Classifier",
    "Evaluation",
    "Explanation",
    "Inception",
    "InceptionError",
    "Prediction",
    "Summary",
    "create",
    "engine",
    "evaluate",
    "explain",
    "export",
    "load",
    "summarize",
    "train",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")


def __dir__() -> list[str]:
    return __all__

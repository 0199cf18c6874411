"""How good a classifier is, or several together: every picture counted once, classes matched by name."""

from torchinception.evaluation.measuring import evaluate, measure, select
from torchinception.evaluation.records import Bin, Calibration, Confused, Evaluation, Mistake, Model, Processes, Scores

__all__ = [
    "Bin",
    "Calibration",
    "Confused",
    "Evaluation",
    "Mistake",
    "Model",
    "Processes",
    "Scores",
    "evaluate",
    "measure",
    "select",
]

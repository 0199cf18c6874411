"""Many pictures: decode, batch, classify or extract features; one row each, in order, a bad picture included."""

from torchinception.prediction.finding import find_names, find_pictures
from torchinception.prediction.inputs import Inputs, Picture, find_inputs
from torchinception.prediction.outputs import Output, features_file
from torchinception.prediction.ranks import Ranks, find_ranks
from torchinception.prediction.rows import Row, predict_files
from torchinception.prediction.run import Plan, Run
from torchinception.prediction.tables import write_csv

__all__ = [
    "Inputs",
    "Output",
    "Picture",
    "Plan",
    "Ranks",
    "Row",
    "Run",
    "features_file",
    "find_inputs",
    "find_names",
    "find_pictures",
    "find_ranks",
    "predict_files",
    "write_csv",
]

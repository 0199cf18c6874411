"""What a classifier knows of a picture and where it looked: heat maps, on captum, and sheets of them."""

from torchinception.explaining.explanation import METHODS, Explanation, explain, heat_maps
from torchinception.explaining.sheet import draw_sheet

__all__ = ["METHODS", "Explanation", "draw_sheet", "explain", "heat_maps"]

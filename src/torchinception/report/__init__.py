"""`report.html`: what was run and how it went, in one file that works offline."""

from torchinception.report.page import SIDE_PX, write_report
from torchinception.report.records import Bin, Calibration, ClassScore, Mistake, Report, Results, Stage

__all__ = ["SIDE_PX", "Bin", "Calibration", "ClassScore", "Mistake", "Report", "Results", "Stage", "write_report"]

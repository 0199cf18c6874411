"""`report.html`: what was run and how it went, in one file that works offline."""

from torchinception.report.page import write_report
from torchinception.report.records import Bin, Calibration, ClassScore, Mistake, Report, Results, Stage

__all__ = ["Bin", "Calibration", "ClassScore", "Mistake", "Report", "Results", "Stage", "write_report"]

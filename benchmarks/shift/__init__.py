"""The shift benchmark: every way of adapting, with its controls, between rendered domains of graded distance.

``sim2pose bench shift`` renders a source and three targets, trains every method with several seeds, and writes one table.
It may be stopped anywhere and started again, and started several times over: each process takes what no other one has.
"""

from .bench import BenchConfig, run
from .report import HEADER, tables

__all__ = ["HEADER", "BenchConfig", "run", "tables"]

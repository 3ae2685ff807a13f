"""``sim2pose data audit``: is a folder of frames what it says, and how far is it from real data?

:mod:`.checks` and :mod:`.bodies` check labels against each other, :mod:`.features` and :mod:`.pictures` measure,
:mod:`.compare` and :mod:`.against` compare, :mod:`.duplicates` finds look-alikes; :mod:`.report` writes the page. See
``docs/audit.md``.
"""

from __future__ import annotations

from .against import read_other
from .measure import Audit, measure
from .report import summary, write_report

__all__ = ["Audit", "measure", "read_other", "summary", "write_report"]

"""The registry of checkpoints: model versions in MLflow, on an sqlite database or a server.

``versions`` registers and looks up, ``stores`` keeps the files, ``promotion`` moves the champion, ``packing`` makes a
version's folder of a run, ``cards`` says in words what a version is, ``code`` compares the code that made it with this one.
"""

from .promotion import Decision, Reign, history, promote, rollback
from .stores import fetch, file_hash
from .versions import (
    CANDIDATE,
    CHAMPION,
    DEFAULT_NAME,
    NAMES,
    Version,
    get,
    list_versions,
    record_evaluation,
    register,
)

__all__ = [
    "CANDIDATE",
    "CHAMPION",
    "DEFAULT_NAME",
    "NAMES",
    "Decision",
    "Reign",
    "Version",
    "fetch",
    "file_hash",
    "get",
    "history",
    "list_versions",
    "promote",
    "record_evaluation",
    "register",
    "rollback",
]

"""The winner of a sweep in the registry: of its best setting, the run of the median seed."""

from __future__ import annotations

import json
from pathlib import Path

from ..config import UserError
from ..trainers.checkpoints import write_json
from ..trainers.tracking import default_uri
from ..tune.config import SweepConfig
from ..tune.sweep import SweepResult
from ..tune.tracking import sweep_tracking
from . import registry
from .evaluations import register_run

NOTE = "registered.json"
AUTO = "auto"


def register_winner(config: SweepConfig, result: SweepResult) -> registry.Version | None:
    """Register the winner where the sweep's trials are tracked, as the newest candidate.

    A sweep that is run again registers nothing twice: ``registered.json`` names the run and the version.

    Returns:
        the version; None where nothing is ranked, or ``register_as`` is null.

    Raises:
        UserError: see :func:`~.evaluations.register_run`; also where the registry is away.
    """
    chosen = result.chosen
    if chosen is None or config.register_as is None:
        return None
    note = config.folder / NOTE
    uri = registry_uri(config)
    known = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    if (known.get("run"), known.get("uri")) == (chosen.name, uri):
        return registry.get(uri, known["version"])
    name = None if config.register_as == AUTO else config.register_as
    if not chosen.run_dir.is_dir():
        raise UserError(f"{chosen.run_dir} is gone: nothing to register")
    version = register_run(uri, Path(chosen.run_dir), name=name)
    write_json(note, {"run": chosen.name, "uri": uri, "version": version.reference})
    return version


def registry_uri(config: SweepConfig) -> str:
    """The MLflow of a sweep's trials."""
    return sweep_tracking(config).uri or default_uri(config.folder)

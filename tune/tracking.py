"""A sweep in MLflow: one run, in which those of its trials nest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..trainers.config import TrackingConfig
from ..trainers.events import EventLog
from ..trainers.tracking import MlflowSender, default_uri, flat
from .config import SweepConfig, first_point, make_trial, preset_values
from .ledger import Ledger, best_report


@contextmanager
def tracked(config: SweepConfig, ledger: Ledger) -> Iterator[None]:
    """Keep a run of the sweep in MLflow while the block trains: its config, and the best value so far by measurement.

    As with any run, ``metrics.jsonl`` of the sweep's folder has it all, and MLflow may be away.
    """
    tracking = sweep_tracking(config)
    if not tracking.enabled:
        yield
        return
    folder = config.folder
    uri = tracking.uri or default_uri(folder)
    sender = MlflowSender(folder, uri, tracking.experiment, f"sweep {folder.name}", flat(config.plain())).start()
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        _write_events(config, ledger, folder)
        sender.close(status)


def sweep_tracking(config: SweepConfig) -> TrackingConfig:
    """Where the trials of a sweep are tracked, and so the sweep."""
    return make_trial(config, preset_values(config), first_point(config), config.seeds[0]).config.tracking


def _write_events(config: SweepConfig, ledger: Ledger, folder: Path) -> None:
    """One event a measurement, in the order of the ledger; written anew, so a restart repeats none."""
    log = EventLog(folder, -1)
    reports = [report for _, report in ledger.reports]
    for i, report in enumerate(reports, 1):
        whole = best_report([r for r in reports[:i] if r.progress == 1], config.mode)
        metrics = {config.metric: report.value, "progress": report.progress, **report.also}
        if whole is not None:
            metrics[f"best/{config.metric}"] = whole.value
        log.write(i, metrics)

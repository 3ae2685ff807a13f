"""What a run says, kept in ``log.txt``, and shown by a driver whose ranks run in other processes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..datasets.progress import Progress
from .events import read_events

log = logging.getLogger(__name__)

LOG = "log.txt"
INTERVAL = 1.0  # seconds between looks
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def log_file(run_dir: Path, enabled: bool) -> Iterator[None]:
    """Write what sim2pose logs inside the block to ``<run>/log.txt`` (appended), whatever else is done with it."""
    if not enabled:
        yield
        return
    ours = logging.getLogger("sim2pose")
    handler = logging.FileHandler(run_dir / LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    level = ours.level
    ours.setLevel(min(level, logging.INFO) if level else logging.INFO)
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(level)
        handler.close()


@contextmanager
def following(run_dir: Path, name: str) -> Iterator[None]:
    """Show progress and repeat warnings of a run that rank 0 of other processes writes, while the block runs."""
    follower = _Follower(run_dir, name)
    follower.thread.start()
    try:
        yield
    finally:
        follower.stop.set()
        follower.thread.join()


class _Follower:
    def __init__(self, run_dir: Path, name: str) -> None:
        self.run_dir, self.name = run_dir, name
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work, name="follow-run", daemon=True)
        self._progress: Progress | None = None
        path = run_dir / LOG
        self._read = path.stat().st_size if path.is_file() else 0

    def _work(self) -> None:
        while not self.stop.wait(INTERVAL):
            self._look()
        self._look()
        if self._progress is not None:
            self._progress.close()

    def _look(self) -> None:
        for line in self._new_lines():
            _, _, level, message = [*line.split(" ", 3), "", "", ""][:4]
            if level in ("WARNING", "ERROR", "CRITICAL"):
                log.log(getattr(logging, level), "%s", message)
        events = [event for event in read_events(self.run_dir) if "train/samples_per_second" in event["metrics"]]
        if events:
            self._show(events[-1])

    def _new_lines(self) -> list[str]:
        path = self.run_dir / LOG
        if not path.is_file():
            return []
        with path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def _show(self, event: dict[str, Any]) -> None:
        if self._progress is None:
            self._progress = Progress(self.name, event["of"], event["step"], "step")
        metrics = event["metrics"]
        losses = [f"{key[6:]} {value:.4g}" for key, value in sorted(metrics.items()) if key.startswith("train/loss_")]
        self._progress.note(f"{' '.join(losses)} {metrics['train/samples_per_second']:.0f} samples/s")
        self._progress.advance(event["step"] - self._progress.done)

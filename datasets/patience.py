"""Waiting for what a farm is to bring to a folder, and knowing when that is hopeless."""

from __future__ import annotations

import logging
import math
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..config import UserError
from . import storage
from .live import LiveFolder
from .locks import holder
from .remote import Unreachable

log = logging.getLogger(__name__)

TIMEOUT_S = 600.0
POLL_S = 0.5
POLL_REMOTE_S = 3.0


class Stalled(UserError):
    """The farm that fills a folder shows no sign of life any more. What is finished is kept, frames and training."""


class Patience:
    """Of one process with one folder. It tells of its first wait and counts them all.

    In a loader's worker process it has no end, says nothing, and ends with the parent: that one waits for the same frames,
    and decides.

    Attributes:
        timeout_s: seconds without a sign of life after which there is no hope.
        seconds, times: waited so far, and how often.
    """

    def __init__(self, folder: Path | str, timeout_s: float = TIMEOUT_S) -> None:
        self.folder, self.timeout_s = storage.place(folder), timeout_s
        self.seconds, self.times = 0.0, 0
        self._since: float | None = None
        self._pulse: object = None
        self._said = False

    def until(
        self, ready: Callable[[], bool], pulse: Callable[[], object], what: Callable[[], str], slice_s: float = math.inf
    ) -> bool:
        """Wait until something is ready; False if it is not after ``slice_s``, and the wait is to be gone on with.

        An object store that does not answer is no sign of life.

        Args:
            ready: whether it is.
            pulse: a value that changes as long as somebody works on it.
            what: its name.
            slice_s: see above.

        Raises:
            Stalled: if the pulse has not changed for ``timeout_s``.
        """
        parent = _loader_parent()
        began = last = time.monotonic()
        while not _answer(ready):
            beat = _answer(pulse)
            if self._since is None:
                self._since, self._pulse, self.times = last, beat, self.times + 1
                self._tell(what(), parent is None)
            elif beat and beat != self._pulse:
                self._since, self._pulse = last, beat
            elif last - self._since > self.timeout_s and parent is None:
                raise self._given_up(what())
            if parent is not None and not parent.is_alive():
                raise SystemExit(0)
            if last - began > slice_s:
                return False
            time.sleep(POLL_REMOTE_S if storage.is_remote(self.folder) else POLL_S)
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
        self._since = None
        return True

    def _tell(self, what: str, aloud: bool) -> None:
        if aloud and not self._said:
            log.info("%s: waiting for %s (later waits are counted, not told)", storage.show(self.folder), what)
            self._said = True

    def _given_up(self, what: str) -> Stalled:
        who = holder(self.folder)
        farm = f"the farm ({who}) holds the folder but brings nothing" if who else "no farm is at work there"
        return Stalled(
            f"{storage.show(self.folder)}: {what} did not come and nothing has moved for {self.timeout_s:g} s "
            f"(data.stream.timeout); {farm}: run the render command again, then this one with --resume"
        )


def await_folder(patience: Patience, slice_s: float = math.inf) -> LiveFolder | None:
    """The folder, once a farm has begun it; None if it has not after ``slice_s``.

    Raises:
        Stalled: if that does not happen within the timeout.
        UserError: for files that are not what they should be.
    """
    found: LiveFolder | None = None

    def ready() -> bool:
        nonlocal found
        found = LiveFolder.look(patience.folder)
        return found is not None

    patience.until(ready, lambda: None, lambda: "a job of 'sim2pose render'", slice_s)
    return found


def await_shards(live: LiveFolder, start: int, stop: int, patience: Patience, slice_s: float = math.inf) -> bool:
    """Wait until the shards start..stop-1 are all there; False if they are not after ``slice_s``.

    Raises:
        Stalled: if nothing moves in the folder for as long as the timeout.
    """
    gap: int | None = start

    def ready() -> bool:
        nonlocal gap
        gap = live.missing(start, stop)
        return gap is None

    return patience.until(ready, lambda: live.pulse(gap or 0), lambda: f"shard {gap} of {live.shards}", slice_s)


def _answer(question: Callable[[], object]) -> object:
    """The answer, or None while the store is away."""
    try:
        return question()
    except Unreachable:
        return None


def _loader_parent() -> Any:
    """The parent of this process if it is a loader's worker, else None."""
    from torch.utils.data import get_worker_info

    return multiprocessing.parent_process() if get_worker_info() is not None else None

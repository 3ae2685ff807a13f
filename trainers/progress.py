"""Progress of a run on rank 0: a bar on a terminal, plain lines elsewhere (logs, Ray, CI)."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

LINE_EVERY = 10.0  # seconds between plain lines


class Progress:
    """Shows steps done, loss, images/s and the time left. Say ``shown=False`` on ranks other than 0."""

    def __init__(self, name: str, total: int, done: int, shown: bool = True) -> None:
        self.name, self.total, self.done, self.shown = name, total, done, shown
        self._started, self._first = time.monotonic(), done
        self._last_line = time.monotonic()
        self._note = ""
        self._bar = tqdm(total=total, initial=done, desc=name, unit="step") if shown and sys.stderr.isatty() else None

    def advance(self, steps: int = 1) -> None:
        """Steps are done; fewer than none where a resume went back."""
        self.done += steps
        if self._bar is not None:
            self._bar.update(steps)
        elif self.shown and time.monotonic() - self._last_line >= LINE_EVERY:
            self.line()

    def note(self, text: str) -> None:
        """The text shown beside the count: loss and speed."""
        self._note = text
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def line(self) -> None:
        """Print one plain line."""
        self._last_line = time.monotonic()
        rate = (self.done - self._first) / max(self._last_line - self._started, 1e-9)
        left = (self.total - self.done) / rate if rate > 0 else float("inf")
        print(f"{self.name} step {self.done}/{self.total} {self._note} left {left:.0f} s", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the bar, or print a last line."""
        if self._bar is not None:
            self._bar.close()
        elif self.shown:
            self.line()

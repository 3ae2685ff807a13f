"""Progress of long work: a bar on a terminal, plain lines every few seconds elsewhere (logs, Ray, CI)."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from tqdm import tqdm

LINE_EVERY_S = 10.0


class Progress:
    """Counts what is done and shows speed and time left.

    Args:
        name: stands before the count.
        total: units in all; done: those done before (they do not count towards the rate).
        unit: what is counted, in the singular.
        show: False prints nothing.
        stream: where to; a bar if it is a terminal, else a line every 10 s and one at the end. None: stderr.
    """

    def __init__(
        self, name: str, total: int, done: int, unit: str, show: bool = True, stream: TextIO | None = None
    ) -> None:
        self.name, self.total, self.done, self.before, self.unit = name, total, done, done, unit
        self.stream = stream or sys.stderr
        self.started = self._last = time.monotonic()
        self.show = show
        self._note = ""
        self._said = (-1, "")
        self._bar = None
        if show and self.stream.isatty():
            self._bar = tqdm(total=total, initial=done, unit=unit, desc=name, smoothing=0.1, file=self.stream)

    def advance(self, count: int = 1) -> None:
        """More is done; fewer than none where work was lost and is done again."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self.show and time.monotonic() - self._last >= LINE_EVERY_S:
            self._line()

    def note(self, text: str) -> None:
        """The text shown beside the count from now on: losses, say."""
        self._note = text
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def say(self, text: str) -> None:
        """Print a line of its own without tearing the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self.stream)
        elif self.show:
            print(text, file=self.stream, flush=True)

    def rate(self) -> float:
        """Units a second since the start."""
        return (self.done - self.before) / max(time.monotonic() - self.started, 1e-9)

    def close(self) -> None:
        """End the bar, or print the last line unless it stands there already."""
        if self._bar is not None:
            self._bar.close()
        elif self.show and self._said != (self.done, self._note):
            self._line()

    def _line(self) -> None:
        self._last, self._said = time.monotonic(), (self.done, self._note)
        rate = self.rate()
        parts = [f"{self.name}: {self.done}/{self.total} {self.unit}s", f"{rate:.1f} {self.unit}s/s"]
        if self._note:
            parts.append(self._note)
        if rate > 0 and self.done < self.total:
            parts.append(f"{(self.total - self.done) / rate:.0f} s left")
        print(", ".join(parts), file=self.stream, flush=True)

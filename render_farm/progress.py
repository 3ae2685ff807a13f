"""Progress of a farm run: a bar on a terminal, plain lines every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from tqdm import tqdm

LINE_EVERY_S = 10.0


class Progress:
    """Counts frames as they are finished.

    Args:
        total: frames in all; done: those that were there before (they do not count towards the rate).
        show: False prints nothing.
        stream: where to; a bar if it is a terminal, else a line every 10 s and one at the end.
    """

    def __init__(self, total: int, done: int, show: bool = True, stream: TextIO | None = None) -> None:
        self.total, self.done, self.before = total, done, done
        self.stream = stream or sys.stderr
        self.started = self._last = time.monotonic()
        self.show = show
        self._said = -1
        self._bar = None
        if show and self.stream.isatty():
            self._bar = tqdm(total=total, initial=done, unit="frame", desc="render", smoothing=0.1, file=self.stream)

    def add(self, frames: int) -> None:
        """More frames are finished."""
        self.done += frames
        if self._bar is not None:
            self._bar.update(frames)
        elif self.show and time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            self._line()

    def note(self, text: str) -> None:
        """Say something without tearing the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self.stream)
        elif self.show:
            print(text, file=self.stream, flush=True)

    def rate(self) -> float:
        """Frames a second since the start."""
        return (self.done - self.before) / max(time.monotonic() - self.started, 1e-9)

    def close(self) -> None:
        """End the bar, or print the last line."""
        if self._bar is not None:
            self._bar.close()
        elif self.show and self._said != self.done:
            self._line()

    def _line(self) -> None:
        self._said = self.done
        rate = self.rate()
        left = f", {(self.total - self.done) / rate:.0f} s left" if rate and self.done < self.total else ""
        print(f"render: {self.done}/{self.total} frames, {rate:.1f} frames/s{left}", file=self.stream, flush=True)

"""What is said while a pipeline runs: a line for what happens, and on a terminal one that shows what a step prints."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable
from typing import TextIO

EVERY_S = 30.0  # between looks into a log where there is no terminal


class Screen:
    """Lines on a terminal or in a log.

    Args:
        stream: where to; stdout without.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self._said: dict[str, tuple[float, str]] = {}
        self._open = False

    def line(self, text: str) -> None:
        """A line that stays."""
        self._wipe()
        print(text, file=self.stream, flush=True)

    def lines(self, texts: Iterable[str], indent: str = "   ") -> None:
        """Several, indented."""
        for text in texts:
            self.line(f"{indent}{text}")

    def doing(self, name: str, seconds: float, newest: str) -> None:
        """What a running step printed last: in place on a terminal, else every half minute if it is new."""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"\r\x1b[K{f'   {name} {seconds:.0f} s  {newest}'[:width]}")
            self.stream.flush()
            self._open = True
            return
        before, said = self._said.setdefault(name, (time.monotonic(), ""))
        if time.monotonic() - before >= EVERY_S:
            self._said[name] = (time.monotonic(), newest)
            if newest != said:
                self.line(f"   {name} {seconds:.0f} s  {newest}")

    def _wipe(self) -> None:
        if self._open:
            self.stream.write("\r\x1b[K")
            self._open = False

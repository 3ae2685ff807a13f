"""Commands as processes of their own: started, watched, and ended by their pid."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .folder import Product, write_json

GRACE_S = (20.0, 5.0)  # after SIGINT, and after SIGTERM: a Ray session needs seconds to end
TAIL = 65536  # bytes of a log that are looked at for its last lines
PROGRAM = (sys.executable, "-m", "sim2pose")


@dataclass
class Child:
    """A step being made.

    Attributes:
        name: of the step. words: of its command. process: of the command.
        hold: what is given back when it ends: lock and log.
    """

    name: str
    words: list[str]
    process: subprocess.Popen[bytes]
    hold: contextlib.ExitStack
    started: float = field(default_factory=time.time)

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.time() - self.started


def typed(words: Sequence[str]) -> str:
    """The command as one would type it."""
    return f"sim2pose {shlex.join(words)}"


def start(name: str, words: list[str], product: Product, lock: int, hold: contextlib.ExitStack, again: bool) -> Child:
    """Run ``python -m sim2pose WORDS`` with its output in the step's log, and note its pid.

    It has a session of its own, so that a Ctrl-C at the terminal reaches it once, through :func:`end`; it inherits ``lock``.
    """
    product.log.parent.mkdir(exist_ok=True)
    log = hold.enter_context(product.log.open("ab" if again else "wb"))
    log.write(f"$ {typed(words)}\n".encode())
    log.flush()
    process = subprocess.Popen(
        [*PROGRAM, *words],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        pass_fds=(lock,),
    )
    child = Child(name, words, process, hold)
    write_json(product.mark, {"pid": process.pid, "host": socket.gethostname(), "started": child.started})
    return child


def end(children: Sequence[Child]) -> None:
    """End processes by their pid: as by Ctrl-C, then asked, then forced; each is waited for."""
    ways = ((signal.SIGINT, GRACE_S[0]), (signal.SIGTERM, GRACE_S[1]), (signal.SIGKILL, None))
    for sign, patience in ways:
        alive = [child for child in children if child.process.poll() is None]
        for child in alive:
            child.process.send_signal(sign)
        until = time.monotonic() + (patience or 60.0)
        for child in alive:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, until - time.monotonic()))
    for child in children:
        child.hold.close()


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log that are not empty; of progress bars the newest state."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        text = file.read().decode("utf-8", "replace")
    lines = [line.rstrip().rpartition("\r")[2].strip() for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith("$ sim2pose")][-count:]

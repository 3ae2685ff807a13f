"""What lies on the disk: a step's product with ``step.json`` written last, and what is known of one that is being made.

Layout: ``<out>/<step>-<hash8>/`` the product; ``<out>/latest/<step>`` a link to the newest; ``<out>/logs/<step>-<hash8>.log``;
``<out>/.pipeline/`` locks, marks of steps that were begun, and remembered hashes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...datasets import storage
from .digests import Digests, combined
from .verbs import Verb

RECORD = "step.json"
CONTROL = ".pipeline"


@dataclass(frozen=True)
class Product:
    """Where a step's product lies, and what is known of it.

    Attributes:
        out: folder of the pipeline.
        step: its name.
        address: 16 hex digits; the first 8 are part of the folder's name.
        verb: what makes it.
    """

    out: Path
    step: str
    address: str
    verb: Verb

    @property
    def label(self) -> str:
        """``render-1a2b3c4d``."""
        return f"{self.step}-{self.address[:8]}"

    @property
    def folder(self) -> Path:
        """Where the product lies."""
        return self.out / self.label

    @property
    def log(self) -> Path:
        """What its command printed."""
        return self.out / "logs" / f"{self.label}.log"

    @property
    def mark(self) -> Path:
        """There while it is being made, or was interrupted."""
        return self.out / CONTROL / f"{self.label}.json"

    def record(self) -> dict[str, Any] | None:
        """``step.json``, or None if the product is not whole."""
        return _read(self.folder / RECORD)

    def files(self, digests: Digests) -> dict[str, str]:
        """Path below the folder → hash, of the files that are the product."""
        return digests.files(self.folder, self.verb.product)

    def changed(self, digests: Digests) -> list[str]:
        """Files of a whole product that are missing, changed, or were added since it was made."""
        record = self.record()
        assert record is not None, "only a whole product can have changed"
        then, now = record["product"]["files"], self.files(digests)
        return sorted(file for file in {*then, *now} if then.get(file) != now.get(file))

    def digest(self) -> str:
        """Hash of a whole product, as it was made."""
        record = self.record()
        return "" if record is None else str(record["product"]["digest"])

    def finish(self, digests: Digests, values: Mapping[str, Any]) -> None:
        """Write ``step.json`` and point ``latest`` here."""
        files = self.files(digests)
        write_json(self.folder / RECORD, {**values, "product": {"digest": combined(files), "files": files}})
        self.mark.unlink(missing_ok=True)
        self.point()

    def point(self) -> None:
        """Make ``latest/<step>`` a link to this product."""
        link = self.out / "latest" / self.step
        target = os.path.join("..", self.label)
        if link.is_symlink() and os.readlink(link) == target:
            return
        link.parent.mkdir(exist_ok=True)
        aside = link.with_name(f".{self.step}.new")
        aside.unlink(missing_ok=True)
        aside.symlink_to(target)
        aside.replace(link)

    def begun(self) -> dict[str, Any] | None:
        """What is known of an attempt that did not finish: pid and time, or None."""
        return _read(self.mark)

    def set_aside(self) -> Path:
        """Rename the product, so that it can be made anew and nothing is lost; returns where it is now."""
        number = 1
        while (aside := self.folder.with_name(f"{self.label}.old{number}")).exists():
            number += 1
        self.folder.rename(aside)
        return aside

    def clear(self) -> None:
        """Delete a product that never became whole."""
        assert self.record() is None, "a whole product is never deleted"
        if self.folder.exists():
            shutil.rmtree(self.folder)

    @contextmanager
    def held(self) -> Iterator[int | None]:
        """Hold the lock that says "being made"; gives its descriptor, or None if another process holds it.

        A child that inherits the descriptor goes on holding the lock if the pipeline is killed, so that the next one sees it.
        """
        path = self.mark.with_suffix(".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            yield descriptor
        finally:
            os.close(descriptor)


def latest_record(out: Path, step: str) -> dict[str, Any] | None:
    """``step.json`` of the newest product of a step, whatever it depends on; None if there is none."""
    return _read(out / "latest" / step / RECORD)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write so that readers see the old file or the new one."""
    storage.replace(path, json.dumps(values, indent=1).encode())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None

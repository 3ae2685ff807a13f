"""The command line, one file a verb. ``key=value`` sets anything the config holds; flags say how a command behaves."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import UserError

_OVERRIDE = re.compile(r"^[A-Za-z_][\w.]*=")


def split(items: Sequence[str], places: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the words of a command into its paths or preset (named by ``places``) and ``key=value`` overrides.

    Raises:
        UserError: if there are fewer or more positional words than places. A place in brackets may be left out; a last
            place that ends with an ellipsis takes one word or more.
    """
    positional = [item for item in items if not _OVERRIDE.match(item)]
    overrides = [item for item in items if _OVERRIDE.match(item)]
    needed = sum(not place.startswith("[") for place in places)
    if len(positional) < needed:
        raise UserError(f"missing {places[len(positional)]}: usage is {' '.join([*places, 'key=value …'])}")
    if len(positional) > len(places) and not places[-1].endswith("…"):
        raise UserError(f"unexpected word '{positional[len(places)]}': options are given as key=value")
    return positional, overrides


def write_json(path: Path | None, value: Any) -> None:
    """Write figures as JSON where ``--json FILE`` was given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=2, default=float) + "\n", encoding="utf-8")


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> str:
    """Columns aligned for a terminal; floats with three decimals, None as a dash."""
    text = [[_cell(value) for value in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in text) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in text]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)

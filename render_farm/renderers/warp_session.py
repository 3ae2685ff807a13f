"""Warp, started quietly."""

from __future__ import annotations

from typing import Any


def start_warp() -> Any:
    """The ``warp`` module, initialised; it greets on stdout and names each module it loads unless told not to."""
    import warp as wp

    if hasattr(wp.config, "log_level"):
        wp.config.log_level = wp.LOG_WARNING
    else:
        wp.config.quiet = True  # type: ignore[attr-defined]
    wp.init()
    return wp

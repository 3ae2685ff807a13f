"""SMPL-family bodies: ``load_body("open-infant")``, or a model file of your own by path.

Torch and smplx are imported with the first use of a body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .body import Body, BodyOutput
    from .load import load_body, load_parts

__all__ = ["Body", "BodyOutput", "load_body", "load_parts"]

_LAZY = {"Body": "body", "BodyOutput": "body", "load_body": "load", "load_parts": "load"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__} has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)

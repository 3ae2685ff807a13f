"""Telling bodies apart by content."""

from __future__ import annotations

import hashlib

import numpy as np

from .body import Body


def body_digest(body: Body) -> str:
    """16 hex digits that tell bodies apart, whatever their files are called."""
    parts = [body.template, body.weights, body.faces, body.mesh.shapedirs.numpy(), body.keypoint_regressor.numpy()]
    parts += [] if body.population is None else [body.population]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]

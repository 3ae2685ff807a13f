"""A sweep to vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .stub_sweeps import WEIGHT


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A sweep over λ and the learning rate, on a preset of its own."""
    data = {"source": ["frames"], "val": {"target": "test"}}
    preset = {"steps": 5, "data": data, "tracking": {"enabled": False}}
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(preset))
    return {
        "train": str(tmp_path / "preset.yaml"),
        "out": str(tmp_path / "sweep"),
        "fixed": {"batch": 8},
        "space": {WEIGHT: [0, 1e-3]},
        "seeds": [0, 1],
    }

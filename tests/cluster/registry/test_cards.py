"""Cards say what was and was not measured, and follow from a version's files alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sim2pose.cluster.registry.cards import card_of


@pytest.fixture
def folder(packed_model: Path, tmp_path: Path) -> Path:
    """A version trained on synthetic frames, with real ones as target."""
    made = Path(shutil.copytree(packed_model, tmp_path / "version"))
    about = json.loads((made / "version.json").read_text())
    train = {
        "name": "rendered",
        "hash": "aa11",
        "frames": 9000,
        "domains": ["synthetic"],
        "licence": "CC0, open bodies",
    }
    about["data"] = {"train": {"rendered": train}, "target": {}}
    (made / "version.json").write_text(json.dumps(about))
    (made / "config.yaml").write_text("recipe: fidip\nsteps: 77\nadversarial: {method: none, weight: 0.5}\n")
    return made


def entry(ap: float, **more: Any) -> dict[str, Any]:
    baselines = {"mean_pose": {"AP": 0.2}, "zero": {"AP": 0.0}}
    return {"data": "bb22", "frames": 40, "domains": ["real"], "boxes": "annotated", "metrics": {"AP": ap}} | {
        "baselines": baselines,
        **more,
    }


def test_a_card_says_it_all(folder: Path) -> None:
    text = card_of(folder, {"target": entry(0.6, licence="CC BY 4.0", name="ward")}, "net@3")
    assert text.startswith("# net@3\n")
    for told in (
        "| rendered | `aa11` | 9000 | synthetic |",
        "nose, left_eye",
        "On **target** (data `bb22`; 40 frames; domain real; boxes: annotated)",
        "| **this model** | 0.600 |",
        "| mean_pose | 0.200 |",
        "| `steps` | `77` |",
        "It has seen pictures of domain 'synthetic' only.",
        "Figures are for annotated boxes",
        "'target' has 40 frames",
        "| rendered | CC0, open bodies |",
        "| ward | CC BY 4.0 |",
        "sim2pose models predict net@3",
    ):
        assert told in text, told
    assert "adversarial.weight" not in text, "a weight of nothing tells nothing"
    assert "no better than" not in text
    assert "memory, not skill" not in text


def test_a_card_is_not_flattering(folder: Path) -> None:
    text = card_of(
        folder, {"target": entry(0.1, notes=["the predictions hardly vary"]), "train": entry(0.9, data="aa11")}
    )
    assert "**On 'target' it is no better than the baseline 'mean_pose' (AP 0.100 against 0.200).**" in text
    assert "On 'target': the predictions hardly vary." in text
    assert "**'train' is data that it was trained on: these figures show memory, not skill.**" in text

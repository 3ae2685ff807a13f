"""What a pipeline reads of its steps' products: a few figures of each, and what steps did to the registry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..cluster.pipeline.verbs import Facts
from ..config import load_config
from . import split

DECIDED = r"is champion|stays candidate|is the champion already"
BASELINES = ("_zero", "_mean_pose", "_adabn")


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def fit(folder: Path) -> Facts:
    """People fitted, and by how much half of them miss."""
    found = _read(folder / "fits.json")["figures"]
    return {"people": found["people"], "median miss px": round(found["reprojection_px"]["median"], 2)}


def frames(folder: Path) -> Facts:
    """Frames of a folder."""
    return {"frames": _read(folder / "_manifest.json")["frames"]}


def imported(folder: Path) -> Facts:
    """Frames imported, and those held out."""
    held_out = folder / "frames_test"
    more = {"held out": frames(held_out)["frames"]} if held_out.is_dir() else {}
    return frames(folder / "frames") | more


def audit(folder: Path) -> Facts:
    """People looked at, and how many labels are wrong."""
    found = _read(folder / "audit.json")
    return {"persons": found["persons"], "label errors": found["errors"]}


def train(folder: Path) -> Facts:
    """Steps done, AP of the last validation, and why it ended early if it did."""
    done = _read(folder / "done.json")
    named = {name: name.partition("/")[0] for name in done["metrics"] if name.endswith("/AP")}
    ap = {f"{data} AP": done["metrics"][name] for name, data in named.items() if not data.endswith(BASELINES)}
    return {"step": done["step"]} | ap | ({"stopped": done["stopped"]} if done["stopped"] else {})


def evaluate(folder: Path) -> Facts:
    """AP beside its baselines."""
    found = _read(folder / "figures.json")["figures"]
    return {f"{name} AP": values["AP"] for name, values in found.items() if not name.endswith("_box_area")}


def of_json(file: str, *keys: str) -> Callable[[Path], Facts]:
    """Some keys of a JSON file."""

    def facts(folder: Path) -> Facts:
        return {key: _read(folder / file)[key] for key in keys}

    return facts


# ── steps that act on the registry: what they did is noted in a file of the step's folder


def registered(folder: Path, words: list[str]) -> bool:
    """Note the version that holds the model of a run; False if there is none yet.

    The log tells it; of a registration that was killed before it could say so, the registry does, by the run's id.
    """
    from .models import RegistryConfig

    (run,), keys = split(words[2:], ("RUN",))
    config = load_config(RegistryConfig, None, keys)
    said = _said(folder, r"^(\S+@\d+) is candidate")
    reference = said.split()[0] if said else _version_of(Path(run), str(config.uri), config.name)
    if reference is None:
        return False
    values = {"reference": reference, "name": reference.partition("@")[0], "uri": config.uri, "run": run}
    (folder / "version.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
    return True


def _version_of(run: Path, uri: str, name: str | None) -> str | None:
    """The newest version of a model (None: of any) that was registered from a tracked run."""
    tracking = run / "tracking.json"
    run_id = _read(tracking).get("run_id") if tracking.is_file() else None
    if run_id is None:
        return None
    from ..cluster import registry

    found = [v for v in registry.list_versions(uri) if name in (None, v.name) and v.run_id == run_id]
    return max(found, key=lambda version: int(version.version)).reference if found else None


def decided(folder: Path, words: list[str]) -> bool:
    """Note what a promotion decided; False if it has not decided."""
    said = _said(folder, DECIDED)
    if said:
        (folder / "decision.json").write_text(json.dumps({"decision": said}, indent=1), encoding="utf-8")
    return said is not None


def _said(folder: Path, pattern: str) -> str | None:
    """The last line of a step's log that matches."""
    log = folder.parent / "logs" / f"{folder.name}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return next((line for line in reversed(lines) if re.search(pattern, line)), None)

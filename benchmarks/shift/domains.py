"""The domains: one source and targets at three distances, rendered from ``configs/shift_*.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...config import load_config
from ...datasets.manifest import MANIFEST
from ...datasets.shards import FramesFolder
from ...render_farm.kinds.infant.config import InfantConfig

SOURCE = "source"
SHARES = {"source_train": 1.0, "source_test": 1 / 6, "target_train": 1 / 2, "target_test": 25 / 128}
SEEDS = {"source_train": 0, "source_test": 1, "target_train": 7919, "target_test": 7920}
LEAST = 32  # frames of a set


def folders(out: Path, severity: str) -> dict[str, Path]:
    """Frame folders by role: ``source_train``, ``source_test``, ``target_train``, ``target_test``."""
    return {role: out / "frames" / role.replace("target", severity) for role in SHARES}


def counts(frames: int) -> dict[str, int]:
    """Frames of each set, given those of the source for training."""
    return {role: max(LEAST, round(frames * share)) for role, share in SHARES.items()}


def render_domains(out: Path, severities: Iterable[str], frames: int) -> None:
    """Render what is missing, in this process (training and test sets differ in their looks, too: other seeds).

    Raises:
        UserError: if a folder holds other frames than these presets make (names the key), or is being written.
    """
    from ...render_farm.render import render

    wanted = {path: role for severity in severities for role, path in folders(out, severity).items()}
    for path, role in wanted.items():
        preset = path.name.rpartition("_")[0]
        values = {"out": path, "frames": counts(frames)[role], "seed": SEEDS[role]}
        config = load_config(InfantConfig, f"shift_{preset}", values)
        if not _there(config):
            render(config)


def _there(config: InfantConfig) -> bool:
    """Whether these very frames are finished: then their folder is not locked and checked again, as ``render`` would."""
    from ...render_farm.kinds.frames import render_info

    if not (config.out / MANIFEST).is_file():
        return False
    folder = FramesFolder.open(config.out)
    return len(folder) == config.frames and folder.info.config_hash == render_info(config).config_hash

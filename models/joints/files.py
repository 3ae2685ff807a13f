"""Joint sets of one's own: a YAML or JSON file with names, mirror pairs and sigmas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ...config import UserError, nearest, parse_yaml
from .base import JointSet, Pairs, left_right_pairs

ENDINGS = (".yaml", ".yml", ".json")
KEYS = ("name", "joints", "flip_pairs", "sigmas", "skeleton", "about")


def read_joint_set(path: str | Path) -> JointSet:
    """Read a joint set from a file.

    The file holds ``joints`` (names in their order) and may hold ``name`` (without: the file's), ``flip_pairs`` (pairs of
    joint names that a mirror exchanges; without: each ``left_x`` with ``right_x``), ``sigmas`` (one a joint: the standard
    deviation of annotation over the square root of the person's area; COCO's 0.026 for the nose), ``skeleton`` (pairs of
    names to draw) and ``about``.

    Raises:
        UserError: for a file that is missing or not of that form; names file and key.
    """
    path = Path(path)
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))  # JSON is YAML
    except OSError as error:
        raise UserError(f"cannot read joint set {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is neither YAML nor JSON: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or "joints" not in content:
        raise UserError(
            f"{path} must hold 'joints: [names …]', and may hold {', '.join(k for k in KEYS if k != 'joints')}"
        )
    for key in content:
        if key not in KEYS:
            raise UserError(f"{path}: unknown key '{key}': {nearest(str(key), KEYS)}")
    joints = content["joints"]
    if not isinstance(joints, list) or not joints or not all(isinstance(name, str) for name in joints):
        raise UserError(f"{path}: 'joints' must be a list of names")
    names = tuple(joints)
    flip = _pairs(content["flip_pairs"], names, f"{path}: 'flip_pairs'") if "flip_pairs" in content else None
    return JointSet(
        name=str(content.get("name", path.stem)),
        joints=names,
        flip_pairs=_by_name(names, path) if flip is None else flip,
        sigmas=_sigmas(content.get("sigmas"), path),
        skeleton=_pairs(content.get("skeleton", []), names, f"{path}: 'skeleton'"),
        about=str(content.get("about", f"read from {path.name}")),
    )


def _by_name(names: tuple[str, ...], path: Path) -> Pairs:
    alone = [n for n in names if n.startswith("left_") and n.replace("left_", "right_", 1) not in names]
    if alone:
        raise UserError(f"{path}: '{alone[0]}' has no partner 'right_…': name the pairs with 'flip_pairs'")
    return left_right_pairs(names)


def _pairs(given: Any, names: tuple[str, ...], where: str) -> Pairs:
    pairs = []
    for pair in given if isinstance(given, list) else [given]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise UserError(f"{where} must be a list of pairs of joint names, found {pair!r}")
        for name in pair:
            if name not in names:
                raise UserError(f"{where} names '{name}', which is no joint: {nearest(str(name), names)}")
        pairs.append((names.index(pair[0]), names.index(pair[1])))
    return tuple(pairs)


def _sigmas(given: Any, path: Path) -> tuple[float, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(s, int | float) and not isinstance(s, bool) for s in given):
        raise UserError(f"{path}: 'sigmas' must be a list of numbers, one a joint")
    return tuple(float(s) for s in given)

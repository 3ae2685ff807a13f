"""What travels with a job: the package, or a wheel of it, its environment variables, and if asked its pinned packages.

The package travels as a ``py_module``: Ray uploads it once for each state of the code (by its hash) and puts it on the
path of the job and of all its workers.
"""

from __future__ import annotations

import os
import re
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import UserError

PACKAGE = Path(__file__).parents[1]  # sim2pose/ with its links, or the installed package
EXCLUDES = ["**/__pycache__/**", "**/*.pyc"]  # they would change the package's hash, and so ship it anew each time
# PYTHONUNBUFFERED: lines appear in the log as they are printed. The override lets ray_session set worker variables that
# the job was given too (Ray refuses the clash otherwise).
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONUNBUFFERED": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
PINNED = "pinned"
NODES_HAVE = ("ray",)  # a job's Ray must be its cluster's
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?")


def runtime_env(
    env: Mapping[str, str] | None = None, package: Path = PACKAGE, packages: Sequence[str] = ()
) -> dict[str, Any]:
    """Ray's ``runtime_env`` of a job.

    Args:
        env: further environment variables of the job and its workers.
        package: folder of the module sim2pose: the code that runs here, or what :func:`unpack` made of a wheel.
        packages: pip requirements that every node installs first (once, and keeps).
    """
    made: dict[str, Any] = {
        "py_modules": [str(package)],
        "excludes": EXCLUDES,
        "env_vars": {**ENVIRONMENT, **(env or {})},
    }
    if packages:
        made["pip"] = {"packages": list(packages), "pip_check": False}
    return made


def unpack(wheel: Path, folder: Path) -> Path:
    """Unpack the module of a wheel of sim2pose into a folder; returns the module's.

    Ray would take the wheel itself, but installs all that it depends on with it, for many minutes on every node.

    Raises:
        UserError: if the wheel is missing or none of sim2pose.
    """
    if not (wheel.is_file() and zipfile.is_zipfile(wheel)):
        raise UserError(f"no wheel of sim2pose at {wheel}: make one with 'pip wheel --no-deps .'")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(f"{PACKAGE.name}/")]
        if not names:
            raise UserError(f"{wheel} is no wheel of sim2pose: it holds no module of that name")
        archive.extractall(folder, names)
    return folder / PACKAGE.name


def requirements(source: str, root: Path = PACKAGE.parent) -> list[str]:
    """What nodes are to install: ``pinned``, or the lines of a requirements file.

    ``pinned`` is what pyproject.toml asks for (frames in object stores included) at the versions of constraints.txt;
    Ray is left to the cluster.

    Raises:
        UserError: for a missing file, or ``pinned`` away from a checkout.
    """
    if source != PINNED:
        path = Path(source)
        if not path.is_file():
            raise UserError(f"no requirements file at {path}; --pip takes '{PINNED}' or a file")
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line]
    project, constraints = root / "pyproject.toml", root / "constraints.txt"
    if not (project.is_file() and constraints.is_file()):
        raise UserError(f"--pip {PINNED} reads the constraints.txt of a checkout: give a requirements file instead")
    pins = {_normal(line): line.partition("#")[0].strip() for line in constraints.read_text("utf-8").splitlines()}
    about = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    wanted = [*about["dependencies"], *about["optional-dependencies"]["s3"]]
    return [pins.get(_normal(line), line) for line in wanted if _normal(line) not in NODES_HAVE]


def _normal(requirement: str) -> str:
    """The name of a requirement as package indexes compare it; empty for a comment."""
    found = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def job_env(items: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` items, or ``KEY`` alone for this machine's value.

    Raises:
        UserError: for a key that is not set here.
    """
    env = {}
    for item in items:
        key, sign, value = item.partition("=")
        if not sign and key not in os.environ:
            raise UserError(f"--env {key} has no value: it is not set here; write --env {key}=VALUE")
        env[key] = value if sign else os.environ[key]
    return env

"""``sim2pose doctor``: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from . import table, write_json


@dataclass(frozen=True)
class Check:
    """One line of the report. ``state`` is ok, note (works, but less than it could) or fail (nothing runs without it)."""

    name: str
    state: str
    found: str
    remedy: str = ""


def doctor(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the findings to this file")] = None,
) -> None:
    """Check Python, torch, GPU, EGL, Ray, disk and licensed models; each finding with its remedy."""
    checks = [check for probe in PROBES for check in probe()]
    print(table([(c.state, c.name, c.found) for c in checks], ("", "what", "found")))
    for check in checks:
        if check.remedy:
            print(f"\n{check.name}: {check.remedy}")
    write_json(json_file, [asdict(check) for check in checks])
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


def python() -> list[Check]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    return [Check("Python", "ok", f"{version} ({sys.executable})")]


def packages() -> list[Check]:
    """What must be importable; versions as installed."""
    checks = []
    for name in ("torch", "ray", "mlflow", "smplx", "pyarrow", "albumentations", "pycocotools", "warp-lang"):
        try:
            checks.append(Check(name, "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            remedy = "pip install -c constraints.txt -e '.[dev]'"
            checks.append(Check(name, "fail", "not installed", remedy))
    return checks


def gpu() -> list[Check]:
    """CUDA devices as torch sees them."""
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return [Check("GPU", "ok", ", ".join(names))]
    remedy = "all works on the CPU, smaller; for a GPU install its driver and a CUDA build of torch (pytorch.org)"
    return [Check("GPU", "note", f"none (torch {torch.__version__})", remedy)]


RENDERER_REMEDIES = {
    "opengl": "apt-get install libegl1 libgl1",
    "raycast": "pip install warp-lang",
    "pyrender": "optional: pip install 'sim2pose[pyrender]', apt-get install libegl1 libgl1",
}


def renderers() -> list[Check]:
    """Each render backend on the CPU, and on a GPU where there is one, tried by drawing with it."""
    import torch

    from ..render_farm.renderers import available_renderers

    checks = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for name, trouble in available_renderers(device).items():
            title = f"renderer {name} on {device}"
            if trouble is None:
                checks.append(Check(title, "ok", "draws"))
                continue
            remedy = (
                RENDERER_REMEDIES[name] if device == "cpu" else "the driver's EGL library (libnvidia-gl), or device=cpu"
            )
            state = "fail" if (name, device) == ("raycast", "cpu") else "note"
            checks.append(Check(title, state, trouble, remedy))
    if not torch.cuda.is_available():
        checks.append(Check("renderers on cuda", "note", "no CUDA device: all draw on the CPU", "see GPU"))
    return checks


def ray_session() -> list[Check]:
    """Ray's token, which its head and clients must share."""
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    if token.is_file():
        return [Check("Ray token", "ok", str(token))]
    if "RAY_AUTH_TOKEN_PATH" in os.environ:
        remedy = "write the cluster's token there, or make one: ray get-auth-token --generate"
        return [Check("Ray token", "fail", f"RAY_AUTH_TOKEN_PATH names no file: {token}", remedy)]
    return [Check("Ray token", "ok", "none yet; the first session writes one")]


def disk() -> list[Check]:
    """Free space where runs and frames go (10,000 frames of 256×256 with labels take about 0.2 GB)."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < 1:
        return [Check("disk", "fail", f"{free:.1f} GB free here", "free some space, or set out=DIR on another disk")]
    return [Check("disk", "ok" if free > 5 else "note", f"{free:.0f} GB free in {Path.cwd()}")]


def licensed_bodies() -> list[Check]:
    """Licensed body files, looked for under SIM2POSE_BODIES (default ~/body_models); never needed."""
    from ..models.bodies.files import LICENSED_FILES, licensed_root

    root, checks = licensed_root(), []
    for name, (file, where) in LICENSED_FILES.items():
        found = next(iter(sorted(root.rglob(file))), None) if root.is_dir() else None
        if found is None:
            remedy = f"optional; the open bodies stand in. Register at {where}, put {file} under {root}"
            checks.append(Check(f"licensed {name}", "note", "not found", remedy))
        else:
            checks.append(Check(f"licensed {name}", "ok", str(found)))
    return checks


PROBES: tuple[Callable[[], list[Check]], ...] = (python, packages, gpu, renderers, ray_session, disk, licensed_bodies)

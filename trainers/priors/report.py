"""``report.html`` of a prior's run: figures beside baselines, curves, joints, samples, latent directions, config."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import dump_yaml
from ...datasets.html import Report
from ...models.priors.density import PoseDensity
from ...models.priors.files import load_density
from ...models.priors.named import RUN_FILE
from ..events import read_curves
from ..recipes import saved_run
from ..report import environment
from .comparison import tables
from .config import PriorTrainConfig
from .evaluation import evenly
from .pictures import pose_sheet, scored_samples, traversals
from .poses import PoseSets, open_poses
from .task import DRAWN

CURVES = {
    "nats per dimension": {
        "training/nats_per_dim": "training poses",
        "select/nats_per_dim": "training takes kept apart",
        "val/nats_per_dim": "held-out people",
    },
    "training loss": {"train/loss_prior": "with the step's noise"},
    "learning rate": {"train/lr_prior": "lr"},
}
SCORED = 4096


def write_prior_report(run_dir: Path) -> Path:
    """Write ``<run>/report.html`` from what the run left in its folder; works on unfinished runs too."""
    cfg = saved_run(run_dir)
    assert isinstance(cfg, PriorTrainConfig), "recipes.py pairs config and report"
    path = run_dir / "done.json"
    done = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    state = f"{done['samples_per_second']:.0f} poses/s over {done['step']} steps" if done else "not finished"
    page = Report(f"sim2pose pose prior “{cfg.name}”", f"{cfg.model.kind} · {state}")
    if done:
        add_figures(page, cfg.name, done["metrics"])
    page.heading("Curves")
    curves = read_curves(run_dir)
    panels = {
        title: {label: curves[key] for key, label in lines.items() if len(curves.get(key, ((), ()))[0]) > 1}
        for title, lines in CURVES.items()
    }
    page.curves(panels, "Nats per dimension of poses at the resolution of 0.01 rad; lower is better.")
    if (run_dir / RUN_FILE).is_file():
        add_density(page, load_density(run_dir / RUN_FILE), open_poses(cfg.data, cfg.seed, run_dir.parent / DRAWN))
    page.heading("Config")
    page.code(dump_yaml(cfg))
    page.heading("Environment")
    page.code(environment())
    return page.write(run_dir / "report.html")


def add_figures(page: Report, name: str, metrics: Mapping[str, float]) -> None:
    """The run's measures on held-out people, each beside what to hold it against."""
    for title, (header, cells) in tables({name: dict(metrics)}).items():
        if cells:
            page.heading(title)
            page.table(header, cells)


def add_density(page: Report, density: PoseDensity, sets: PoseSets) -> None:
    """Samples, held-out people, joints and latent directions of the trained density."""
    density.eval()
    page.heading("Samples")
    page.image(scored_samples(density), "Drawn from the prior, with their nats per dimension.")
    some = sets.val[evenly(len(sets.val), 6)]
    page.image(
        pose_sheet(density, some, [f"held out {i + 1}" for i in range(len(some))], 6), "Held-out poses, to compare."
    )
    found = joint_nats(density, sets.val)
    if found is not None:
        page.heading("By joint")
        page.image(joint_bars(density.space.joints, found), "Held-out nats of each joint, given the joints before it.")
    page.heading("Latent directions")
    page.image(
        traversals(density, sets.train[evenly(len(sets.train), SCORED)]),
        "The directions of the latent that move the pose most, about the mean latent of the training poses.",
    )
    page.heading("Space")
    space = density.space
    page.text(
        f"{space.dim} dimensions of {len(space.joints)} joints, about each joint's mean rotation; directions that vary by less "
        f"than {space.resolution:g} rad in the training poses are left out."
    )
    for note in (*space.dropped, *density.notes):
        page.text(f"· {note}")


def joint_nats(density: PoseDensity, poses: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Mean held-out nats (C,) of each joint, at the space's resolution; None for a density without such factors."""
    space, generator = density.space, torch.Generator().manual_seed(0)
    x = space.to_coordinates(torch.from_numpy(poses[evenly(len(poses), SCORED)]))
    with torch.no_grad():
        found = density.joint_log_prob(space.to_pose(space.perturb(x, space.resolution, generator)))
    return None if found is None else -found.double().mean(0).cpu().numpy()


def joint_bars(names: tuple[str, ...], nats: NDArray[np.float64]) -> bytes:
    """One bar a joint, from the least to the most likely; PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    order = np.argsort(nats)
    figure = Figure(figsize=(8.4, 0.23 * len(names) + 0.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axis: Any = figure.subplots()
    axis.barh([names[i].replace("_", " ") for i in order], nats[order], color="#0b6bcb", height=0.7)
    axis.set_xlabel("nats")
    axis.axvline(0, color="#5b6875", lw=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

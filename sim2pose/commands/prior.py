"""``sim2pose prior sample|complete|score|compare``: what pose priors are good for, and how good they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import Field, field_validator

from ..config import Config, load_config
from . import split, table, write_json

app = typer.Typer(no_args_is_help=True, help="Pose priors: draw poses, complete them, find implausible ones, compare.")

NAME = "NAME"
"""A run folder, a .safetensors file, or a shipped mixture (open-person, open-infant)."""


class SampleConfig(Config):
    """What is drawn."""

    out: Path = Field(Path("poses.npz"), description="pose file to write; a sheet of bodies lies beside it")
    count: int = Field(100, ge=1, description="poses")
    seed: int = Field(0, ge=0)
    body: str = Field("", description="body that is posed; without: open-person, or open-infant for its own prior")
    sheet: int = Field(40, ge=0, description="bodies drawn; 0: no picture")


class CompleteConfig(Config):
    """What is completed."""

    missing: tuple[str, ...] = Field(
        description="joints or groups to fill in: left_arm, right_leg, arms, legs, hands, trunk, left_elbow, ..."
    )
    out: Path = Field(Path("completed.npz"), description="pose file to write; a picture lies beside it")
    count: int | None = Field(None, ge=1, description="completions of each pose; without: 10, of a mixture 1")
    seed: int = Field(0, ge=0)
    body: str = Field("", description="body that is drawn; without: that of the poses")
    picture: bool = Field(True, description="draw some poses with their completions")

    @field_validator("missing", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        """One word is a list of one."""
        return [given] if isinstance(given, str) else given


class ScoreConfig(Config):
    """When a pose is implausible."""

    out: Path = Field(Path("scores"), description="folder for scores.csv, scores.json and worst.png")
    quantile: float = Field(
        0.995, gt=0.0, lt=1.0, description="of the training poses' scores; beyond it is implausible"
    )
    lost: float = Field(
        25.0, gt=0.0, description="degrees that a joint may turn in directions that the prior has never seen move"
    )
    sheet: int = Field(24, ge=0, description="of the worst, drawn; 0: no picture")


class CompareConfig(Config):
    """On which poses priors are compared."""

    data: tuple[str, ...] = Field(
        description="pose files, folders, patterns: those of the training and the held-out ones"
    )
    by: Literal["subject", "take"] = Field("subject", description="what is held out as a whole")
    val: tuple[str, ...] = Field(("11",), description="held-out subjects (numbers have two digits: 2 is 02) or takes")
    fps: float | None = Field(30.0, gt=0.0, description="rate to which takes are thinned")
    out: Path = Field(Path("priors"), description="folder for compare.html, compare.md and compare.json")
    body: str = Field("open-person", description="body whose joints are measured")
    quick: bool = Field(False, description="fewer poses, one noise, no fits")
    seed: int = Field(0, ge=0)

    @field_validator("data", "val", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        """One word is a list of one; YAML reads subjects such as 02 as numbers."""
        listed = given if isinstance(given, list | tuple) else [given]
        return [f"{word:02d}" if isinstance(word, int) else word for word in listed]


@app.command("sample")
def sample(items: Annotated[list[str], typer.Argument(metavar="NAME out=poses.npz count=100 seed=0")]) -> None:
    """Draw poses: a pose file (which the farm and every preview take) and a sheet of dressed bodies."""
    from ..trainers.priors import jobs

    (name,), overrides = split(items, (NAME,))
    told = load_config(SampleConfig, None, overrides)
    out, sheet = jobs.sample(name, told.out, told.count, told.seed, told.body, min(told.sheet, told.count))
    print(f"wrote {told.count} poses to {out}" + (f"\nsheet    {sheet}" if sheet else ""))


@app.command("complete")
def complete(
    items: Annotated[list[str], typer.Argument(metavar="NAME POSES missing=[left_arm] count=10 out=completed.npz")],
) -> None:
    """Fill in joints of a file's poses from the others. Densities draw; shipped mixtures give their expectation."""
    from ..trainers.priors import jobs

    (name, file), overrides = split(items, (NAME, "POSES"))
    told = load_config(CompleteConfig, None, overrides)
    made, sheet = jobs.complete(
        name, Path(file), told.missing, told.out, told.count, told.seed, told.body, told.picture
    )
    print(f"wrote {len(made)} poses to {told.out}" + (f"\npicture  {sheet}" if sheet else ""))


@app.command("score")
def score(
    items: Annotated[list[str], typer.Argument(metavar="NAME FRAMES_OR_POSES out=scores quantile=0.995")],
    json_file: Annotated[Path | None, typer.Option("--json", help="write counts and threshold to this file")] = None,
) -> None:
    """Find implausible poses in a frames folder or a pose file: score of each, and the joints that are to blame."""
    from ..trainers.priors import jobs

    (name, path), overrides = split(items, (NAME, "FRAMES_OR_POSES"))
    told = load_config(ScoreConfig, None, overrides)
    found = jobs.score(name, Path(path), told.out, told.quantile, told.lost, told.sheet)
    worst = [
        (one.person.id, one.nats_per_dim, f"{one.deviation:.1f}", f"{one.lost_deg:.1f}", ", ".join(one.joints))
        for one in found.flagged[:12]
    ]
    if worst:
        print(table(worst, ("person", "nats/dim", "joint sd", "unknown °", "joints")) + "\n")
    left_out = "".join(f", left out: {count} {reason}" for reason, count in found.people.left_out.items())
    total, limits = len(found.verdicts), found.limits
    print(
        f"{len(found.flagged)} of {total} poses implausible "
        f"(beyond {limits.nats_per_dim:.3f} nats/dim, {limits.deviation:.1f} sd of a joint, or {limits.lost_deg:g} ° in "
        f"directions unknown to it; limits from {limits.source}){left_out}"
    )
    if found.people.lacking:
        print(f"not in this data, taken at the prior's mean: {', '.join(found.people.lacking)}")
    print(f"scores   {found.files[0]}")
    write_json(
        json_file,
        {"people": total, "implausible": len(found.flagged), "limits": vars(limits)},
    )


@app.command("compare")
def compare(
    items: Annotated[list[str], typer.Argument(metavar="NAME… data=[motion] val=[11]")],
    json_file: Annotated[Path | None, typer.Option("--json", help="write the figures to this file too")] = None,
) -> None:
    """Measure trained priors on held-out poses, side by side: likelihood, samples, denoising, completion, fits."""
    names, overrides = split(items, (f"{NAME}…",))
    told = load_config(CompareConfig, None, overrides)
    from ..trainers.priors.comparison import compare as run

    done = run(names, told.data, told.by, told.val, told.fps, told.out, told.body, told.quick, told.seed)
    print(table(done.rows, done.header))
    print(f"\npage     {done.page}\ntable    {done.markdown}")
    write_json(json_file, done.figures)

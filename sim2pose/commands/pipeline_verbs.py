"""The verbs that a pipeline's steps may be: how each is called, what its product is and what that depends on."""

from __future__ import annotations

from pydantic import BaseModel

from ..cluster.pipeline.verbs import Verb
from ..config import Config, load_config
from . import pipeline_facts as facts

BODIES = ("models/bodies", "models/joints", "models/geometry.py", "models/turns.py")
FRAMES = (
    "datasets/frames.py",
    "datasets/tables.py",
    "datasets/manifest.py",
    "datasets/publish.py",
    "datasets/masks.py",
)
DRAWING = tuple(f"render_farm/{room}" for room in ("*.py", "kinds", "labels", "looks", "poses", "renderers", "scenes"))
TRAINING = ("models", "datasets", "trainers")
SHARDS = ("_manifest.json", "**/*.parquet", "part-*/_part.json")


class NoKeys(Config):
    """Of verbs without keys."""


# ── configs, as the commands resolve them


def _fit(preset: str | None, keys: list[str]) -> BaseModel:
    from ..render_farm.fit.job import FitJobConfig

    return load_config(FitJobConfig, preset or "fit", keys)


def _render(preset: str | None, keys: list[str]) -> BaseModel:
    from ..render_farm.kinds.registry import load_render_config

    return load_render_config(preset, keys)


def _train(preset: str | None, keys: list[str]) -> BaseModel:
    from ..trainers.recipes import load_run

    config = load_run(str(preset), keys)
    config.require_data()
    return config


def _tune(preset: str | None, keys: list[str]) -> BaseModel:
    from ..tune.config import load_sweep

    return load_sweep(str(preset), keys)


def _evaluate(preset: str | None, keys: list[str]) -> BaseModel:
    from ..cluster.evaluations import EvaluateConfig

    return load_config(EvaluateConfig, None, keys)


def _registry(preset: str | None, keys: list[str]) -> BaseModel:
    from .models import RegistryConfig

    return load_config(RegistryConfig, None, keys)


def _data(name: str, preset: str | None, keys: list[str]) -> BaseModel:
    from . import data

    return load_config(getattr(data, name), None, keys)


def _prior(name: str, preset: str | None, keys: list[str]) -> BaseModel:
    from . import prior

    return load_config(getattr(prior, name), None, keys)


VERBS: dict[str, Verb] = {
    "fit": Verb(
        command=("fit", "{args}", "out={dir}", "{with}"),
        places=("INPUT", "[PRESET]"),
        load=_fit,
        code=(*BODIES, "models/priors", "datasets", "render_farm/fit", "render_farm/poses"),
        product=("poses.npz", "fits.json"),
        outputs={"out": "{dir}", "poses": "{dir}/poses.npz"},
        ignored=("out", "device", "threads", "overlays", "sheet"),
        paths=("images",),
        facts=facts.fit,
        page=("contact_sheet.png",),
    ),
    "render": Verb(
        command=("render", "{args}", "out={dir}", "{with}", "{flags}"),
        places=("PRESET",),
        load=_render,
        code=(*BODIES, "models/priors", "datasets/poses.py", *FRAMES, *DRAWING),
        product=SHARDS,
        ignored=("out", "workers", "deadline_s", "max_attempts", "max_quarantine"),
        flags={"address": False, "gpus-per-worker": False},
        again="same",
        facts=facts.frames,
    ),
    "data import coco": Verb(
        command=("data", "import", "coco", "{args}", "{dir}/frames", "{with}"),
        places=("INPUT", "INPUT"),
        load=lambda preset, keys: _data("ImportConfig", preset, keys),
        code=("models/joints", *FRAMES, "datasets/coco.py", "datasets/coco_fields.py"),
        product=tuple(f"{part}/{file}" for part in ("frames", "frames_test") for file in SHARDS),
        outputs={"out": "{dir}/frames", "test": "{dir}/frames_test"},
        ignored=(),
        facts=facts.imported,
    ),
    "data import motion": Verb(
        command=("data", "import", "motion", "{args}", "{dir}", "{with}"),
        places=("INPUT",),
        load=lambda preset, keys: _data("MotionConfig", preset, keys),
        code=(*BODIES, "datasets/mocap", "datasets/poses.py"),
        product=("*.npz", "*.parquet", "summary.json"),
        ignored=("preview",),
        paths=("names", "asf", "body"),
    ),
    "data export coco": Verb(
        command=("data", "export", "coco", "{args}", "{dir}", "{with}"),
        places=("INPUT",),
        load=lambda preset, keys: _data("ExportConfig", preset, keys),
        code=("datasets/coco_export.py", *FRAMES),
        product=("annotations.json", "images/**/*"),
        ignored=(),
    ),
    "data audit": Verb(
        command=("data", "audit", "{args}", "--out={dir}/audit.html", "--json={dir}/audit.json", "{with}", "{flags}"),
        places=("INPUT",),
        load=lambda preset, keys: _data("LookConfig", preset, keys),
        code=(*BODIES, "datasets", "render_farm/audit", "render_farm/labels"),
        product=("audit.html", "audit.json"),
        ignored=(),
        flags={"against": True, "frames": True},
        facts=facts.audit,
        page=("audit.html",),
    ),
    "train": Verb(
        command=("train", "{args}", "out={out}", "name={label}", "tracking.uri={uri}", "{with}"),
        places=("PRESET",),
        load=_train,
        code=TRAINING,
        product=("config.yaml", "done.json", "best.json", "checkpoints/*/*"),
        ignored=(
            *("out", "name", "runtime", "workers", "device", "threads", "max_failures", "log_every", "tracking"),
            "data.loader_workers",
        ),
        paths=("data.source", "data.target", "data.val", "data.train", "init_from", "model.weights"),
        again="--resume",
        facts=facts.train,
        page=("report.html",),
    ),
    "tune": Verb(
        command=("tune", "{args}", "out={dir}", "{with}"),
        places=("PRESET",),
        load=_tune,
        code=(*TRAINING, "tune"),
        product=("sweep.json",),
        ignored=("out", "concurrent", "cpus", "gpus", "max_failures"),
        paths=("fixed",),
        again="same",
        page=("sweep.html", "report.html"),
    ),
    "evaluate": Verb(
        command=("evaluate", "{args}", "uri={uri}", "--json={dir}/figures.json", "{with}", "{flags}"),
        places=("INPUT", "INPUT"),
        load=_evaluate,
        code=(*TRAINING, "cluster/evaluations.py"),
        product=("figures.json",),
        outputs={"out": "{dir}/figures.json"},
        ignored=("uri", "device", "batch"),
        paths=("images", "detections"),
        flags={"per-keypoint": False},
        facts=facts.evaluate,
    ),
    "analyse": Verb(
        command=("analyse", "{args}", "--out={dir}/analysis.html", "--json={dir}/analysis.json", "{flags}"),
        places=("INPUT…",),
        load=lambda preset, keys: load_config(NoKeys, None, keys),
        code=TRAINING,
        product=("analysis.html", "analysis.json"),
        ignored=(),
        flags={"people": True},
        page=("analysis.html",),
    ),
    # Acts on the registry, for good: a change of our sources is no reason to do it again.
    "models register": Verb(
        command=("models", "register", "{args}", "uri={uri}", "{with}"),
        places=("INPUT",),
        load=_registry,
        code=(),
        product=("version.json",),
        outputs={"out": ("version.json", "reference"), "name": ("version.json", "name")},
        ignored=(),
        settle=facts.registered,
        facts=facts.of_json("version.json", "reference"),
    ),
    "models promote": Verb(
        command=("models", "promote", "{args}", "uri={uri}", "{with}"),
        places=("NAME",),
        load=_registry,
        code=(),
        product=("decision.json",),
        ignored=(),
        outcomes={1: facts.DECIDED},
        settle=facts.decided,
        facts=facts.of_json("decision.json", "decision"),
    ),
    "prior sample": Verb(
        command=("prior", "sample", "{args}", "out={dir}/poses.npz", "{with}"),
        places=("INPUT",),
        load=lambda preset, keys: _prior("SampleConfig", preset, keys),
        code=(*BODIES, "models/priors", "trainers/priors"),
        product=("poses.npz",),
        outputs={"out": "{dir}/poses.npz"},
        page=("*.png", "*.jpg"),
    ),
    "prior complete": Verb(
        command=("prior", "complete", "{args}", "out={dir}/poses.npz", "{with}"),
        places=("INPUT", "INPUT"),
        load=lambda preset, keys: _prior("CompleteConfig", preset, keys),
        code=(*BODIES, "models/priors", "trainers/priors"),
        product=("poses.npz",),
        outputs={"out": "{dir}/poses.npz"},
        page=("*.png", "*.jpg"),
    ),
    "prior score": Verb(
        command=("prior", "score", "{args}", "out={dir}", "--json={dir}/counts.json", "{with}"),
        places=("INPUT", "INPUT"),
        load=lambda preset, keys: _prior("ScoreConfig", preset, keys),
        code=(*BODIES, "models/priors", "trainers/priors"),
        product=("scores.csv", "counts.json"),
        facts=facts.of_json("counts.json", "people", "implausible"),
        page=("worst.png",),
    ),
    "prior compare": Verb(
        command=("prior", "compare", "{args}", "out={dir}", "--json={dir}/figures.json", "{with}"),
        places=("INPUT…",),
        load=lambda preset, keys: _prior("CompareConfig", preset, keys),
        code=(*BODIES, "models/priors", "trainers/priors"),
        product=("figures.json", "compare.json"),
        paths=("data",),
        page=("compare.html",),
    ),
}

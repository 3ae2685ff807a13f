"""The bench of the renderers: stages add up, wrapping leaves no trace, every item of realism is a valid job."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sim2pose.benchmarks import realism, render, stages
from sim2pose.config import UserError
from sim2pose.render_farm.kinds.registry import KINDS, load_render_config
from sim2pose.render_farm.renderers import raycast


def test_a_stage_does_not_count_the_stages_within_it() -> None:
    seconds: dict[str, float] = {}
    running = [0.0]

    def burn() -> None:
        end = time.process_time() + 0.03
        while time.process_time() < end:
            pass

    inner = stages._timed(burn, "inner", seconds, running)

    def both() -> None:
        inner()
        burn()

    stages._timed(both, "outer", seconds, running)()
    assert seconds["inner"] == pytest.approx(0.03, abs=0.02)
    assert seconds["outer"] == pytest.approx(0.03, abs=0.02)
    assert running[0] == pytest.approx(seconds["inner"] + seconds["outer"])


def test_profiling_covers_the_pipeline_and_leaves_no_trace(tmp_path: Path) -> None:
    before = raycast.prepare
    job = load_render_config("infant", {"frames": 32, "width": 32, "height": 32, "renderer": "raycast", "depth": True})
    times = stages.profile(render.Pipeline(job, tmp_path / "job"))
    assert raycast.prepare is before
    rows = {name: milliseconds for name, milliseconds, _ in times.table(32)}
    for stage in ("sampling: body forward", "normals, vertex light", "cast", "labels", "JPEG", "Parquet"):
        assert rows[stage] > 0, stage
    assert rows["everything else"] <= 0.2 * rows["all"], "a stage is missing from the table"


@pytest.mark.parametrize("place", [place for places in stages.STAGES.values() for place in places])
def test_every_stage_names_functions_that_are_there(place: str) -> None:
    owner, name, original = stages.find(place)
    assert callable(original)
    assert getattr(owner, name) is original


SMALL = {
    "person": {"scene": {"looks": {"outfits": 10, "heads": 10}, "places": {"pool": 4}}},
    "hand": {"scene": {"skin": {"pool": 4, "texture": 256}}},
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_passes_through_all_stages_of_sampling(kind: str) -> None:
    sampler = KINDS[kind].sampler(load_render_config(kind, SMALL.get(kind, {})))
    times = stages.profile(lambda: sampler.scenes(0))
    missing = {stage for stage in stages.STAGES if stage.startswith("sampling")} - set(times.seconds)
    assert not missing
    assert sum(times.seconds.values()) >= 0.99 * times.total


@pytest.mark.parametrize("place", ["kinds.nowhere:nothing", "labels:nothing", "kinds.frames:SceneFrames.nothing"])
def test_a_stage_that_has_moved_is_named(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stages.STAGES, "moved", (place,))
    original = raycast.prepare
    with pytest.raises(LookupError, match=place):
        stages.profile(lambda: None)
    assert raycast.prepare is original


def test_errors_of_the_work_pass_through() -> None:
    with pytest.raises(UserError, match="broken"):
        stages.profile(_broken)


def _broken() -> None:
    raise UserError("broken")


@pytest.mark.parametrize("item", list(realism.ITEMS))
def test_every_item_of_realism_is_a_job_that_differs(item: str, tmp_path: Path) -> None:
    off, on = (load_render_config("infant", words) for words in realism.overrides(item, tmp_path))
    assert off != on


def test_the_drawn_panorama_lights_a_scene(tmp_path: Path) -> None:
    realism.draw_panorama(tmp_path / "panoramas")
    _, words = realism.overrides(realism.PANORAMA, tmp_path / "panoramas")
    config = load_render_config("infant", words)
    assert all(scene.lights.environment is not None for scene in KINDS["infant"].sampler(config).scenes(0))


def test_unknown_backends_are_named() -> None:
    with pytest.raises(UserError, match="unknown backends \\['opengel'\\]"):
        render.run(render.BenchConfig(backends=("opengel",)))

"""What is made is not made again, what changed is, failures and kills lose nothing: with a program that costs nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sim2pose.cluster.pipeline import children
from sim2pose.cluster.pipeline.config import PipelineConfig
from sim2pose.cluster.pipeline.dry_run import foresee
from sim2pose.cluster.pipeline.page import rows, write_page
from sim2pose.cluster.pipeline.run import run_pipeline
from sim2pose.cluster.pipeline.state import Result
from sim2pose.config import UserError
from sim2pose.datasets.locks import driver_lock

from .conftest import VERBS, chain, pipeline, runs

pytestmark = pytest.mark.usefixtures("program")


def states(result: Result) -> dict[str, str]:
    return {name: outcome.state for name, outcome in result.outcomes.items()}


def run(config: PipelineConfig, **options: str) -> Result:
    return run_pipeline(config, VERBS, **options)


def test_each_step_is_made_once_and_again_only_if_what_it_uses_changed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert set(states(run(chain(out))).values()) == {"made"}
    assert (out / "latest" / "third" / "product.txt").read_text() == "abc"
    assert sorted(runs(out)) == ["aside fresh", "first fresh", "second fresh", "third fresh"]

    assert set(states(run(chain(out))).values()) == {"unchanged"}
    assert runs(out) == []

    result = run(chain(out, keys={"second": {"text": "x"}}))
    assert runs(out) == ["second fresh", "third fresh"]
    assert result.outcomes["second"].reasons == ["text b → x"]
    assert result.outcomes["third"].reasons == ["'second' changed"]
    assert (out / "latest" / "third" / "product.txt").read_text() == "axc"

    run(chain(out))  # back again: the former products are still there
    assert runs(out) == [] and (out / "latest" / "third" / "product.txt").read_text() == "abc"

    run(chain(out, keys={"second": {"sleep": 0.01}}))  # changes how it runs, not what comes out
    assert runs(out) == []


def test_content_of_files_counts_not_their_place(tmp_path: Path) -> None:
    out, given = tmp_path / "out", tmp_path / "given.txt"
    given.write_text("1")
    run(chain(out, keys={"first": {"from": str(given)}}))
    assert len(runs(out)) == 4
    given.rename(tmp_path / "moved.txt")
    run(chain(out, keys={"first": {"from": str(tmp_path / "moved.txt")}}))
    assert runs(out) == []
    (tmp_path / "moved.txt").write_text("2")
    result = run(chain(out, keys={"first": {"from": str(tmp_path / "moved.txt")}}))
    assert runs(out) == ["first fresh", "second fresh", "third fresh"]
    assert result.outcomes["first"].reasons == ["the content of from_ changed"]
    (tmp_path / "moved.txt").write_text("3")
    result = run(chain(out, keys={"first": {"from": str(tmp_path / "moved.txt")}}))
    assert result.outcomes["first"].reasons == [f"content of {tmp_path / 'moved.txt'} changed"]


def test_a_changed_product_is_noticed_set_aside_and_made_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(chain(out))
    runs(out)
    (out / "latest" / "first" / "product.txt").write_text("edited by hand")
    seen = {name: verdict for name, verdict, _ in foresee(chain(out), VERBS)}
    assert seen["first"] == "its product was changed after it was made: product.txt"
    assert seen["second"] == "unchanged if 'first' comes out as it was" and seen["aside"] == "unchanged"
    assert run(chain(out)).outcomes["second"].state == "unchanged", "it came out as it was"
    assert runs(out) == ["first fresh"]
    (aside,) = out.glob("first-*.old1")
    assert (aside / "product.txt").read_text() == "edited by hand"

    (out / "latest" / "third" / "product.txt").unlink()
    assert states(run(chain(out)))["third"] == "made"


def test_a_product_that_came_out_otherwise_makes_its_users_anew(tmp_path: Path, program: Path) -> None:
    out = tmp_path / "out"
    run(chain(out))
    runs(out)
    program.write_text(program.read_text().replace("before + given", 'before + "!" + given'))
    result = run(chain(out), begin="second")
    assert runs(out) == ["second fresh", "third fresh"]
    assert result.outcomes["second"].reasons == ["asked for by --from"]
    (out / "latest" / "first" / "product.txt").unlink()
    result = run(chain(out))
    assert result.outcomes["second"].reasons == ["'first' came out otherwise when it was made again"]
    assert (out / "latest" / "third" / "product.txt").read_text() == "!a!b!c"


def test_a_failure_stops_only_what_uses_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    result = run(chain(out, keys={"second": {"fail": True}}))
    assert states(result) == {"first": "made", "second": "failed", "third": "left out", "aside": "made"}
    assert not result.whole and result.outcomes["second"].reasons == ["error: there is no more paper"]
    said = capsys.readouterr().out
    assert "│ error: there is no more paper" in said and "log     " in said and "same command again" in said
    page = write_page(result).read_text()
    assert "second failed: error: there is no more paper" in page and "third left out" in page
    assert ("third", "left out", None, "'second' was not made") in rows(result)
    runs(out)
    assert run(chain(out)).whole
    assert runs(out) == ["second fresh", "third fresh"], "what was begun and did not finish is cleared away"


def test_an_exit_code_may_be_an_outcome_and_a_product_may_need_completing(tmp_path: Path) -> None:
    def complete(folder: Path, words: list[str]) -> bool:
        if "text=lost" in words:
            raise UserError("the registry is away")
        return bool((folder / "product.txt").write_text("settled"))

    decide = replace(VERBS["write"], outcomes={1: "no more paper"}, settle=complete)
    steps = {
        "decided": {"verb": "decide", "with": {"fail": True}},
        "lost": {"verb": "decide", "with": {"text": "lost"}},
        "failed": {"verb": "write", "with": {"fail": True}},
    }
    result = run_pipeline(pipeline(tmp_path / "out", steps), {**VERBS, "decide": decide})
    assert states(result) == {"decided": "made", "lost": "failed", "failed": "failed"}
    assert result.outcomes["lost"].reasons == ["the registry is away"]
    record = tmp_path / "out" / "latest" / "decided" / "step.json"
    record.rename(record.with_name("gone"))  # as if killed between the end of the command and this
    product = result.plan.steps["decided"].product
    product.mark.write_text(json.dumps({"pid": 1, "started": 0.0}))
    runs(tmp_path / "out")
    run_pipeline(pipeline(tmp_path / "out", steps), {**VERBS, "decide": decide}, only="decided")
    assert record.exists() and runs(tmp_path / "out") == [], "what was done is not done twice"


def test_only_one_step(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"'second' uses 'first', which must be made first \(not made yet\)"):
        run(chain(out), only="second")
    run(chain(out), only="first")
    result = run(chain(out), only="second")
    assert states(result) == {
        "first": "unchanged",
        "second": "made",
        "third": "not asked for",
        "aside": "not asked for",
    }
    with pytest.raises(UserError, match="--from: no step 'thrd': did you mean 'third'"):
        run(chain(out), begin="thrd")


def test_independent_steps_run_side_by_side(tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = {name: {"verb": "write", "with": {"text": name, "sleep": 0.6}} for name in ("a", "b")}
    run(pipeline(out, steps, jobs=2))
    words = [line.split()[:2] for line in (out / "runs.txt").read_text().splitlines()]
    assert [word[1] for word in words] == ["fresh", "fresh", "ended", "ended"]


def test_two_runs_on_one_folder(tmp_path: Path) -> None:
    with driver_lock(tmp_path / "out"), pytest.raises(UserError, match="is in use by pid"):
        run(chain(tmp_path / "out"))


DRIVER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from sim2pose.cluster.pipeline import children
from sim2pose.cluster.pipeline.run import run_pipeline
from conftest import VERBS, pipeline
children.PROGRAM = (sys.executable, "-S", {program!r})
steps = {{"slow": {{"verb": "append", "with": {{"text": "s", "sleep": {sleep}}}}}}}
run_pipeline(pipeline(Path({out!r}), steps), VERBS)
"""


def start_driver(out: Path, program: Path, sleep: float) -> tuple[subprocess.Popen[str], int]:
    """A pipeline in a process of its own, and the pid of its step, which has begun."""
    code = DRIVER.format(tests=str(Path(__file__).parent), program=str(program), sleep=sleep, out=str(out))
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (out / "runs.txt").exists() or not list((out / ".pipeline").glob("slow-*.json")):
        assert driver.poll() is None and time.monotonic() < until, driver.communicate()
        time.sleep(0.02)
    (mark,) = (out / ".pipeline").glob("slow-*.json")
    return driver, int(json.loads(mark.read_text())["pid"])


def slow(out: Path, sleep: float = 0.0) -> PipelineConfig:
    return pipeline(out, {"slow": {"verb": "append", "with": {"text": "s", "sleep": sleep}}})


def test_a_killed_pipeline_goes_on_with_the_step_it_was_at(tmp_path: Path, program: Path) -> None:
    out = tmp_path / "out"
    driver, pid = start_driver(out, program, sleep=60)
    driver.kill()
    driver.communicate()
    os.kill(pid, signal.SIGKILL)
    result = run(slow(out))
    assert result.outcomes["slow"].reasons == ["was not finished"]
    assert runs(out) == ["slow fresh", "slow resumed"], "the second process found what the first one left"


def test_a_step_that_outlives_its_pipeline_is_waited_for(
    tmp_path: Path, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    driver, pid = start_driver(out, program, sleep=3)
    driver.kill()
    driver.communicate()
    assert run(slow(out)).whole
    said = (out / "runs.txt").read_text().splitlines()
    assert [line.split()[1] for line in said] == ["fresh", "ended", "resumed", "ended"], "never two at a time"
    assert f"pid {pid} of a pipeline that was killed still makes it" in capsys.readouterr().out


def test_sigterm_ends_the_step_too(tmp_path: Path, program: Path) -> None:
    driver, pid = start_driver(tmp_path / "out", program, sleep=60)
    driver.terminate()
    said, _ = driver.communicate(timeout=30)
    assert "ending slow; the same command goes on from there" in said
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_child_that_ignores_ctrl_c_is_ended_all_the_same(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "GRACE_S", (0.2, 0.2))
    program.write_text("import signal, sys\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\n" + program.read_text())
    out = tmp_path / "out"
    waiting = threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        run(slow(out, sleep=60))
    (mark,) = (out / ".pipeline").glob("slow-*.json")
    with pytest.raises(ProcessLookupError):
        os.kill(json.loads(mark.read_text())["pid"], 0)


def test_a_path_left_empty_is_not_the_folder_one_works_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(chain(tmp_path / "out"))
    (tmp_path / "unrelated.txt").write_text("x")
    assert set(states(run(chain(tmp_path / "out"))).values()) == {"unchanged"}

"""The file of metrics: whole lines, and back to where a run goes on."""

from pathlib import Path

from sim2pose.trainers.events import EventLog, drop_after, read_events


def test_events_are_whole_lines_and_drop_back_on_resume(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 0)
    for step in (1, 2, 3):
        log.write(step, {"loss": step / 2})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "ti')  # killed while writing
    assert [e["step"] for e in read_events(tmp_path)] == [1, 2, 3]
    EventLog(tmp_path, 2).write(3, {"loss": 9.0})
    assert [(e["step"], e["metrics"]["loss"]) for e in read_events(tmp_path)] == [(1, 0.5), (2, 1.0), (3, 9.0)]
    EventLog(tmp_path, 3, enabled=False).write(4, {"loss": 1.0})
    assert len(read_events(tmp_path)) == 3
    drop_after(tmp_path / "absent.jsonl", 0)

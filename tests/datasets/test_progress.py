"""Progress: lines where there is no terminal, a bar that messages do not tear where there is one."""

from __future__ import annotations

from io import StringIO

import pytest

from sim2pose.datasets.progress import Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim2pose.datasets.progress.LINE_EVERY_S", 0.0)
    stream = StringIO()
    progress = Progress("render", 100, 20, "frame", stream=stream)
    progress.advance(40)
    progress.say("hello")
    progress.note("loss 0.5")
    progress.advance(40)
    progress.close()
    first, second, last = stream.getvalue().splitlines()
    assert first.startswith("render: 60/100 frames, ")
    assert " frames/s, " in first and first.endswith(" s left")
    assert second == "hello"
    assert last.startswith("render: 100/100 frames, ") and last.endswith(", loss 0.5")
    assert "\r" not in stream.getvalue()


def test_the_last_line_stands_once_and_with_the_last_note() -> None:
    stream = StringIO()
    progress = Progress("run", 8, 8, "step", stream=stream)
    progress.close()
    progress.close()
    assert stream.getvalue() == "run: 8/8 steps, 0.0 steps/s\n"
    progress.note("loss 0.25")
    progress.close()
    assert stream.getvalue().splitlines()[1:] == ["run: 8/8 steps, 0.0 steps/s, loss 0.25"]


def test_hidden_progress_counts_and_says_nothing() -> None:
    stream = Terminal()
    progress = Progress("run", 8, 2, "step", show=False, stream=stream)
    progress.advance(3)
    progress.advance(-1)
    progress.say("hello")
    progress.close()
    assert progress.done == 4
    assert stream.getvalue() == ""


def test_messages_do_not_tear_the_bar() -> None:
    stream = Terminal()
    progress = Progress("run", 8, 2, "step", stream=stream)
    progress.note("loss 0.5")
    progress.say("hello")
    progress.advance(6)
    progress.close()
    assert "hello\n" in stream.getvalue()
    assert "8/8" in stream.getvalue().splitlines()[-1]

"""Pipelines of verbs that cost nothing: a small program stands for the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from sim2pose.cluster.pipeline import children
from sim2pose.cluster.pipeline.config import PipelineConfig
from sim2pose.cluster.pipeline.verbs import Verb
from sim2pose.config import Config, load_config, validate

# out=DIR text=… from=FILE fail=true sleep=S: writes DIR/product.txt and counts its runs in DIR/../runs.txt
PROGRAM = """
import os, sys, time
from pathlib import Path
given = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
out = Path(given["out"])
with (out.parent / "runs.txt").open("a") as file:
    file.write(f"{out.name.rsplit('-', 1)[0]} {'resumed' if (out / 'half').exists() else 'fresh'} {time.time()}\\n")
(out / "half").touch()
time.sleep(float(given.get("sleep", 0)))
if given.get("fail") == "true":
    sys.exit("error: there is no more paper")
before = Path(given["from"]).read_text() if given.get("from") else ""
(out / "product.txt").write_text(before + given.get("text", ""))
with (out.parent / "runs.txt").open("a") as file:
    file.write(f"{out.name.rsplit('-', 1)[0]} ended {time.time()}\\n")
"""


class WriteConfig(Config):
    """Keys of the program."""

    out: Path
    text: str = ""
    from_: str = ""
    fail: bool = False
    sleep: float = 0.0


def load(preset: str | None, keys: list[str]) -> WriteConfig:
    """The key is called ``from`` on the command line."""
    return load_config(WriteConfig, None, [key.replace("from=", "from_=") for key in keys])


def verb(again: str = "fresh") -> Verb:
    return Verb(
        command=("write", "out={dir}", "{with}"),
        places=(),
        load=load,
        code=(),
        product=("product.txt",),
        outputs={"out": "{dir}/product.txt"},
        ignored=("out", "sleep", "fail"),
        paths=("from_",),
        again=again,  # type: ignore[arg-type]
    )


VERBS = {"write": verb(), "append": verb("same")}


def pipeline(out: Path, steps: dict[str, Any], **more: Any) -> PipelineConfig:
    return validate(PipelineConfig, {"out": out, "steps": steps, **more})


def chain(out: Path, text: str = "a", **more: Any) -> PipelineConfig:
    """first → second → third, and aside that uses nothing."""
    steps = {
        "first": {"verb": "write", "with": {"text": text}},
        "second": {"verb": "write", "with": {"from": "${first.out}", "text": "b"}},
        "third": {"verb": "write", "with": {"from": "${second.out}", "text": "c"}},
        "aside": {"verb": "write", "with": {"text": "z"}},
    }
    for name, values in more.pop("keys", {}).items():
        steps[name]["with"] = {**steps[name]["with"], **values}  # type: ignore[dict-item]
    return pipeline(out, steps, **more)


def runs(out: Path) -> list[str]:
    """What the program noted, without times; emptied."""
    file = out / "runs.txt"
    lines = [line.rsplit(" ", 1)[0] for line in file.read_text().splitlines()] if file.exists() else []
    file.unlink(missing_ok=True)
    return [line for line in lines if not line.endswith("ended")]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    monkeypatch.setattr(children, "PROGRAM", (sys.executable, "-S", str(file)))
    return file

"""``sim2pose bench shift``: render, train what is missing, tabulate, report."""

from __future__ import annotations

from ...trainers.checkpoints import write_json
from .config import BenchConfig
from .domains import render_domains
from .execute import check, execute
from .plan import part, wanted
from .report import markdown, write_report
from .results import Line, tabulate


def run(config: BenchConfig) -> list[Line]:
    """Do this part of the benchmark and write ``shift.json``, ``shift.md`` and ``shift.html`` of all that is there.

    Raises:
        UserError: if frames or runs in ``out`` were made with other settings (names what differs).
    """
    runs = part(config)
    for one in runs:
        check(config, one)  # whatever is wrong with a setting is said before hours of work
    render_domains(config.out.resolve(), config.severities, config.frames)
    if not config.only_table:
        print(
            f"{len(wanted(config))} runs wanted, {len(runs)} in this part (with the source-only runs they start from)"
        )
        execute(config, runs, lambda line: print(line, flush=True))
    lines = tabulate(config)
    values = {"config": config.model_dump(mode="json"), "lines": [one.record() for one in lines]}
    write_json(config.results("json"), values)
    config.results("md").write_text(markdown(config, lines), encoding="utf-8")
    write_report(config.results("html"), config, lines)
    return lines

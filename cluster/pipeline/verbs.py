"""What a pipeline knows of a verb of the command line; the table of them is ``commands/pipeline_verbs.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

Facts = dict[str, Any]


def no_facts(folder: Path) -> Facts:
    """For verbs that leave no figures."""
    return {}


@dataclass(frozen=True)
class Verb:
    """How a verb is called, what its product is, and what the product depends on.

    Attributes:
        command: words after ``sim2pose``. ``{args}``, ``{with}`` and ``{flags}`` stand for the step's own; ``{dir}`` is the
            step's folder, ``{out}`` that of the pipeline, ``{label}`` the folder's name, ``{uri}`` the MLflow URI.
        places: the positional words: ``PRESET`` (its values count, not its name), ``INPUT`` (a path: its content counts),
            ``NAME`` (counts as it is written). In brackets: may be left out.
        load: resolves the verb's config from its preset (or None) and ``key=value`` words, as the command itself does.
        code: sources whose change makes the product anew: folders and files below ``sim2pose/``.
        product: files that are the product, as patterns below the step's folder.
        outputs: what ``${step.NAME}`` gives: a path (with ``{dir}``), or, as a pair, a JSON file of the folder and its key.
        ignored: config keys (and all below them) that change where or how it runs, not what comes out.
        paths: config keys that name files or folders, even without a slash in the value.
        flags: ``--options`` that a step may set; those whose value is False do not change what comes out.
        again: what an interrupted step needs: ``fresh`` starts anew, ``same`` goes on with the same command, ``--resume``
            with that word added once there is ``config.yaml``.
        outcomes: exit codes other than 0 that are an outcome and no failure: code → pattern that the log then holds.
        settle: called before an interrupted step starts again, and after each run: completes the product (register notes
            which version it made); False if there is nothing to complete.
        facts: a few figures of the product for the table at the end, by name.
        page: files to link on the summary page, as patterns below the step's folder.
    """

    command: tuple[str, ...]
    places: tuple[str, ...]
    load: Callable[[str | None, list[str]], BaseModel]
    code: tuple[str, ...]
    product: tuple[str, ...]
    outputs: Mapping[str, str | tuple[str, str]] = field(default_factory=lambda: {"out": "{dir}"})
    ignored: tuple[str, ...] = ("out",)
    paths: tuple[str, ...] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)
    again: Literal["fresh", "same", "--resume"] = "fresh"
    outcomes: Mapping[int, str] = field(default_factory=dict)
    settle: Callable[[Path, list[str]], bool] | None = None
    facts: Callable[[Path], Facts] = no_facts
    page: tuple[str, ...] = ()

    @property
    def reserved(self) -> set[str]:
        """Config keys that the pipeline itself sets."""
        own = [word.partition("=") for word in self.command]
        return {
            key for key, sign, value in own if sign and ("{dir}" in value or "{label}" in value or value == "{out}")
        }

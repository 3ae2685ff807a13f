"""A step's address: the hash of everything its product depends on, and what tells two of them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import __version__
from ...config import UserError, config_hash
from .config import StepConfig
from .digests import Digests, combined
from .verbs import Verb

PACKAGE = Path(__file__).parents[2]
SOURCES = (".py", ".glsl", ".npz", ".yaml")
PREFIX = "prior:"  # of the values that name a prior by its run folder

Json = dict[str, Any]


@dataclass(frozen=True)
class Key:
    """What a product depends on.

    Attributes:
        config: resolved values of the verb's config, without those that are ignored; what lies in products of other steps
            reads ``${step}/…``, what names a file ``content:HASH``.
        words: positional words and flags, likewise.
        inputs: path as given → hash of its content.
        code: source file → hash; of which a change makes the product anew.
        uses: step → its address.
    """

    verb: str
    config: Json
    words: list[str]
    inputs: dict[str, str]
    code: dict[str, str]
    uses: dict[str, str]

    @property
    def address(self) -> str:
        """16 hex digits."""
        code = combined(self.code)
        return config_hash(
            {"verb": self.verb, "config": self.config, "words": self.words, "code": code, "uses": self.uses}
        )


def make_key(
    name: str,
    step: StepConfig,
    verb: Verb,
    config: Json,
    positional: Sequence[tuple[str, str]],
    flags: Mapping[str, Any],
    folders: Mapping[str, tuple[Path, str]],
    code: dict[str, str],
    digests: Digests,
) -> Key:
    """The key of a step.

    Args:
        name: of the step.
        step: as configured.
        verb: its verb.
        config: resolved config as JSON values.
        positional: (place, word) with references put in.
        flags: with references put in.
        folders: of each step it may refer to: folder and address.
        code: see :func:`code_hashes`.
        digests: of files.

    Raises:
        UserError: for an input that is not there.
    """
    inputs: dict[str, str] = {}

    def text(value: str, named: bool, must: bool = False) -> str:
        for other, (folder, _) in folders.items():
            if str(folder) in value:
                return value.replace(str(folder), f"${{{other}}}")
        path = value.removeprefix(PREFIX)
        looks = named or "/" in path or Path(path).suffix in (".json", ".yaml", ".npz", ".pth", ".safetensors", ".pkl")
        if not path or not looks or "${" in path or "://" in path:  # an empty path would be the folder one works in
            return value
        try:
            inputs[path] = digests.content(path)
        except (UserError, OSError):
            if must and "@" not in path:
                raise UserError(f"step '{name}': there is nothing at {path}") from None
            return value
        return f"{value[: len(value) - len(path)]}content:{inputs[path][:16]}"

    def walk(value: Any, path: str) -> Any:
        named = any(path == key or path.startswith(f"{key}.") for key in verb.paths)
        if isinstance(value, str):
            return text(value, named, must=named and bool(value))
        if isinstance(value, dict):
            inner = {key: walk(each, f"{path}.{key}" if path else str(key)) for key, each in value.items()}
            return {text(key, False) if "/" in key else key: each for key, each in inner.items()}
        if isinstance(value, list | tuple):
            return [walk(each, path) for each in value]
        return value

    words = [
        text(str(word), place == "INPUT", must=place == "INPUT") for place, word in positional if place != "PRESET"
    ]
    words += [f"--{flag}={text(str(value), False)}" for flag, value in flags.items() if verb.flags[flag]]
    kept = walk(_without(config, verb.ignored), "")
    return Key(step.verb, kept, words, inputs, code, {other: address for other, (_, address) in folders.items()})


def _without(config: Json, ignored: Sequence[str], prefix: str = "") -> Json:
    return {
        key: _without(value, ignored, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in config.items()
        if f"{prefix}{key}" not in ignored
    }


def code_hashes(verb: Verb, digests: Digests, by: str) -> dict[str, str]:
    """Source file below ``sim2pose/`` → hash, of those that a verb names; by version: that of the package alone."""
    if by == "version":
        return {"version": __version__}
    found: dict[str, str] = {}
    for place in (*verb.code, "config.py") if verb.code else ():
        path = PACKAGE / place
        files = sorted(f for f in path.rglob("*") if f.suffix in SOURCES) if path.is_dir() else [*PACKAGE.glob(place)]
        assert files, f"the sources {place} of '{' '.join(verb.command)}' are not there"
        found |= {file.relative_to(PACKAGE).as_posix(): digests.file(file) for file in files}
    return found


def differences(old: Json, new: Key) -> list[str]:
    """Why a step is made anew, in words; ``old`` is the key of its last product, as JSON values."""
    if old["verb"] != new.verb:
        return [f"is {new.verb} now, was {old['verb']}"]
    reasons = [_change(key, a, b) for key, a, b in _differing(old["config"], new.config)]
    paths = {path for path in {*old["inputs"], *new.inputs} if old["inputs"].get(path) != new.inputs.get(path)}
    changed = [f"content of {path} changed" for path in sorted(paths) if path in old["inputs"] and path in new.inputs]
    if changed:
        reasons = [reason for reason in reasons if not reason.startswith("the content of")]
    if old["words"] != new.words and not changed:
        reasons.append(f"args are {' '.join(new.words)}, were {' '.join(old['words'])}")
    reasons += changed
    files = sorted(file for file in {*old["code"], *new.code} if old["code"].get(file) != new.code.get(file))
    if files:
        more = f" and {len(files) - 1} more sources" if len(files) > 1 else ""
        reasons.append(f"{files[0]}{more} changed")
    others = sorted(step for step in {*old["uses"], *new.uses} if old["uses"].get(step) != new.uses.get(step))
    return reasons + [f"'{step}' changed" for step in others]


def _differing(old: Any, new: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [(prefix.removesuffix("."), old, new)]
    keys = sorted({*old, *new})
    return [found for key in keys for found in _differing(old.get(key), new.get(key), f"{prefix}{key}.")]


def _change(key: str, old: Any, new: Any) -> str:
    if all("content:" in str(value) for value in (old, new)):
        return f"the content of {key} changed"
    short = all(len(str(value)) <= 40 for value in (old, new))
    return f"{key} {old} → {new}" if short else f"{key} changed"

"""What the command line was given, taken apart: sources and targets, a call, the calls before it, a policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distill.errors import RecordError, UsageError


class Asked:
    """What `compile` was asked for, from the command line or a recipe."""

    def __init__(self, sources: Any, targets: list[str], out: Path, on_error: Any, root: Path | None) -> None:
        self.sources, self.targets, self.out = sources, targets, out
        self.on_error, self.root = on_error, root


def asked(
    sources: list[Path] | None,
    target: list[str] | None,
    out: Path | None,
    recipe: Path | None,
    on_error: str | None,
) -> Asked:
    if on_error not in (None, "deny", "ask", "warn"):
        raise UsageError(f"--on-error {on_error} has no meaning", mend="it is deny, ask or warn")
    if recipe is None:
        if not sources:
            raise UsageError("no memory is named", mend="name a memory file, a directory or --recipe FILE")
        if not target:
            raise UsageError("no harness is named", mend="add --target claude_code")
        given = [("auto", path) for path in sources]
        root = sources[0] if len(sources) == 1 and sources[0].is_dir() else None
        return Asked(given, list(dict.fromkeys(target)), out or Path("build"), on_error or "deny", root)
    if sources:
        raise UsageError("sources are named twice", mend="name them here or in the recipe")
    from distill.recipe import load

    said = load(recipe)
    targets = target or list(said.harness.targets)
    if not targets:
        raise UsageError(f"{recipe} names no harness", mend="add --target, or harness.targets to the recipe")
    given = [(source.format, source.path) for source in said.memory.sources]
    return Asked(
        given,
        list(dict.fromkeys(targets)),
        out or said.out / "harness",
        on_error or said.harness.on_error,
        None,
    )


def read_json_text(text: str, what: str | Path, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        said = str(error).split(":")[0].lower()
        raise UsageError(f"{what} is not JSON: {said}", mend="quote it for the shell") from None


def call_of(data: Any, what: str | Path, line: int | None = None) -> dict[str, Any]:
    """A neutral call. Raises UsageError for anything else."""
    where = f"{what}, line {line}," if line else str(what)
    good = isinstance(data, dict) and isinstance(data.get("tool"), str)
    if not good or not isinstance(data.get("input", {}), dict):
        raise UsageError(f'{where} is no call: {{"tool": "Bash", "input": {{"command": "…"}}}} is one')
    return {"input": {}, **data}


def session_of(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.lstrip().startswith("["):
        return [call_of(one, path) for one in read_json_text(text, path)]
    lines = enumerate(text.splitlines(), start=1)
    return [call_of(read_json_text(line, path), path, number) for number, line in lines if line.strip()]


def policy_of(guard: Any, place: Path) -> tuple[dict[str, Any], Any]:
    """The policy of a bundle, or of a folder in which one is installed."""
    path = place / "guard.json"
    if not path.is_file():
        raise RecordError(
            "is no bundle", file=place, mend="run `harness-compile compile` and name its folder"
        )
    try:
        return guard.load_policy(str(path))
    except (ValueError, KeyError):
        raise RecordError("is not a whole policy", file=path, mend="compile the bundle again") from None

"""What the command line was given, taken apart: sources and targets, a call, the calls before it, a policy.

Every fault of it is a UsageError or RecordError that says how to write it. Not covered: reading the memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.errors import RecordError, UsageError

if TYPE_CHECKING:  # its module takes a while to import, and `decide` has no need of it
    from distill.memory import Memory
    from distill.records import MemoryUnit
    from harness_compile.rules import OnError, Rule


@dataclass(frozen=True)
class Asked:
    """What `compile` was asked for, from the command line or a recipe."""

    sources: list[tuple[str, Path]]
    targets: list[str]
    out: Path
    on_error: OnError
    root: Path | None
    stable: dict[str, Any] | None = None  # how long a unit must have stood, where a recipe says so
    judged: bool = False  # judge the memory as `distill plan` does


def asked(
    sources: list[Path] | None,
    target: list[str] | None,
    out: Path | None,
    recipe: Path | None,
    on_error: str | None,
) -> Asked:
    """Sources, targets, policy. Raises UsageError for what is missing or said twice, RecipeError, OSError."""
    effects: dict[str | None, OnError] = {None: "deny", "deny": "deny", "ask": "ask", "warn": "warn"}
    if on_error not in effects:
        raise UsageError(f"--on-error {on_error} has no meaning", mend="it is deny, ask or warn")
    if recipe is None:
        if not sources:
            raise UsageError("no memory is named", mend="name a memory file, a directory or --recipe FILE")
        if not target:
            raise UsageError("no harness is named", mend="add --target claude_code")
        given: list[tuple[str, Path]] = [("auto", path) for path in sources]
        root = sources[0] if len(sources) == 1 and sources[0].is_dir() else None
        return Asked(given, list(dict.fromkeys(target)), out or Path("build"), effects[on_error], root)
    if sources:
        raise UsageError("sources are named twice", mend="name them here or in the recipe")
    from distill.recipe import load

    said = load(recipe)
    targets = target or list(said.harness.targets)
    if not targets:
        raise UsageError(f"{recipe} names no harness", mend="add --target, or harness.targets to the recipe")
    given = [(str(source.format), source.path) for source in said.memory.sources]
    return Asked(
        given,
        list(dict.fromkeys(targets)),
        out or said.out / "harness",
        effects[on_error] if on_error else said.harness.on_error,
        None,
        said.memory.stable and said.memory.stable.model_dump(),
        True,
    )


def memory_of(said: Asked) -> Memory:
    """The memory that was asked for; that of a recipe as `distill plan` judges it: what may not last and what
    contradicts something becomes no rule. Raises what reading raises."""
    from distill.memory import common, read
    from distill.memory.evidence.judge import judge

    memory = read(said.sources, said.root)
    if not said.judged:
        return memory
    found = judge(memory, common(said.sources) if said.stable else None, **(said.stable or {}))
    warnings = tuple(dict.fromkeys((*found.memory.warnings, *found.warnings)))
    return found.memory.model_copy(update={"warnings": warnings})


def proposer(model: str | None, endpoint: str | None) -> Callable[[MemoryUnit], Rule | str] | None:
    """What asks the named model about a unit; None where none is named. Raises UsageError, ModelError."""
    if model is None and endpoint is None:
        return None
    if not model or not endpoint:
        raise UsageError(
            "--propose MODEL and --endpoint URL need each other",
            mend="name both; a local model is served by `transformers serve`",
        )
    from harness_compile.lower.propose import propose, served

    ask = served(endpoint, model)
    return lambda unit: propose(unit, ask)


def read_json_text(text: str, what: str | Path) -> Any:
    """JSON that a user typed. Raises UsageError."""
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
    """The calls of a session: a JSON list, or one call on each line. Raises UsageError, OSError."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.lstrip().startswith("["):
        return [call_of(one, path) for one in read_json_text(text, path)]
    lines = enumerate(text.splitlines(), start=1)
    return [
        call_of(read_json_text(line, f"{path}, line {number}"), path, number)
        for number, line in lines
        if line.strip()
    ]


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

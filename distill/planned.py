"""The stages `read` and `plan` of a recipe: what the memory is now, and where each of its units will live.

Stored in the run directory, and taken from there as long as it is up to date; the recipe itself is kept there
too, for commands that are given a run. Needs no torch. Not covered: the stages that need a model (`flow.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from distill import plan as planning
from distill.errors import RecordError, StaleError
from distill.memory import Memory, common, read, residual, store, unchanged
from distill.memory.evidence.judge import Judged, judge
from distill.recipe import Recipe, recipe_digest
from distill.records import Header, Plan, Route, digest_file, digest_of, read_jsonl, write_json, write_jsonl
from distill.stage import Run, require

Command = Callable[[str], str]  # the command line of a stage, for whoever is to mend something


def sources(said: Recipe) -> Memory:
    """Read the recipe's sources as they are now."""
    return read(places(said))


def places(said: Recipe) -> list[tuple[str, Path, dict[str, str]]]:
    return [(source.format, source.path, source.fields) for source in said.memory.sources]


def reading(said: Recipe) -> Memory:
    """The stage `read`: read the sources and store them."""
    memory, run = sources(said), Run(said.out)
    store.save(memory, run.units, run.memory)
    return memory


def memory_of(said: Recipe, command: Command) -> Memory:
    """The stored memory, read first where nothing is stored yet. Raises StaleError when a source has changed
    since.
    """
    run, again = Run(said.out), command("read")
    if not run.units.exists():
        return reading(said)
    memory = store.load(run.units, run.memory, f"run `{again}` again")
    if unchanged(memory, places(said)):
        return memory
    before, now = memory.inputs(), sources(said).inputs()
    moved = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if moved:
        names = ", ".join(moved[:3]) + (f" and {len(moved) - 3} more" if len(moved) > 3 else "")
        raise StaleError(f"is stale: {names} changed since", file=run.units, mend=f"run `{again}` again")
    return memory


def planning_of(said: Recipe, memory: Memory) -> tuple[Plan, planning.Given, Judged]:
    """The stage `plan`: judge and route the units; store the residual first, so that a plan is whole."""
    run, inputs = Run(said.out), plan_inputs(said)
    stable = said.memory.stable
    root, settings = (common(places(said)), stable.model_dump()) if stable else (None, {})
    judged = judge(memory, root, **settings)
    overrides = [planning.Override(item.unit, item.to, item.because) for item in said.route.overrides]
    given = planning.Given(overrides, judged.against, lowered(said, judged.memory))
    plan = planning.settle(planning.route(judged.memory.units, given), memory)
    store.save_residual(run.residual, residual(memory, planning.away(plan)), inputs)
    write_jsonl(run.plan, Header(kind="plan", inputs=inputs), plan.routes)
    return plan, given, judged


def lowered(said: Recipe, memory: Memory) -> dict[str, str] | None:
    """The units that every harness of the recipe says exactly, with every case of their rules verified
    through it, and the words of these rules; None where the recipe names no harness."""
    if not said.harness.targets:
        return None
    from harness_compile import bundle
    from harness_compile.backends import backend
    from harness_compile.backends.base import Options

    found, options = bundle.lower_memory(memory), Options(on_error=said.harness.on_error)
    targets = [backend(name) for name in said.harness.targets]
    held = [bundle.held(bundle.compile_lowered(found, one, options), one.shapes) for one in targets]
    whole = (one for one in found.account.units if one.rules and not one.left)
    exact = (one for one in whole if all(rules.issuperset(one.rules) for rules in held))
    return {one.unit: "; ".join(found.account.words[rule] for rule in one.rules) for one in exact}


def guarded_by(said: Recipe, planned: tuple[Memory, Plan]) -> tuple[Memory, Plan, Any]:
    """Memory, plan, and the guard of the recipe's first harness, compiled into the run directory: a function
    from a call to why it does not run. No guard where nothing asks for one."""
    memory, plan = planned
    if not said.harness.targets or "deployed" not in said.check.arms:
        return memory, plan, None
    from harness_compile import bundle
    from harness_compile.backends import backend
    from harness_compile.backends.base import Options
    from harness_compile.verify.compliance import guarded

    target, options = backend(said.harness.targets[0]), Options(on_error=said.harness.on_error)
    compiled = bundle.compile_lowered(bundle.lower_memory(memory), target, options)
    place = bundle.write(compiled, said.out / "harness", force=True)

    def why_not(call: dict[str, Any]) -> str | None:
        decision = guarded(place, call)
        return decision.message if decision.stops else None

    return memory, plan, why_not


def plan_inputs(said: Recipe) -> dict[str, str]:
    stable = said.memory.stable and said.memory.stable.model_dump()
    route = digest_of([recipe_digest(said, "route", "harness"), stable])
    return {"memory": digest_file(Run(said.out).units), "route": route}


def planned(said: Recipe, command: Command, redo: bool = False) -> tuple[Memory, Plan]:
    """What later stages begin with: memory and plan, made first where none are; with `redo` also where they
    are stale. Raises StaleError otherwise."""
    path, again = Run(said.out).plan, command("plan")
    try:
        memory = memory_of(said, command)
    except StaleError:
        if not redo:
            raise
        memory = reading(said)
    if path.exists():
        try:
            require(path, again, plan_inputs(said))
            return memory, Plan(routes=tuple(read_jsonl(path, Route, mend=f"run `{again}` again")[1]))
        except StaleError:
            if not redo:
                raise
    return memory, planning_of(said, memory)[0]


def keep(said: Recipe) -> None:
    """Stores the recipe in its run directory, with where its paths start from. Raises OSError."""
    here = os.path.relpath(".", said.out)
    write_json(
        said.out / "recipe.json", {"from": here, "recipe": said.model_dump(mode="json", by_alias=True)}
    )


def reopen(run: Path) -> Recipe:
    """The recipe of a run, its paths as seen from the current directory. Raises RecordError where the run has
    none."""
    try:
        stored = json.loads((run / "recipe.json").read_bytes())
        said = Recipe.model_validate_json(json.dumps(stored["recipe"]))
        where = run / stored["from"]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as fault:
        raise RecordError(
            "is no run directory of `distill run`", file=run, mend="give the `out` of a recipe"
        ) from fault
    base = said.base
    if (where / base.model).is_dir():
        base = base.model_copy(update={"model": str(_seen(Path(base.model), where))})
    return _seen(said, where).model_copy(update={"out": run, "base": base})


def _seen(value: Any, where: Path) -> Any:
    """A value of a recipe with the paths in it, which start from `where`, as seen from here."""
    if isinstance(value, Path):
        return value if value.is_absolute() else Path(os.path.relpath(where / value))
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: _seen(item, where) for name, item in value})
    return tuple(_seen(item, where) for item in value) if isinstance(value, tuple) else value

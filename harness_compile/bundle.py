"""A memory, or rules at hand, to the bundle of one harness: native files, guard and policy, an account.

Same input, same bytes. A bundle is written whole or not at all, in its own folder; nothing here touches a
project (`apply` does). Rules whose own cases fail are left out and said. What the harness cannot express is
in `gaps`. Not covered: what a harness can do (`backends`), what it really does (`verify`).
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distill.errors import OverwriteError, RecordError, StaleError
from distill.memory import Memory
from distill.records import MemoryUnit, Record, Span, digest, digest_of, read_json
from harness_compile import readme
from harness_compile.backends.base import CANARY, ON_PATH, Backend, Emitted, File, Options, carried, folder
from harness_compile.rules import (
    Bundle,
    Command,
    Control,
    EmittedFile,
    Gap,
    NotEnforceable,
    Policy,
    Rule,
)
from harness_compile.runtime import guard, payloads
from harness_compile.verify import cases
from harness_compile.words import in_words

IGNORED = b"decisions.jsonl*\nsessions/\n__pycache__/\n"
AGAIN = "compile the bundle again"
GUARD = "harness-compile:guard.py"  # among the inputs: the guard that a bundle was tried with


class UnitAccount(Record):
    """What became of one unit of the memory: its rules by id, and for what is no rule, why not."""

    unit: str
    text: str
    source: str = ""
    line: int = 0
    rules: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class Account(Record):
    """What became of every unit, in the order of the memory; `words` are the rules by id."""

    units: tuple[UnitAccount, ...] = ()
    words: dict[str, str] = {}


@dataclass(frozen=True)
class Lowered:
    """The rules of a memory, the account of its units, and the digests of what it was read from. `rows` are
    the rules as JSON by id, made once for all harnesses."""

    rules: tuple[Rule, ...]
    account: Account
    inputs: dict[str, str]

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        return {rule.id: guard.as_json(rule) for rule in self.rules}


@dataclass(frozen=True)
class Compiled:
    """A bundle and the bytes of its files by their path in the bundle's folder."""

    bundle: Bundle
    files: dict[str, bytes]
    account: Account


Propose = Callable[[MemoryUnit], Rule | str]  # a rule for a unit that has none, or why there is none


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cycle collector: a large memory makes many small objects that stay, and no cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_uncollected()
def lower_memory(memory: Memory, propose: Propose | None = None, proposer: str = "") -> Lowered:
    """The rules of a memory. Units that hold a secret, contradict another or are not stable give none.
    `propose` is asked about constraints of which the grammar makes nothing (see `lower.propose`), `proposer`
    says in the account who that is. Raises what `propose` raises.
    """
    from harness_compile.lower import lower_all  # verifying and installing do without
    from harness_compile.lower import propose as proposing

    texts = {document.path: document.text.encode() for document in memory.documents}
    stable = [unit for unit in memory.units if unit.stable]
    raws = {unit.id: _raw(unit, texts) for unit in stable}
    said = lower_all(stable, {key: raw for key, raw in raws.items() if raw is not None})
    found = {one.unit: one for one in said.lowerings}
    rules: list[Rule] = []
    accounts, names, proposed = [], set[str](), set[str]()
    for unit in memory.units:
        lowering = found.get(unit.id)
        mine, left = [], lowering.left if lowering else (f"it may not last: {unit.why}",)
        for rule in lowering.rules if lowering else ():
            mine.append(_named(rule, names))
        if propose and lowering and proposing.askable(unit, mine):
            said = propose(unit)
            if isinstance(said, Rule):
                mine, left = [_named(said, names)], ()
                proposed.add(mine[0].id)
            else:
                left = (*left, said)
        rules += mine
        span = unit.spans[0] if unit.spans else None
        accounts.append(
            UnitAccount(
                unit=unit.id,
                text=unit.text,
                source=span.source if span else "",
                line=span.line if span else 0,
                rules=tuple(rule.id for rule in mine),
                left=left or (() if mine else ("it states no constraint",)),
            )
        )
    who = f" (proposed by {proposer}, and read a second time)"
    words = {rule.id: in_words(rule) + (who if rule.id in proposed else "") for rule in rules}
    return Lowered(tuple(rules), Account(units=tuple(accounts), words=words), memory.inputs())


def _raw(unit: MemoryUnit, texts: dict[str, bytes]) -> str | None:
    """A unit's text as it stands in its file (masked)."""
    if not unit.spans or unit.spans[0].source not in texts:
        return None
    span = unit.spans[0]
    return texts[span.source][span.start : span.end].decode("utf-8", "replace")


def _named(rule: Rule, names: set[str]) -> Rule:
    """A rule whose id nobody has yet."""
    name, count = rule.id, 2
    while name in names or name == CANARY:
        name, count = f"{rule.id[:90]}-{count}", count + 1
    names.add(name)
    return rule if name == rule.id else rule.model_copy(update={"id": name})


def compile_memory(memory: Memory, backend: Backend, options: Options) -> Compiled:
    """The bundle of a memory for one harness."""
    return compile_lowered(lower_memory(memory), backend, options)


@_uncollected()
def compile_lowered(lowered: Lowered, backend: Backend, options: Options) -> Compiled:
    """The bundle of lowered rules for one harness; their cases have been checked where they were lowered."""
    kept, gaps = carried(backend, lowered.rules, options)
    emitted = backend.emit(kept, options)
    _complete(kept, emitted)
    policy = Policy(
        root="../..",
        on_error=options.on_error,
        nobody="ask" if options.attended and backend.ask_alone == "refused" else "deny",
        protect=("**/.harness-compile/**", *backend.protect),
        log="decisions.jsonl",
        state="sessions",
    )
    rows = [{**lowered.rows[rule.id], "effect": rule.effect} for rule in kept]
    files = [*emitted.files, *_guard_files(backend, policy, [*rows, guard.as_json(canary())])]
    left = [
        NotEnforceable(unit=one.unit, reason="; ".join(one.left)) for one in lowered.account.units if one.left
    ]
    bundle = Bundle(
        harness=backend.name,
        harness_version=backend.version,
        inputs={**lowered.inputs, GUARD: digest(_runtime(guard.__file__))},
        rules=lowered.rules,
        files=tuple(_emitted(file) for file in files),
        controls=emitted.controls,
        gaps=(*gaps, *emitted.gaps),
        not_enforceable=tuple(left),
        on_error=options.on_error,
        attended=options.attended,
        python=options.python,
    )
    data = {file.path: file.data for file in files}
    data["account.json"] = _lines(lowered.account)
    notes = (
        emitted.notes
        if os.path.isabs(options.python)
        else (*emitted.notes, ON_PATH.format(python=options.python))
    )
    data["README.md"] = readme.text(bundle, lowered.account.words, backend, notes).encode()
    data["bundle.json"] = _lines(bundle, lowered.rows)
    return Compiled(bundle, data, lowered.account)


def without(place: str | Path, names: Mapping[str, str]) -> Compiled:
    """The bundle in a folder, compiled anew without some of its rules (by id, each with the reason). Raises
    StaleError where another version of the compiler made it; RecordError, OSError.
    """
    from harness_compile.backends import backend

    said, account = load(place), read_json(Path(place) / "account.json", Account)
    if said.inputs.get(GUARD) != digest(_runtime(guard.__file__)):
        raise StaleError("was compiled with another guard", file=place, mend=AGAIN)
    units = []
    for unit in account.units:
        gone = tuple(f"{name} is left out: {names[name]}" for name in unit.rules if name in names)
        kept = tuple(name for name in unit.rules if name not in names)
        units.append(unit.model_copy(update={"rules": kept, "left": (*unit.left, *gone)}))
    words = {name: text for name, text in account.words.items() if name not in names}
    rules = tuple(rule for rule in said.rules if rule.id not in names)
    options = Options(on_error=said.on_error, attended=said.attended, python=said.python)
    lowered = Lowered(rules, Account(units=tuple(units), words=words), said.inputs)
    return compile_lowered(lowered, backend(said.harness), options)


def compile_rules(rules: Iterable[Rule], backend: Backend, options: Options) -> Compiled:
    """The bundle of rules at hand. One whose own cases fail, or that has none, is left out, and said."""
    good: list[Rule] = []
    left = []
    names: set[str] = set()
    for rule in rules:
        fault = refuted(rule)
        if fault:
            left.append(UnitAccount(unit=rule.unit, text=rule.message, left=(fault,)))
        else:
            good.append(_named(rule, names))
    account = Account(units=tuple(left), words={rule.id: in_words(rule) for rule in good})
    return compile_lowered(Lowered(tuple(good), account, {"rules": digest_of(good)}), backend, options)


def refuted(rule: Rule) -> str:
    """Why a rule's own cases refute it, nothing where they hold."""
    if not any(case.fires for case in rule.cases) or all(case.fires for case in rule.cases):
        return f"the rule {rule.id} has no case that must fire, or none that must stay quiet"
    for number, case in enumerate(rule.cases, start=1):
        if not cases.holds(rule, case):
            return f"case {number} of the rule {rule.id} {'did not fire' if case.fires else 'fired'}"
    return ""


def canary() -> Rule:
    """A rule that refuses a program which does not exist: a call that does no harm if it gets through."""
    return Rule(
        id=CANARY,
        tool="Bash",
        when=Command(program=(CANARY,), min_args=None, max_args=None),
        effect="deny",
        message="this call only asks whether the rules are alive, and they are",
        unit=CANARY,
        span=Span(source="", start=0, end=0, line=0, digest=digest(b"")),
    )


CANARY_CALL = {"tool": "Bash", "input": {"command": f"{CANARY} --are-you-there"}}


def _lines(record: Record, rules: dict[str, dict[str, Any]] | None = None) -> bytes:
    """A record as ASCII JSON with one line for each item of its lists: read by `diff`, written fast."""
    said = record.model_dump(mode="json", exclude_defaults=True, exclude={"rules"} if rules else None)
    said |= {"rules": list(rules.values())} if rules else {}
    rows = []
    for key in (name for name in type(record).model_fields if name in said):
        value = said[key]
        if isinstance(value, list) and value:
            items = ",\n  ".join(json.dumps(item, ensure_ascii=True) for item in value)
            rows.append(f"{json.dumps(key)}: [\n  {items}\n ]")
        else:
            rows.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=True)}")
    return ("{\n " + ",\n ".join(rows) + "\n}\n").encode()


def _complete(rules: Sequence[Rule], emitted: Emitted) -> None:
    """Every rule has a control, or the backend said why not. Anything else is a bug of the backend."""
    known = {one.rule for one in (*emitted.controls, *emitted.gaps)}
    missing = [rule.id for rule in rules if rule.id not in known]
    assert not missing, f"the backend dropped {missing[0]} without a word"


def _guard_files(backend: Backend, policy: Policy, rows: list[dict[str, Any]]) -> list[File]:
    """The guard as it is, the shapes that it reads, its policy, and what git shall not see of it."""
    home = folder(backend.name)
    data = {
        "guard.py": _runtime(guard.__file__),
        "payloads.py": _runtime(payloads.__file__),
        **guard.policy_files({**guard.as_json(policy), "rules": rows}),
    }
    files = [File(name, f"{home}/{name}", content) for name, content in data.items()]
    return [*files, File("gitignore", f"{home}/.gitignore", IGNORED)]


def _runtime(path: str | None) -> bytes:
    return Path(path or "").read_bytes()


def _emitted(file: File) -> EmittedFile:
    return EmittedFile(
        path=file.path, to=file.to, digest=digest(file.data), how=file.how, executable=file.executable
    )


def write(compiled: Compiled, out: str | Path, *, force: bool = False) -> Path:
    """Write a bundle into `out/<harness>`, whole or not at all, in the place of an older one; its folder.

    Raises OverwriteError where something else lies there and nobody said `force`; OSError.
    """
    out = Path(out)
    place = out / compiled.bundle.harness
    if place.exists() and not force and not (place / "bundle.json").is_file() and any(place.iterdir()):
        raise OverwriteError(
            "is there and holds no bundle", file=place, mend="choose another --out, or add --force"
        )
    out.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=out))
    old = fresh.with_name(fresh.name + ".old")
    try:
        for path, data in compiled.files.items():
            file = fresh / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        fresh.chmod(0o777 & ~_umask())
        if place.exists():
            os.replace(place, old)
        try:
            os.replace(fresh, place)
        except OSError:
            with contextlib.suppress(OSError):
                os.replace(old, place)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return place


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load(place: str | Path) -> Bundle:
    """The bundle in a folder. Raises RecordError where there is none, or a damaged one; OSError."""
    path = Path(place) / "bundle.json"
    if not path.is_file():
        raise RecordError(
            "is no bundle", file=place, mend="run `harness-compile compile` and name its folder"
        )
    return read_json(path, Bundle, mend=AGAIN)


def effective(bundle: Bundle) -> tuple[Rule, ...]:
    """The rules with the effects that they have on the bundle's harness, without those that are lost."""
    got = {gap.rule: gap.got for gap in bundle.gaps}
    rules = []
    for rule in bundle.rules:
        effect = got.get(rule.id, rule.effect)
        if effect is not None:
            rules.append(rule if effect == rule.effect else rule.model_copy(update={"effect": effect}))
    return tuple(rules)


def held(compiled: Compiled, shapes: Sequence[str]) -> frozenset[str]:
    """The rules that may take the place of their words: they lose nothing on the bundle's harness, and every
    case comes out right by the guard and through the harness's `shapes`."""
    outcome = cases.check(effective(compiled.bundle), shapes)
    bad = {failure.rule for failure in outcome.failures} | {gap.rule for gap in compiled.bundle.gaps}
    return frozenset(rule.id for rule in compiled.bundle.rules) - bad


def lost(bundle: Bundle) -> dict[str, Gap]:
    """The gaps of a bundle by rule."""
    return {gap.rule: gap for gap in bundle.gaps}


def controls_of(bundle: Bundle) -> dict[str, list[Control]]:
    """The controls of a bundle by rule."""
    found: dict[str, list[Control]] = {}
    for control in bundle.controls:
        found.setdefault(control.rule, []).append(control)
    return found

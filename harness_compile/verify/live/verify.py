"""A bundle in the real harness: every case of every rule, as a table of what was wanted and what happened.

The bundle is installed by the same change set and apply that a user would run, into a throw-away project and
home. Cases share a session where nothing of one can matter to another; where the guard itself, asked with all
that happened before, would answer otherwise than for the case alone, the case gets a session of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from distill.records import Record, digest_of
from harness_compile import bundle as bundles
from harness_compile.apply import apply
from harness_compile.backends import backend
from harness_compile.changes import plan_changes
from harness_compile.rules import Bundle, Mechanism, Rule
from harness_compile.runtime import guard
from harness_compile.verify.harnesses import drivers
from harness_compile.verify.harnesses.base import Driver, Ended, Program, version_of
from harness_compile.verify.live.asking import Question, asked
from harness_compile.verify.live.place import Place, throw_away
from harness_compile.verify.live.probes import Observed, Probe, named_programs, probes
from harness_compile.verify.live.session import Seen, Session

PROGRAMS = Path(".cache/live")  # where `make live` installs the harnesses
SHARE = 25  # probes in one session


class Row(Record):
    """One case in one harness. `mechanism`: whose words the refusal was; `good` is None where the case was
    not attempted."""

    rule: str
    case: int
    call: str
    inside: bool = False
    wanted: Observed
    observed: Observed
    mechanism: Mechanism | None = None
    said: str = ""
    good: bool | None = None


class Live(Record):
    """What a harness did with a bundle. `version` is what the program said of itself. `questions` were asked
    with somebody there; `unasked` says why none were, though a rule asks."""

    harness: str
    pinned: str
    version: str = ""
    state: Literal["verified", "failed", "not verified"]
    why: str = ""
    only: Mechanism | None = None
    digest: str = ""  # of the bundle
    rows: tuple[Row, ...] = ()
    questions: tuple[Question, ...] = ()
    unasked: str = ""
    sessions: int = 0
    seconds: float = 0.0


def install(place: Place, bundle: Path) -> None:
    """What `harness-compile apply` does, in a throw-away project and home. Raises DistillError, OSError."""
    apply(plan_changes(bundle, place.project, home=place.home), place.project)


def policy_of(place: Path, said: Bundle) -> dict[str, Any]:
    """What the guard of a bundle is told, as far as it decides."""
    path = next(file.path for file in said.files if file.path.endswith("guard.json"))
    policy, _ = guard.load_policy(str(place / path))
    keys = ("on_error", "nobody", "protect")
    return {key: policy[key] for key in keys if key in policy} | {"rules": bundles.effective(said)}


def verify_live(
    place: Path,
    programs: Path = PROGRAMS,
    *,
    only: Mechanism | None = None,
    inside: bool = True,
    installing: Callable[[Place, Path], None] = install,
    leaving: Callable[[Place], None] = lambda place: None,
    told: Callable[[str], None] = lambda text: None,
) -> Live:
    """Every case of a bundle, in its harness. `only` leaves one mechanism of the bundle in force: then what
    must be let through counts as before, and what it does not stop counts for nothing. Raises
    DistillError, OSError.
    """
    said = bundles.load(place)
    driver = drivers()[said.harness]
    program = driver.find(programs)
    title = backend(said.harness).title
    if program is None:
        why = f"{title} is not there: npm or pip install {driver.package}, or `make live`"
        return Live(harness=said.harness, pinned=driver.pinned, state="not verified", why=why)
    begun = time.monotonic()
    rules = bundles.effective(said)
    policy = policy_of(place, said)
    found = probes(rules, said.on_error, inside=inside and driver.agent is not None and only is None)
    if only is not None:  # the other events are the guard's alone
        found = [one for one in found if one.event == "pre_tool"]
    version, seen, sessions = "", [], 0
    waiting = [*groups(found)]
    while waiting:
        group = waiting.pop(0)
        with throw_away(named_programs(found), program.path, program.home) as at:
            installing(at, place)
            if only is not None:
                driver.only[only](at)
            version = version or version_of(driver, program, at, "http://127.0.0.1:9")
            ended, came = drive(driver, program, at, rules, policy, group)
            leaving(at)
        sessions += 1
        again = [one.probe for one in came if spoiled(one) and len(group) > 1]
        seen += [one for one in came if one.probe not in again]
        waiting += [[probe] for probe in again]
        if any(one.observed == "no answer" for one in came):
            told(f"{said.harness}: ended with {ended.status}: {(ended.err or ended.out).strip()[-600:]}")
        told(f"{said.harness}: {len(seen)} of {len(found)} cases, session {sessions}")
    rows = [row(one, only) for one in sorted(seen, key=lambda one: found.index(one.probe))]
    questions, unasked = (), ""
    if only is None:
        questions, unasked = asked(driver, program, place, said, policy, found, installing)
    good = all(one.good is not False for one in rows) and any(one.good for one in rows)
    good = good and all(one.good for one in questions)
    if only is not None:
        good = good and bool(rows)
    return Live(
        harness=said.harness,
        pinned=driver.pinned,
        version=version,
        state="verified" if good else "failed",
        only=only,
        digest=digest_of(said),
        rows=tuple(rows),
        questions=questions,
        unasked=unasked,
        sessions=sessions,
        seconds=round(time.monotonic() - begun, 1),
    )


def drive(
    driver: Driver,
    program: Program,
    at: Place,
    rules: Sequence[Rule],
    policy: dict[str, Any],
    group: Iterable[Probe],
) -> tuple[Ended, list[Seen]]:
    """One session with some probes."""
    index = guard.Index([guard.as_json(rule) for rule in (*rules, bundles.canary())])
    session = Session(driver, at, index, policy)
    for rule in rules:
        for name in rule.inject:
            path = at.project / name
            if "{" not in name and at.project in path.resolve().parents and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"content of {path.name} for every session\n")
    for probe in group:
        session.add(probe)
    if not session.steps and not (session.stop or session.start or session.prompt):
        return Ended(0, "", ""), session.left
    return session.drive(program)


def groups(found: Sequence[Probe]) -> list[list[Probe]]:
    """The probes by session: one alone where it must be, the others by branch, at most `SHARE` together."""
    shared: dict[str, list[Probe]] = {}
    for probe in found:
        if not probe.alone:
            shared.setdefault(probe.branch, []).append(probe)
    cut = [part[n : n + SHARE] for part in shared.values() for n in range(0, len(part), SHARE)]
    return [*cut, *([probe] for probe in found if probe.alone)]


def spoiled(one: Seen) -> bool:
    """Whether what came before in the session changed what the guard itself would say."""
    return one.observed not in ("not attempted", "no answer") and one.predicted != one.probe.wanted


def row(one: Seen, only: Mechanism | None) -> Row:
    probe = one.probe
    call = probe.call.get("input", {})
    words = call.get("command") or call.get("file_path") or json.dumps(call) if call else ""
    good = None if one.observed == "not attempted" else one.observed == probe.wanted
    if only is not None and good is False and probe.wanted != "runs" and one.observed == "runs":
        good = None  # the second mechanism need not see it: the guard does
    return Row(
        rule=probe.rule,
        case=probe.case,
        call=f"{probe.call.get('tool', '')} {words}".strip()[:200],
        inside=probe.inside,
        wanted=probe.wanted,
        observed=one.observed,
        mechanism=one.mechanism,
        said=one.said[:300],
        good=good,
    )

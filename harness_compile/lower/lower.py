"""unit -> rules or NotEnforceable with a reason, exactly or not at all.

`lower` does one unit, `lower_all` a whole memory, with an account of what was left of each unit and which
rules of different units contradict each other. Everything is done by the grammar, the readers in
`refused/`, `owed/` and `texts/`, over normalised clauses (`words/`); a rule whose own cases fail is left out.
Not covered: a model's proposals, and languages other than English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from distill.records import MemoryUnit, Span, digest
from harness_compile.lower.cases import cases_for
from harness_compile.lower.conflicts import Conflict, conflicts_of
from harness_compile.lower.draft import Draft
from harness_compile.lower.owed import gates
from harness_compile.lower.owed.known import Known, known_checks
from harness_compile.lower.owed.moments import find_gates
from harness_compile.lower.refused import asks, phrases, prefer, sources, testers
from harness_compile.lower.texts import content, context, messages, pulls, shared
from harness_compile.lower.variants import variants
from harness_compile.lower.words.frames import Frame, frame_of
from harness_compile.lower.words.normalise import Clause, clauses, code_lines, flatten, hostile, prose
from harness_compile.lower.words.sift import may, words_of
from harness_compile.rules import NotEnforceable, Rule

NORM = re.compile(
    r"\b(?:never|do not|must|must not|always|should not|can not|may not|forbidden|prohibited|required|"
    r"only|avoid|read-only|ask|require)\b"
)
# Words without one of which, and without a frame, no form of the grammar matches: most of a memory is facts.
TRIGGER = re.compile(
    r"\b(?:never|not|no|avoid|must|always|only|use|uses|using|run|prefer|read|ask|confirm|get|"
    r"require\w*|need\w*|before|after|when|"
    r"if|make|ensure|forbidden|prohibited|instead|over|package manager|managed|immutable|frozen|off|"
    r"stop|refrain|commits?|prs?|pull|"
    r"subject|title|target|base|format\w*|lint|check|search|pass|for|replace|allow\w*|"
    r"permit\w*|approv\w*|disclos\w*|submit|"
    r"consult|review|done|blank|separate|conventional|permissions?|ignore|skip|grant|feel|bypass|"
    r"disable|whitelist|allowlist|auto\w*|banned|disallowed|leave|hands|keep|load|limit|reference|refer|"
    r"draft|drafts|edits?|changes?|modify|updates?|adjust|follow|adhere|"
    r"pre|checklist|refrain|sign|signed|default|disable|start|begin|consult|branch\w*|name|characters|"
    r"chars|treat|"
    r"consider|omit|exclude|stay|finish|end|no)\b|read-only|→|>"
)
# What may look back to the unit before: "do not edit it".
LOOKS_BACK = re.compile(r"\b(?:it|them|this|these|those|that|either|the file|the output|generated)\b|"
                        r"\b(?:edit|modify|touch|change|"
                        r"update)\b[. ]*$", re.I)  # fmt: skip
NEGATIVE = re.compile(r"never|not\b|n['’]?t\b|avoid|\bno\b|[❌🚫⛔✗✘🛑]", re.I)
MODAL = re.compile(
    r"^(?:(?:you|we|agents?)\s)?(?:never|do not|must|always|should|only|avoid|use|prefer|ask|run|if|"
    r"when|before|after|no|not)\b"
)


@dataclass(frozen=True)
class Lowering:
    """One unit's account: its rules, and the reasons for what of it is no rule."""

    unit: str
    rules: tuple[Rule, ...] = ()
    left: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()  # one per rule

    @property
    def whole(self) -> bool:
        """Whether the rules say all of the unit that was a constraint."""
        return bool(self.rules) and not self.left


@dataclass(frozen=True)
class Account:
    """What became of a memory."""

    lowerings: tuple[Lowering, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for lowering in self.lowerings for rule in lowering.rules)


@dataclass
class _Draft:
    drafts: list[Draft] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def lower(unit: MemoryUnit, raw: str | None = None) -> tuple[Rule, ...] | NotEnforceable:
    """The rules of one unit, or why there are none. `raw` is the unit's text as it stands in its file, with
    which each rule gets the place of its own sentence."""
    account = account_of(unit, raw)
    return account.rules or NotEnforceable(
        unit=unit.id, reason="; ".join(account.left) or "states no constraint"
    )


def account_of(
    unit: MemoryUnit, raw: str | None = None, before: MemoryUnit | None = None, known: Known = ()
) -> Lowering:
    """One unit's rules and what of it is none, each with a reason. `before`: the unit before it in
    the file, which an "it" may look back to when both are of one paragraph. `known`: the memory's checks,
    see `known_checks`."""
    refusal = _refusal(unit)
    if refusal:
        return Lowering(unit.id, left=(refusal,))
    found = _drafts_of(unit, _last_clause(unit, before), known)
    rules: list[Rule] = []
    kinds: list[str] = []
    found.left += [f"no exact rule for “{draft.rest}”" for draft in found.drafts if draft.rest]
    for index, draft in enumerate(dict.fromkeys(found.drafts)):
        rule, fault = _rule(unit, draft, index, raw)
        if rule is None:
            found.left.append(fault)
        else:
            rules.append(rule)
            kinds.append(draft.kind)
    return Lowering(unit.id, tuple(rules), tuple(dict.fromkeys(found.left)), tuple(kinds))


def lower_all(units: Iterable[MemoryUnit], raws: dict[str, str] | None = None) -> Account:
    """The account of a memory. `raws`: texts by unit id, see `lower`."""
    known = list(units)
    pairs = zip(known, [None, *known], strict=False)
    checks = known_checks(known)
    found = [account_of(unit, (raws or {}).get(unit.id), before, checks) for unit, before in pairs]
    conflicts = tuple(conflicts_of(found))
    bad = {unit for conflict in conflicts for unit in conflict.units}
    reasons = {unit: conflict.reason for conflict in conflicts for unit in conflict.units}
    kept = [
        Lowering(one.unit, left=(*one.left, f"contradicted: {reasons[one.unit]}")) if one.unit in bad else one
        for one in found
    ]
    return Account(tuple(kept), conflicts)


def _refusal(unit: MemoryUnit) -> str:
    if unit.secret:
        return "it holds a secret"
    if unit.conflicts:
        return f"it contradicts {', '.join(unit.conflicts)}"
    return (
        hostile(unit.text)
        or hostile("\n".join(unit.heading))
        or ("it is longer than a rule can be" if len(unit.text) > 6000 else "")
    )


def _last_clause(unit: MemoryUnit, before: MemoryUnit | None) -> Clause | None:
    """The last thing that the unit before names, where it ends on the line on which this one begins."""
    if before is None or not before.spans or not unit.spans or hostile(before.text):
        return None
    ends, begins = before.spans[0], unit.spans[0]
    if ends.source != begins.source or begins.start - ends.end > 3 or "```" in before.text:
        return None
    return next((clause for clause in reversed(_clauses(before.text)) if "§" in clause.text), None)


@lru_cache(maxsize=64)
def _clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of a unit: asked for once for itself and once for what follows it."""
    return tuple(clauses(text))


def _drafts_of(unit: MemoryUnit, previous: Clause | None, known: Known) -> _Draft:
    frame = frame_of(unit.heading)
    found = _Draft()
    text = prose(unit.text)
    if previous and not (LOOKS_BACK.search(text) and NEGATIVE.search(text)) and "instead" not in text:
        previous = None
    parts = (clauses(text, previous.codes) if previous else list(_clauses(text))) if text else []
    under = replace(frame, never=False, verb="")  # after what is forbidden: a reason, a remedy
    for clause in parts:
        drafts, reason = read_clause(clause, frame if clause is parts[0] else under, previous, known)
        found.drafts += drafts
        if reason:
            found.left.append(reason)
        if "§" in clause.text:
            previous = clause
    if "```" in unit.text or "~~~" in unit.text:
        found.drafts += _fenced(unit, parts, frame)
    return found


def _fenced(unit: MemoryUnit, parts: list[Clause], frame: Frame) -> list[Draft]:
    """What the code blocks of a unit say, under the words and the headings above them."""
    last = parts[-1] if parts else flatten("")
    gates_above = frame.gates
    named, rest = find_gates(last.text)
    if named and "§" not in rest and not re.search(r"\b(?:do not|never|optional\w*)\b|^to\b", last.text):
        gates_above = tuple(named)
    template = _template(unit, parts, frame)
    if not all(scope == "" or "§" not in scope for _, scope in gates_above):
        gates_above = ()
    drafts = template + _block(unit.text, gates_above, last)
    if not gates_above and (frame.never or frame.verb in ("run", "use", "execute")):
        for number, line, _ in code_lines(unit.text):
            refused = phrases.forbid(flatten(f"do not run `{line}`")) if line else None
            drafts += [replace(draft, line=number, raw=line) for draft in refused or []]
    return drafts


def _block(text: str, above: tuple[tuple[str, str], ...], holder: Clause) -> list[Draft]:
    """Commands of code blocks under a moment: the one that the words above name, until a comment names
    another; a comment on a condition that cannot be read ends it, and any other comment ends what a comment
    began."""
    drafts: list[Draft] = []
    now, said_by = above, holder
    for number, line, comment in code_lines(text):
        if not line:
            clause = flatten(comment)
            named, _ = find_gates(clause.text)
            if named:
                kept = (
                    [gate for gate in above if gate[0] != "edit"]
                    if all(n == "edit" for n, _ in named)
                    else []
                )
                now, said_by = (*kept, *named), clause
            elif re.search(
                r"\b(?:optional\w*|or|alternatively|example|do not|never|if|when|specific|only)\b",
                clause.text,
            ):
                now, said_by = (), holder
            elif said_by is not holder:
                now, said_by = above, holder
            continue
        for draft in (gates.require_line(line, comment, now, said_by, number) or []) if now else []:
            drafts.append(replace(draft, raw=holder.raw))
    return drafts


def _template(unit: MemoryUnit, parts: list[Clause], frame: Frame) -> list[Draft]:
    """A message format whose template stands in a code block of its own."""
    lines = [line.strip() for line in unit.text.split("\n")]
    blocks = [line for line in lines if line and not line.startswith(("```", "~~~"))]
    if (
        not parts
        or len(blocks) < 2
        or not re.search(r"format|template|follow|style|consists? of|look like|pattern", parts[-1].text)
        or "§" in parts[-1].text
    ):
        return []
    about = f"{frame.above} {parts[-1].text}"
    if (
        not re.search(r"commit|pull request|\bprs?\b", about)
        or messages.template_pattern(blocks[-1]) is None
        or len(blocks) > 2
    ):
        return []
    number = next(index for index, line in enumerate(lines) if line == blocks[-1])
    found = messages.message(flatten(f"use the `{blocks[-1]}` format"), about) or []
    return [replace(draft, line=number, raw=blocks[-1]) for draft in found]


def read_clause(
    clause: Clause, frame: Frame, previous: Clause | None = None, known: Known = ()
) -> tuple[list[Draft], str]:
    """Drafts of one clause in its frame, and where there are none, why not (nothing for what is no norm)."""
    text = clause.text
    if frame.silent and not TRIGGER.search(text):
        return [], ""
    if asks.asks_for_allow(clause) or (frame.allow and not MODAL.match(text)):
        return [], f"it asks for a permission, and memory can only tighten: “{_short(clause.raw)}”"
    for variant in variants(clause, frame):
        drafts = _read(variant, frame, previous, known)
        if drafts:
            return drafts, ""
    if NORM.search(text) or text.startswith("no ") or frame.never or frame.ask or frame.verb:
        return [], f"no exact rule for “{_short(clause.raw)}”"
    return [], ""


def _read(clause: Clause, frame: Frame, previous: Clause | None, known: Known) -> list[Draft] | None:
    if frame.allow:
        return phrases.forbid(clause, previous)
    words = words_of(clause.text)
    about = words_of(frame.above) if frame.above else words
    gated = bool(frame.gates) or frame.always
    return (
        (may("shared", words) and shared.not_shared(clause, previous, frame.named))
        or (
            (may("message", words) or may("message", about) or _commits(clause))
            and messages.message(clause, frame.above)
        )
        or ((may("pull", words)) and pulls.pull(clause, frame.above))
        or (may("only", words) and asks.only(clause, previous))
        or (may("ask", words) and asks.ask(clause, previous))
        or (may("source", words) and sources.sources(clause, previous))
        or (
            (gated or may("require", words))
            and gates.require(clause, frame.gates, strong=frame.always, known=known)
        )
        or (may("tests", words) and testers.tests_by(clause))
        or ((may("prefer", words) or "package" in about) and prefer.prefer(clause, frame.topic))
        or (may("forbid", words) and phrases.forbid(clause, previous))
        or (may("content", words) and content.content(clause))
        or (may("context", words) and context.session_context(clause, frame.above))
        or (may("skill", words) and context.skill(clause))
    ) or None


def _commits(clause: Clause) -> bool:
    return any(code.startswith("git commit") for code in clause.codes)


def _short(raw: str) -> str:
    text = " ".join(raw.split())
    return text if len(text) <= 80 else f"{text[:77]}…"


def _rule(unit: MemoryUnit, draft: Draft, index: int, raw: str | None) -> tuple[Rule | None, str]:
    """The rule of a draft with its cases, or why its own cases fail."""
    span = _span(unit, draft, raw)
    says = " ".join((draft.raw or unit.text).split())
    name = f"{unit.id[:80].strip('-.')}-{index + 1}" if index else unit.id[:90].strip("-.")
    rule = Rule(
        id=re.sub(r"[^a-z0-9._-]", "-", name.lower()).lstrip("._-") or "rule",
        event=draft.event,
        tool=draft.tool,
        when=draft.when,
        effect=draft.effect,
        message=says[:400],
        instead=draft.instead,
        inject=draft.inject,
        unit=unit.id,
        span=span,
    )
    cases, fault = cases_for(rule)
    if fault:
        return None, f"{fault}: “{_short(draft.raw)}”"
    return rule.model_copy(update={"cases": cases}), ""


def _span(unit: MemoryUnit, draft: Draft, raw: str | None) -> Span:
    """The place of the sentence or line that a rule comes from, in its file."""
    whole = unit.spans[0]
    if raw is None:
        return whole
    start, end = -1, 0
    if draft.line is not None:
        wanted = unit.text.split("\n")[draft.line]
        start = raw.find(wanted.strip())
        end = start + len(wanted.strip())
    else:
        start = raw.find(draft.raw) if draft.raw else -1
        end = start + len(draft.raw)
        words = draft.raw.split() if start < 0 else []
        match = re.search(r"[\s>]+".join(map(re.escape, words)), raw) if words else None
        if match:
            start, end = match.span()
    if start < 0:
        return whole
    low = len(raw[:start].encode())
    part = raw[start:end].encode()
    at = whole.start + low
    line = whole.line + len(re.findall(r"\r\n?|\n", raw[:start]))
    return whole.model_copy(update={"start": at, "end": at + len(part), "line": line, "digest": digest(part)})

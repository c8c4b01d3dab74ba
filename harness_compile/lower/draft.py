"""What the grammar makes of a clause before it is a rule, and small helpers that its parts share."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness_compile.rules import AllOf, AnyOf, Effect, Event, Predicate


@dataclass(frozen=True)
class Draft:
    """A rule without its name, place and cases. `kind` is the word the account and the measurement use."""

    kind: str
    when: Predicate
    effect: Effect = "deny"
    event: Event = "pre_tool"
    tool: str = "*"
    instead: str = ""
    inject: tuple[str, ...] = ()
    raw: str = ""
    rest: str = ""  # what of the clause could not be read and is in no draft
    line: int | None = None  # the line of a code block it came from, counted in the unit's text


@dataclass
class Found:
    """Drafts of one unit, and for the account what was a constraint and could not be said."""

    drafts: list[Draft] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def any_of(tests: list[Predicate] | tuple[Predicate, ...]) -> Predicate:
    flat = [part for test in tests for part in (test.of if isinstance(test, AnyOf) else (test,))]
    unique = list(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else AnyOf(of=tuple(unique))


def all_of(*tests: Predicate) -> Predicate:
    return tests[0] if len(tests) == 1 else AllOf(of=tests)

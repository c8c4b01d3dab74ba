"""Units that say the same, nearly the same, or the opposite: found and linked, never settled by us.

`links` finds them. *Same*: equal but for case, emphasis and punctuation. *Alike*: nearly the same words, with
the same numbers, names in code and negations. *Contradiction*: one requires what the other forbids; both
choose in the same group of tools and choose differently; both give the same attribute another value. Only
units whose scopes can meet contradict each other. One of two is preferred only where their format says so:
of nested AGENTS.md files, the one nearer to the edited file.

A unit that names a condition (`when`, `unless`) is an exception, not a contradiction, and is left out of the
first two checks. Meaning is not understood: a contradiction in other words is not found. English only.
The time is linear in the number of units but for words that very many units share; comparisons that this
bounds are counted in `skipped`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from rapidfuzz import fuzz

from distill.records import MemoryUnit

ALIKE = 90  # of 100, words sorted
OVERLAP = 0.8  # of the words of two units that are compared at all
LEAST_WORDS = 4
BUCKET = 32  # how many units with the same rare word one unit is compared with
Sort = Literal["same", "alike", "contradiction"]


@dataclass(frozen=True)
class Link:
    """Two units by id, what they are to each other and why, and the one their format prefers, if it does."""

    first: str
    second: str
    sort: Sort
    because: str
    preferred: str | None = None


@dataclass(frozen=True)
class Links:
    """What was found, and how many comparisons were left out because too many units share a word."""

    links: tuple[Link, ...]
    skipped: int = 0

    def of(self, sort: Sort) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.sort == sort)


# Groups of which a project uses one. Names as they stand in commands and prose.
GROUPS: dict[str, tuple[str, ...]] = {
    "JavaScript package manager": ("npm", "pnpm", "yarn", "bun"),
    "Python package manager": ("pip", "uv", "poetry", "pipenv", "pdm", "conda"),
    "JavaScript test runner": ("jest", "vitest", "mocha"),
    "Python test runner": ("pytest", "unittest", "nose"),
    "indentation": ("tabs", "spaces"),
    "quotes": ("single quotes", "double quotes"),
    "merging": ("merge commits", "squash", "rebase"),
    "JavaScript formatter": ("prettier", "dprint"),
    "Python formatter": ("black", "yapf", "autopep8"),
    "Python type checker": ("mypy", "pyright"),
    "test style": ("table-driven tests", "property-based tests"),
}
MEMBERS = {member: group for group, members in GROUPS.items() for member in members}
MEMBER = re.compile(
    r"(?i)(?<![\w./@-])("
    + "|".join(map(re.escape, sorted(MEMBERS, key=len, reverse=True)))
    + r")(?![\w/@-]|\.\w)"
)
# How a unit chooses: a rule for the whole project, or a command that takes the choice for granted.
CHOOSES = re.compile(
    r"(?i)\b(?:use|uses|using|prefer|prefers|always|only|stick to|package manager|"
    r"install with|managed (?:with|by)|"
    r"standardi[sz]ed? on|indent(?:ed)? with|run tests with|test runner|formatted with|"
    r"instead of|rather than|never|"
    r"not)\b"
)
CHOOSES_LAST = re.compile(CHOOSES.pattern + r"[^.;]{0,40}$")
COMMANDS = re.compile(
    r"(?:^|[`$>\s])(npm|pnpm|yarn|bun|pip|uv|poetry|pdm|pipenv) "
    r"(?:ci|i|install|add|run|test|sync)\b(?! -g\b| --global\b)"
)
INSIDE = re.compile(r"`([a-z]+) [^`\n]+`")  # the first word of a command, which is no rule about the tool
AGAINST = re.compile(
    r"(?i)(?:\b(?:not|never|don['’]?t|doesn['’]t|no|avoid|without|instead of|"
    r"rather than|over|than|replaces?|from|"
    r"forbidden|unlike|versus|vs\.?|drop(?:ped)?)\s(?:[\w,/]+\s){0,5}[`'\"*_]{0,3})$"
)

REQUIRES = re.compile(
    r"(?i)\b(?:always|must|shall|required?|requires|mandatory|make sure to|be sure to|ensure)\b"
)
FORBIDS = re.compile(
    r"(?i)\b(?:never|do not|don['’]?t|does not|must not|mustn['’]t|shall not|should not|"
    r"shouldn['’]t|may not|cannot|"
    r"can['’]t|forbidden|prohibited|not allowed|avoid|no longer)\b"
)
CONDITION = re.compile(
    r"(?i)\b(?:when|if|unless|except|only|until|while|before|after|during|where|for|"
    r"in case|without)\b|\bon (?:a|the)\b"
)
STEP = re.compile(r"(?i)\W*(?:set|change|use|add|run|pass|put|write|see)\b")
ASKS = re.compile(r"(?i)\W*(?:use|pass|add|set|run)\b")
FLAG = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]+")
COMMAND_OF = re.compile(r"`([a-z][\w.-]*(?: [a-z][\w-]*)?)(?= |`)")
ATTRIBUTE = re.compile(
    r"^(?P<subject>[^.:=|]{3,80}?)(?:\s(?:is|are|equals|defaults to|is set to|"
    r"runs on|listens on|lives (?:in|at)|"
    r"is called|is named)(?: on| at| in| set to)?\s(?:port\s)?|"
    r"\s?[:=]\s)(?P<value>[^.;]{1,60}(?:\.\w+)*)[.!]?$"
)
VALUE = re.compile(r"`[^`]+`|\"[^\"]+\"|(?:~|v)?\d[\w.,:/%-]*(?: ?[A-Za-z%]{1,12})?|[\w./@:-]+")
WORD = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*|--?[a-z][\w-]+")
CODE = re.compile(r"`[^`]*`")
EMPHASIS = re.compile(r"[*_`~]{1,3}")
EMPTY = set(
    "a an the this that these those is are be to of in on at for and or our your we you it its "
    "always must".split()
)
NEGATIVE = {
    "not",
    "no",
    "never",
    "don't",
    "without",
    "avoid",
    "except",
    "unless",
    "only",
    "cannot",
    "nor",
    "neither",
}


def links(units: Sequence[MemoryUnit]) -> Links:
    """What some units are to each other; units of one id are one. Never raises."""
    keys = [" ".join(WORD.findall(_plain(unit.text).lower())) for unit in units]
    found: dict[tuple[str, str], Link] = {}
    for link in _contradictions(units):
        found.setdefault((link.first, link.second), link)
    for link in _same(units, keys):
        found.setdefault((link.first, link.second), link)
    alike, skipped = _alike(units, keys)
    for link in alike:
        found.setdefault((link.first, link.second), link)
    return Links(tuple(found.values()), skipped)


def with_conflicts(units: Sequence[MemoryUnit], found: Links) -> tuple[MemoryUnit, ...]:
    """The units, each with the ids of those that contradict it, both ways; duplicates are no conflict."""
    others: dict[str, list[str]] = defaultdict(list)
    for link in found.of("contradiction"):
        others[link.first].append(link.second)
        others[link.second].append(link.first)
    return tuple(
        unit.model_copy(update={"conflicts": tuple(dict.fromkeys((*unit.conflicts, *others[unit.id])))})
        if unit.id in others
        else unit
        for unit in units
    )


def preferred(first: MemoryUnit, second: MemoryUnit) -> str | None:
    """The id of the unit its format prefers: of nested AGENTS.md files the deeper one, else none.

    Claude Code loads all of its files and lets none override another; Letta, OpenClaw and Pi define no order
    between statements either. Source: the AGENTS.md reference ("the closest file wins").
    """
    if len(first.spans) != 1 or len(second.spans) != 1:
        return None
    one, two = (PurePosixPath(unit.spans[0].source) for unit in (first, second))
    if {one.name, two.name} != {"AGENTS.md"} or one.parent == two.parent:
        return None
    if one.parent.is_relative_to(two.parent):
        return first.id
    return second.id if two.parent.is_relative_to(one.parent) else None


def _link(first: MemoryUnit, second: MemoryUnit, sort: Sort, because: str) -> Iterator[Link]:
    if first.id != second.id:
        best = preferred(first, second) if sort == "contradiction" else None
        yield Link(first.id, second.id, sort, because, best)


def _same(units: Sequence[MemoryUnit], keys: Sequence[str]) -> Iterator[Link]:
    """Each unit whose words were there before, linked to the first that had them."""
    first: dict[tuple[str, tuple[str, ...]], MemoryUnit] = {}
    for unit, key in zip(units, keys, strict=True):
        # a few words say different things under different headings
        place = () if key.count(" ") >= LEAST_WORDS - 1 else unit.heading
        known = first.setdefault((key, place), unit) if key else unit
        yield from _link(known, unit, "same", "the same words")


def _alike(units: Sequence[MemoryUnit], keys: Sequence[str]) -> tuple[list[Link], int]:
    """Pairs with nearly the same words, by their rare words (prefix filtering), then compared as a whole.

    Two sets that share OVERLAP of their words share one of the `size - OVERLAP * size + 1` rarest of each.
    Source: Bayardo, Ma and Srikant, Scaling Up All Pairs Similarity Search, 2007.
    """
    words = [frozenset(key.split()) for key in keys]
    often = Counter(word for some in words for word in some)
    told = [hash(tuple(frozenset(some.items()) for some in _told(unit.text))) for unit in units]
    rare: dict[tuple[str, int], list[int]] = defaultdict(list)
    found, skipped = [], 0
    for at, some in enumerate(words):
        if len(some) < LEAST_WORDS:
            continue
        prefix = sorted(some, key=lambda word: (often[word], word))[
            : len(some) - int(OVERLAP * len(some)) + 1
        ]
        near: set[int] = set()
        for word in prefix:
            same = rare[word, told[at]]
            skipped += max(0, len(same) - BUCKET)
            near.update(same[-BUCKET:])
            same.append(at)
        for other in sorted(near):
            size = max(len(some), len(words[other]))
            if min(len(some), len(words[other])) < OVERLAP * size:
                continue
            if keys[at] == keys[other] or len(some & words[other]) < OVERLAP * size:
                continue
            score = fuzz.token_sort_ratio(keys[at], keys[other], score_cutoff=ALIKE)
            if score:
                found += _link(units[other], units[at], "alike", f"{score:.0f} % the same words")
    return found, skipped


def _told(text: str) -> tuple[Counter[str], ...]:
    """What must agree before two units can be alike: numbers, code, names, and words that turn a meaning."""
    low = text.lower().replace("’", "'")
    return (
        Counter(re.findall(r"\d[\w.:/-]*", low)),
        Counter(match.strip("`") for match in CODE.findall(text)),
        Counter(word for word in WORD.findall(low) if word in NEGATIVE or word.endswith("n't")),
        Counter(re.findall(r"(?<=[\w,] )[A-Z]\w+", text)),
    )


def _contradictions(units: Sequence[MemoryUnit]) -> Iterator[Link]:
    yield from _opposed(units)
    yield from _choices(units)
    yield from _values(units)


def _opposed(units: Sequence[MemoryUnit]) -> Iterator[Link]:
    """One unit requires what another forbids: the same words but for those that require or forbid, or the
    same flag of the same command.
    """
    sides: dict[object, tuple[list[MemoryUnit], list[MemoryUnit]]] = defaultdict(lambda: ([], []))
    for unit in units:
        plain = _plain(unit.text)
        if len(plain) > 300 or "```" in unit.text or CONDITION.search(plain):
            continue
        forbids = bool(FORBIDS.search(plain))
        bare = FORBIDS.sub(" ", REQUIRES.sub(" ", plain)).lower()
        key = frozenset(map(_stem, WORD.findall(bare))) - EMPTY
        if len(key) >= 2:
            sides[key][forbids].append(unit)
        commands = COMMAND_OF.findall(unit.text)
        for flag in FLAG.findall(unit.text):
            if forbids or REQUIRES.search(plain) or ASKS.match(plain):
                sides[commands[0].split()[0] if commands else "", flag][forbids].append(unit)
    for key, (required, forbidden) in sides.items():
        what = f"{key[1]}" if isinstance(key, tuple) else "the same"
        for one, other in _pairs(required, forbidden):
            yield from _link(one, other, "contradiction", f"one requires {what}, the other forbids it")


def _choices(units: Sequence[MemoryUnit]) -> Iterator[Link]:
    """Units that choose differently in one group; one of the two at least says so as a rule."""
    rules: dict[str, dict[str, list[MemoryUnit]]] = defaultdict(lambda: defaultdict(list))
    habits: dict[str, dict[str, list[MemoryUnit]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        for group, member, firm in _chosen(unit.text):
            (rules if firm else habits)[group][member].append(unit)
    for group, members in rules.items():
        for (one, ones), (other, others) in itertools.combinations(members.items(), 2):
            for first, second in _pairs(ones, others):
                yield from _link(first, second, "contradiction", f"{group}: {one} or {other}")
        for one, ones in members.items():
            for other, others in habits[group].items():
                if other != one:
                    for first, second in _pairs(ones, others):
                        yield from _link(first, second, "contradiction", f"{group}: {one} or {other}")


def _chosen(text: str) -> Iterator[tuple[str, str, bool]]:
    """What a unit chooses: group, member, and whether as a rule. Two members of one group are no choice."""
    plain = EMPHASIS.sub("", text)
    if len(plain) > 400:
        return
    named: dict[str, dict[str, re.Match[str]]] = defaultdict(dict)
    for match in MEMBER.finditer(plain):
        if not AGAINST.search(plain[max(0, match.start() - 60) : match.start()]):
            named[MEMBERS[match[1].lower()]].setdefault(match[1].lower(), match)
    if not named:
        return
    commands = {match[1] for match in COMMANDS.finditer(text)}
    inside = {match[1] for match in INSIDE.finditer(text)}
    for group, members in named.items():
        if len(members) != 1:
            continue
        ((member, match),) = members.items()
        before = plain[: match.start()]
        if member in commands:
            yield group, member, False
        elif member not in inside and CHOOSES_LAST.search(before) and not CONDITION.search(before):
            yield group, member, True


def _values(units: Sequence[MemoryUnit]) -> Iterator[Link]:
    """Units that give one attribute different values, each a single value."""
    known: dict[object, list[tuple[str, MemoryUnit]]] = defaultdict(list)
    for unit in units:
        match = ATTRIBUTE.match(EMPHASIS.sub("", unit.text)) if len(unit.text) <= 160 else None
        if (
            not match
            or not VALUE.fullmatch(match["value"].strip())
            or STEP.match(match["subject"])
            or CONDITION.search(match["subject"])
        ):
            continue
        value = match["value"].strip(" `\"'").lower()
        subject = frozenset(map(_stem, WORD.findall(match["subject"].lower()))) - EMPTY
        if not subject or FORBIDS.search(unit.text) or not re.search(r"\w", value):
            continue
        # `the build is green`: a plain word may be one property of many; a name, code or number is a value
        single = re.search(r"[\d./@:_-]", value) or value in ("true", "false", "on", "off", "yes", "no")
        named = (
            re.fullmatch(r"[A-Z]\w+", match["value"].strip()) or f"`{match['value'].strip()}`" in unit.text
        )
        if not (single or named):
            continue
        place = () if len(subject) >= 3 or (named and len(subject) == 2) else unit.heading
        known[subject, place].append((value, unit))
    for said in known.values():
        first = said[0]
        for value, unit in said[1:]:
            if value != first[0] and _meet(first[1], unit):
                yield from _link(first[1], unit, "contradiction", f"“{first[0]}” or “{value}”")


def _pairs(
    ones: Sequence[MemoryUnit], others: Sequence[MemoryUnit]
) -> Iterator[tuple[MemoryUnit, MemoryUnit]]:
    """Pairs across two sides whose scopes can meet: every unit of the longer side once at least, not all of
    them with all, which would be quadratic and tell no more.
    """
    for at in range(max(len(ones), len(others)) if ones and others else 0):
        first, second = ones[min(at, len(ones) - 1)], others[min(at, len(others) - 1)]
        if _meet(first, second):
            yield first, second


def _meet(first: MemoryUnit, second: MemoryUnit) -> bool:
    """Whether both units can hold for one file."""
    if not first.scope.paths or not second.scope.paths:
        return True
    roots = [[re.split(r"[*?\[{]", path)[0] for path in unit.scope.paths] for unit in (first, second)]
    return any(one.startswith(two) or two.startswith(one) for one, two in itertools.product(*roots))


def _plain(text: str) -> str:
    return " ".join(EMPHASIS.sub("", text).replace("’", "'").split())


def _stem(word: str) -> str:
    """A word without the endings that do not change what it is about (`tests` and `test`)."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word

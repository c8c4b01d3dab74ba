"""Files that have to be read before something is done: "before editing `api/`, read `api/GUIDE.md`".

Not covered: files to read whatever is done (`context`).
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft
from harness_compile.lower.owed.moments import GATE_COMMANDS, find_gates
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import AllOf, Not, Path, Predicate, Seen

READ = (
    r"(?:must |should |always |first |carefully |please |you |need to |re-?)*(?:re-?)?(?:read|consult|"
    r"review|check)(?: through| and follow| the| carefully| over)*"
)
READ_BEFORE = (
    re.compile(
        rf"^(?:before|prior to|when|whenever) (?P<act>[^§,]+?(?:§\d+[^,§]*?)?),? {READ} "
        rf"(?P<what>§\d+(?:(?:,| and|, and) §\d+)*)(?P<rest>.*)$"
    ),
    re.compile(
        rf"^{READ} (?P<what>§\d+(?:(?:,| and|, and) §\d+)*)(?: (?:first|carefully))? (?:before|prior "
        rf"to) (?P<act>.+)$"
    ),
)
SAME_FILE = re.compile(
    r"^(?:always |you must )?read (?:a|the|each|every|any|existing)? ?files?(?: contents?)?(?: fully| "
    r"completely| in full)? before (?:editing|modifying|changing|you edit)(?: (?:it|them|a file|files|"
    r"any file))?$"
)


def read_first(clause: Clause) -> list[Draft] | None:
    """A file that has to be read before something is done."""
    if SAME_FILE.match(clause.text) or re.match(
        r"^(?:never|do not) (?:edit|modify) (?:a |any )?files?(?: that)? you have not read$", clause.text
    ):
        test = AllOf(of=(Path(access=("write",), exists=True), Not(of=Seen(same_file=True))))
        return [Draft(kind="require_before_commit", when=test, effect="require", raw=clause.raw)]
    for pattern in READ_BEFORE:
        match = pattern.match(clause.text)
        if not match:
            continue
        seen: list[Predicate] = []
        for mark in re.findall(r"§\d+", match["what"]):
            globs = objects.path_globs(clause.code(mark))
            if globs is None or "*" in globs[0]:
                return None
            name = globs[0].removeprefix("/")
            seen.append(Not(of=Seen(globs=(f"/{name}" if "/" in name else name,))))
        found, _ = find_gates(f"before {re.sub('^(?:you |when )', '', match['act'])}")
        moments = [name for name, _ in found if name in GATE_COMMANDS]
        if moments:
            gates: list[Predicate] = [objects.commands(GATE_COMMANDS[moment]) for moment in moments[:1]]
            return [
                Draft(
                    kind="require_before_commit",
                    when=AllOf(of=(gates[0], test)),
                    effect="require",
                    raw=clause.raw,
                )
                for test in seen
            ]
        changed = re.match(
            r"^(?:editing|modifying|changing|touching|updating|working on|working in|writing|making "
            r"changes (?:to|in)|creating|adding)\s(?P<what>.+)$",
            match["act"],
        )
        globs = objects.scope(clause, changed["what"]) if changed else None
        if globs:
            return [
                Draft(
                    kind="require_before_commit",
                    when=AllOf(of=(objects.written(globs), test)),
                    effect="require",
                    raw=clause.raw,
                )
                for test in seen
            ]
        return None
    return None

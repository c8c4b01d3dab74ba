"""Files that something else makes, and what is to be edited in their place.

Covers "`x` is generated from `y`: edit `y` instead", "treat `x` as generated", "changes go into `y`, not
`x`", "edit `y`, never `x`" and "`x` may only be updated by running `z`". The second place is refused, the
first stays free. Not covered: that a file is generated, with no word on editing it: a fact.
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft, any_of
from harness_compile.lower.refused import tails, verbs
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Path, Predicate

MARKS = r"§\d+(?:(?:,| and|, and| or) §\d+)*"
KIND = r"(?: (?:files?|folders?|director(?:y|ies)|trees?|packages?|code|modules?|outputs?|sources?|docs?))*"
OF = (
    r"(?:(?:the|all|any|every|each|everything|anything|files?|code|contents?|output|sources?|folders?|"
    r"director(?:y|ies)|of|in|under|inside|below|from|matching)\s)*"
)
MAKING = (
    r"(?:generated|built|compiled|produced|rendered|bundled|emitted|transpiled|codegenned|exported|derived|"
    r"scaffolded|synced|copied|overwritten|regenerated|rebuilt)"
)
PRODUCT = re.compile(
    rf"^(?:[\w /&-]{{3,40}}: )?{OF}(?P<what>{MARKS}){KIND} (?:is|are|gets?) "
    rf"(?:(?:an?|the|all|always|only|now|purely|fully|auto|code|machine|automatically|auto-)[ -]?)*"
    rf"(?:{MAKING}|build (?:artifacts?|outputs?|products?)|artifacts?|outputs?)\b(?P<how>.*)$"
)
AS_MADE = re.compile(
    rf"^(?:treat|consider|regard) {OF}(?P<what>{MARKS}){KIND} as (?:(?:an?|the|auto|purely|fully)[ -]?)*"
    rf"(?:{MAKING}|build|artifacts?|outputs?)\b(?: (?:code|files?|artifacts?|outputs?))*(?P<how>(?: "
    rf"(?:from|by (?:the|a|our) (?:build|generator|compiler|script|tool)|by §|assembled|and)\b.*| "
    rf"?[—,;:(].*)?)$"
)
LINK = (
    r"(?:(?:so|please|instead|always|only|just|then|and|you should|you must|should|must|to change (?:it|"
    r"them)|"
    r"to (?:update|modify|edit) (?:it|them)|if you need (?:to )?changes?|for changes),?\s)*"
)
CHANGE = r"(?:edit|change|modify|update|adjust|make (?:your |any |all |the )*(?:changes|edits) (?:to|in|at))"
RERUN = re.compile(
    rf"^{LINK}(?:re-?)?run §\d+ (?:instead of|rather than) (?:editing|changing|modifying|touching)\b"
)
REMEDY = re.compile(
    rf"^{LINK}{CHANGE} (?P<where>.+?)(?P<instead>,? instead)?(?P<end>$|,? (?:and|then|—) .*$)"
)
LATER = re.compile(rf"(?:,|:|;| —| \() ?(?=(?:so |please |instead,? )?{CHANGE} )| so (?={CHANGE} )")

CHANGES = (
    r"(?:(?:all|any|your|the|such|new|manual|further) )*(?:changes|edits|updates|fixes|additions|"
    r"modifications|"
    r"tweaks)(?: (?:to|of|for) [^§,;:]{2,60}?)?"
)
INTO = (
    r"(?:(?:should|must|always|need to|have to|are to|only) )*(?:go|goes|belongs?|be made|are made|live|be "
    r"done|"
    r"happen|be applied)(?: only)? (?:in|into|to|under|inside)"
)
NOT = r",? (?:and |but )?(?:not|never|instead of|rather than|and not|as opposed to)"
SIDE = (
    rf"(?:(?:by |directly )?(?:editing|modifying|touching|changing|patching|in|into|to|under|inside|"
    rf"directly in|"
    rf"the|its|any|generated|built|compiled|output|copy|of|from|file|files|a) ?)*(?P<bad>{MARKS}){KIND}"
)
TWO = (
    re.compile(rf"^{CHANGES} {INTO} {OF}(?P<good>{MARKS}){KIND}{NOT} {SIDE}(?P<tail>\b.*)$"),
    re.compile(
        rf"^(?:always |only |please |you (?:should|must) )*(?:{CHANGE}|make {CHANGES} (?:in|to|into)|work in|"
        rf"write to) {OF}(?P<good>{MARKS}){KIND}{NOT} {SIDE}(?P<tail>\b.*)$"
    ),
    re.compile(
        r"^(?:add|record|put|write|document|log|note|track|describe|store|place|make)\b[^§]*? (?:to|in|"
        r"into|under)"
        rf" (?:the )?(?P<good>{MARKS}){KIND}{NOT} {SIDE}(?P<tail>\b.*)$"
    ),
)
ONLY_BY = re.compile(
    rf"^{OF}(?P<what>{MARKS}){KIND} (?:(?:should|must|may|can|is to|are to) )?(?:only (?:ever )?(?:be )?|"
    rf"(?:be|is|are) only (?:to be )?)(?:updated|changed|edited|modified|regenerated|written|touched) "
    r"(?:by|via|through|using|with) (?:[a-z-]+ ){0,3}§\d+.*$"
)
HARMLESS = re.compile(r"^(?:,? (?:directly|by hand|manually|itself|yourself|instead))*(?:$|[ ,]*(?:—|\().*$)")


def sources(clause: Clause, previous: Clause | None = None) -> list[Draft] | None:
    """What must not be edited because it is made from something else, or None."""
    text = clause.text
    for pattern in TWO:
        match = pattern.match(text)
        if match and HARMLESS.match(tails.WHY.sub("", match["tail"])):
            return _refuse(clause, match["bad"], match["good"])
    match = ONLY_BY.match(text) or AS_MADE.match(text)
    if match and not re.search(r"\b(?:unless|except|if|or by hand)\b", text):
        return _refuse(clause, match["what"])
    made = PRODUCT.match(text)
    later = LATER.search(made["how"]) if made else None
    if made and later:
        return _remedied(clause, made["what"], made["how"][: later.start()], made["how"][later.end() :])
    said = PRODUCT.match(previous.text) if previous and not made else None
    return _remedied(clause, said["what"], said["how"], text) if said else None


def _remedied(clause: Clause, what: str, how: str, remedy: str) -> list[Draft] | None:
    """`what` is made from something (`how`): whether `remedy` names what is to be edited in its place."""
    if RERUN.match(remedy):
        return _refuse(clause, what)
    found = REMEDY.match(remedy)
    if not found or re.search(r"\b(?:if|when|unless|can|may)\b", remedy.partition(found["where"])[0]):
        return None
    mine, named = set(re.findall(r"§\d+", what)), set(re.findall(r"§\d+", found["where"]))
    if {clause.code(mark) for mark in mine} & {clause.code(mark) for mark in named}:
        return None
    if re.match(r"(?:it|them|this|these)\b", found["where"]):
        return None
    instead = found["instead"] or "instead" in remedy
    from_it = {clause.code(mark) for mark in named} & {clause.code(mark) for mark in re.findall(r"§\d+", how)}
    return _refuse(clause, what, " ".join(sorted(named))) if instead or from_it else None


def _refuse(clause: Clause, bad: str, good: str = "") -> list[Draft] | None:
    """Writing `bad` is refused; `good` is spared where it lies inside."""
    found = verbs.meaning(clause, f"edit {bad}", "", None)
    if found is None or not all(isinstance(test, Path) for test in found[1]):
        return None
    names = [mark for mark in re.findall(r"§\d+", bad) if objects.path_globs(clause.code(mark)) is None]
    if any(
        not re.search(
            rf"(?:in|under|inside|directory|folder) (?:the )?{name}\b|{name} (?:directory|folder)",
            clause.text,
        )
        for name in names
    ):
        return None  # a plain name may be that of a table or a variable
    spared = [
        glob for mark in re.findall(r"§\d+", good) for glob in objects.path_globs(clause.code(mark)) or ()
    ]
    tests: list[Predicate] = []
    for test in found[1]:
        assert isinstance(test, Path)
        inside = [glob for glob in spared if _inside(glob, test.globs)]
        if any(glob in test.globs for glob in spared):
            return None  # the same place on both sides
        tests.append(test.model_copy(update={"globs": (*test.globs, *(f"!{glob}" for glob in inside))}))
    instead = re.sub(r"§(\d+)", lambda match: clause.codes[int(match[1])], good.split(" ")[0]) if good else ""
    return [Draft(kind=found[0], when=any_of(tests), instead=instead, raw=clause.raw)]


def _inside(glob: str, folders: tuple[str, ...]) -> bool:
    bare = glob.strip("/")
    return any(
        bare.startswith(folder.strip("/").removesuffix("/**").rstrip("*").rstrip("/") + "/")
        for folder in folders
        if folder.endswith(("/", "/**"))
    )

"""What a residual memory must keep to say what the plan says: words that others hang on, and neighbours.

A residual is cut out of a text, and what is left beside a cut may be read as something else: two short
paragraphs as one, a sentence as more of the list above it. `staying` reads what would be left again, and as
long as that is not exactly the units that were meant to stay, keeps the units beside those that went missing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Set
from pathlib import PurePosixPath

from distill.memory.documents import Document, Memory, cut, gone_of, needed_of, words_of
from distill.memory.evidence.personal import veil
from distill.memory.markdown import parse
from distill.memory.segment import segment, words
from distill.records import MemoryUnit

ROUNDS = 6  # then a file that is still misread stays as it is
Said = tuple[str, tuple[str, ...]]  # the words of a unit, and the headings above it
Place = tuple[int, int, MemoryUnit]


def staying(memory: Memory, without: Set[str]) -> frozenset[str]:
    """Units of `without` that a residual keeps: a unit that stays hangs on their words, or would be read
    otherwise without them.

    With these routed to tokens, reading the residual again gives exactly the units that the plan left there.
    """
    kept = _hanging(memory, without)
    places: dict[str, list[Place]] = defaultdict(list)
    for unit in memory.units:
        for span in unit.spans:
            places[span.source].append((span.start, span.end, unit))
    waiting = [document for document in memory.documents if document.format in ("markdown", "json")]
    for turn in range(ROUNDS + 1):
        out, more = without - kept, set[str]()
        for document in waiting:
            here = sorted(places[document.path], key=lambda place: place[:2])
            if any(unit.id in out for _, _, unit in here):
                more |= _beside(memory, document, here, out, everything=turn == ROUNDS)
        if not more:
            return kept
        kept |= more
        kept |= _hanging(memory, without - kept)
    return kept


def _hanging(memory: Memory, without: Set[str]) -> frozenset[str]:
    """Units of `without` whose words carry a unit that stays: a bullet over a bullet."""
    kept = frozenset[str]()
    while True:
        out = without - kept
        needed = [
            frozenset((document.path, start) for start in needed_of(memory, document, out)[0])
            for document in memory.documents
        ]
        places = frozenset[tuple[str, int]]().union(*needed)
        found = {
            unit.id
            for unit in memory.units
            if unit.id in out and any((span.source, span.start) in places for span in unit.spans)
        }
        if not found:
            return kept
        kept |= found


def _beside(
    memory: Memory, document: Document, here: list[Place], out: Set[str], *, everything: bool
) -> set[str]:
    """Units that must stay as well for one document to be read as it is meant; none where it is."""
    stays = [place for place in here if place[2].id not in out]
    missing = _missing(memory, document, here, stays, out)
    if not missing:
        return set()
    if everything:
        return {unit.id for _, _, unit in here} & out
    found = set()
    for at, (_, _, unit) in enumerate(here):
        if unit.id in missing:
            before = next((u.id for _, _, u in reversed(here[:at]) if u.id in out), "")
            after = next((u.id for _, _, u in here[at + 1 :] if u.id in out), "")
            found |= {before, after}
    return found & out


def _missing(
    memory: Memory, document: Document, here: list[Place], stays: list[Place], out: Set[str]
) -> set[str]:
    """Units that were meant to stay and would not be found again, or stand beside words that would be new."""
    best: set[str] | None = None
    titles = {unit.heading[:1] for _, _, unit in here}
    titles &= {(part.label,) for part in document.parts} if document.parts else titles
    if not document.parts and len(titles) > 1:
        titles = set()
    for imports in (True, False):  # whether lines that look like imports are some is not known here
        missing, more = _matched(stays, titles, Counter(_read(memory, document, out, imports)))
        if not missing and more:
            _, known = _matched(here, titles, Counter(_read(memory, document, frozenset(), imports)))
            missing = (
                {unit.id for _, _, unit in stays} if more - known else set()
            )  # known: what never was a unit
        if not missing:
            return set()
        best = missing if best is None or len(missing) < len(best) else best
    return best or set()


def _matched(
    places: list[Place], titles: Set[tuple[str, ...]], found: Counter[Said]
) -> tuple[set[str], Counter[Said]]:
    """The units of some places that were not found, and what was found beside them. One of `titles` may stand
    over the headings of a unit: the name of its file or block, which no heading says."""
    missing = set()
    for _, _, unit in places:
        bare = unit.heading[1:] if unit.heading[:1] in titles else unit.heading
        for said in ((unit.text, unit.heading), (unit.text, bare)):
            if found[said] > 0:
                found[said] -= 1
                break
        else:
            missing.add(unit.id)
    return missing, +found


def _read(memory: Memory, document: Document, out: Set[str], imports: bool) -> Iterator[Said]:
    """What would be found in a document without some units."""
    if document.format == "markdown":
        texts = [(cut(memory, document, out, False), PurePosixPath(document.path).name)]
    else:
        raw, gone = document.text.encode(), gone_of(memory, document, out)
        texts = [(words_of(raw, part, gone)[1], part.label) for part in document.parts]
    for text, name in texts:
        page = parse(text, imports=imports and document.format == "markdown")
        for piece in segment(page, name)[0]:
            said = words(text[piece.start : piece.end])
            yield veil(said)[0], tuple(veil(title)[0] for title in piece.heading)

"""A change of whole lines taken back from a text that somebody has changed since.

Lines that the change took out come back behind the line that they stood behind, as far as it is still there;
lines that it put in are taken out where they are as they were. Everything else stays as it is now. Not
covered: what was moved elsewhere by hand comes back where it was.
"""

from __future__ import annotations

from difflib import SequenceMatcher


def take_back(was: str, made: str, now: str) -> str:
    """`now` with the change from `was` to `made` undone."""
    old, new, lines = (text.splitlines(keepends=True) for text in (was, made, now))
    kept = {
        block.a + n: block.b + n
        for block in SequenceMatcher(None, new, lines, autojunk=False).get_matching_blocks()
        for n in range(block.size)
    }
    undo = SequenceMatcher(None, new, old, autojunk=False).get_opcodes()
    for kind, first, last, start, end in reversed(undo):
        if kind == "equal":
            continue
        before = next((kept[n] + 1 for n in range(first - 1, -1, -1) if n in kept), None)
        after = next((kept[n] for n in range(first, len(new)) if n in kept), len(lines))
        at = after if before is None else before
        for n in sorted((kept[n] for n in range(first, last) if n in kept), reverse=True):
            del lines[n]
        back = old[start:end]
        if back and at and not lines[at - 1].endswith("\n"):
            lines[at - 1] += "\n"
        if back and at < len(lines) and not back[-1].endswith("\n"):
            back[-1] += "\n"
        lines[at:at] = back
    return "".join(lines)

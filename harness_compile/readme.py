"""The README of a bundle: what it enforces and how well, what it does not, how to put it in and take it out.

Text of a memory stands in code spans, in which Markdown reads nothing, with control characters made visible.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from distill.errors import printable
from harness_compile.backends.base import CANARY, Backend
from harness_compile.rules import Bundle, Control

STRENGTHS = {
    "enforced": "nothing that the agent can write gets past",
    "guarded": "the guard reads what the agent is about to do; there are ways around, and they are named",
    "advisory": "the agent is told, and may not listen",
}


def text(bundle: Bundle, words: Mapping[str, str], backend: Backend, notes: Sequence[str]) -> str:
    """The README as Markdown."""
    return "\n".join(_lines(bundle, words, backend, notes)) + "\n"


def _lines(bundle: Bundle, words: Mapping[str, str], backend: Backend, notes: Sequence[str]) -> Iterator[str]:
    controls: dict[str, list[Control]] = {}
    for control in bundle.controls:
        controls.setdefault(control.rule, []).append(control)
    gaps = {gap.rule: gap for gap in bundle.gaps}
    yield f"# Rules of this project's memory for {backend.title}"
    yield ""
    yield f"{_many(len(bundle.rules), 'rule')}, compiled by harness-compile for version {backend.version}."
    yield "Everything here is made from the memory and can be made again; change the memory, not these files."
    yield ""
    yield "```"
    yield "harness-compile verify .                  # every rule's own cases"
    yield "harness-compile diff . --root PROJECT     # what installing would change"
    yield "harness-compile apply . --root PROJECT    # asks, writes, keeps a receipt"
    yield "harness-compile status --root PROJECT     # does it stand, is it stale, did it ever fire"
    yield "harness-compile rollback --root PROJECT   # back to the byte"
    yield "```"
    yield ""
    yield "## Files"
    yield ""
    for file in bundle.files:
        how = {"whole": "", "entries": ", single entries", "none": ", not installed"}[file.how]
        yield f"- `{file.path}` → `{file.to}`{how}"
    yield ""
    yield "## Rules"
    yield ""
    for rule in bundle.rules:
        mine = controls.get(rule.id, [])
        yield f"- **{rule.id}** {span(words.get(rule.id, rule.message))}"
        yield f"  {span(rule.message)} ({span(f'{rule.span.source}:{rule.span.line}')})"
        if mine:
            yield f"  {mine[0].strength}, by {_mechanisms(mine)}"
        if rule.id in gaps:
            gap = gaps[rule.id]
            yield f"  gap: asked to {gap.asked}, {f'it will {gap.got}' if gap.got else 'lost'}: {gap.reason}"
    yield ""
    yield "## How much that holds"
    yield ""
    strengths = Counter(mine[0].strength for mine in controls.values())
    for name, means in STRENGTHS.items():
        if strengths[name]:
            yield f"- *{name}* ({strengths[name]}): {means}"
    ways = Counter(way for mine in controls.values() for one in mine for way in one.ways_around)
    if ways:
        yield ""
        yield "Known ways around, with the number of rules that they concern:"
        yield ""
        yield from (f"- {way} ({count})" for way, count in ways.items())
        yield ""
        yield "What would close them:"
        yield ""
        yield from (f"- {one}" for one in backend.closes)
    yield ""
    yield f"## Good to know on {backend.title}"
    yield ""
    yield from (f"- {note}" for note in notes)
    yield f"- Where the guard cannot decide, it answers `{bundle.on_error}`."
    yield f"- The program `{CANARY}` does not exist and is always refused: `harness-compile status --canary`."
    if bundle.not_enforceable:
        yield ""
        yield "## What is no rule, and stays in the memory"
        yield ""
        yield from (f"- {span(one.unit)} {_plain(one.reason)}" for one in bundle.not_enforceable)


def _mechanisms(controls: Sequence[Control]) -> str:
    found = dict.fromkeys(f"{one.mechanism} in `{one.path}`" for one in controls)
    return " and ".join(found)


def span(words: str) -> str:
    """A text as a code span of one line: Markdown and terminals read nothing in it."""
    words = printable(" ".join(words.split())) or " "
    fence = "`" * (max((len(run) for run in re.findall("`+", words)), default=0) + 1)
    pad = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{fence}{pad}{words}{pad}{fence}"


def _plain(words: str) -> str:
    """A text of ours that may quote the memory: the same, without anything that Markdown reads."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", printable(" ".join(words.split())))


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"

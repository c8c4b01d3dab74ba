"""What `verify --live` prints: rule by case by mechanism by what was observed, and a summary by rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from distill.errors import printable
from distill.screen import console, table
from harness_compile.verify.live.verify import Live, Row

COLUMNS = [("Rule", {}), ("Case", {}), ("Call", {"ratio": 2}), ("Wanted", {}), ("Observed", {}), ("By", {})]


def show(live: Live, *, every: bool = False) -> None:
    """The table of one harness: every case, or what is not as wanted and one line a rule."""
    out = console()
    if live.state == "not verified":
        out.print(Text(f"{live.harness}: not verified: {printable(live.why)}", "yellow"), soft_wrap=True)
        return
    shown = [row for row in live.rows if every or row.good is not True]
    if shown:
        out.print(table(COLUMNS, [_cells(row) for row in shown]))
    for rule, rows in by_rule(live.rows):
        out.print(Text(f"  {printable(rule)}: {summary(rows)}"), soft_wrap=True)
    for one in live.questions:
        style = "green" if one.good else "red"
        came = f"{'asked' if one.asked else 'not asked'}, {'ran' if one.ran else 'did not run'}"
        words = f"  {one.rule}, answered {one.answer}: {one.call}: {came}"
        out.print(Text(printable(words), style), soft_wrap=True)
    if live.unasked:
        words = f"  questions with somebody there are not verified: {live.unasked}"
        out.print(Text(words, "yellow"), soft_wrap=True)
    count = sum(row.good is True for row in live.rows)
    tried = sum(row.good is not None for row in live.rows)
    version = live.version if live.version == live.pinned else f"{live.version} (known: {live.pinned})"
    left = len(live.rows) - tried
    line = f"{live.harness} {version}: {count} of {tried} cases as wanted, {left} not attempted, "
    style = "green" if live.state == "verified" else "red"
    out.print(Text(f"{line}{live.sessions} sessions, {live.seconds:.0f} s", style), soft_wrap=True)


def _cells(row: Row) -> Sequence[str | Text]:
    style = {True: "green", False: "red", None: "dim"}[row.good]
    call = row.call + (" (in a sub-agent)" if row.inside else "")
    by = row.mechanism or (row.said if row.observed in ("not attempted", "failed") else "")
    return row.rule, str(row.case), call, row.wanted, Text(row.observed, style), by[:160]


def by_rule(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each rule, in their order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.rule, []).append(row)
    return list(found.items())


def summary(rows: Sequence[Row]) -> str:
    """How often a rule was seen to stop, to tell and to let through, and by what."""
    parts = []
    for wanted, word in (("refused", "stopped"), ("told", "told"), ("runs", "let through")):
        mine = [row for row in rows if row.wanted == wanted and row.good is not None]
        if mine:
            by = sorted({row.mechanism for row in mine if row.mechanism})
            parts.append(f"{word} {sum(row.good is True for row in mine)} of {len(mine)}" + _by(by))
    left = sum(row.good is None for row in rows)
    return ", ".join([*parts, *([f"{left} not attempted"] if left else [])]) or "nothing attempted"


def _by(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""

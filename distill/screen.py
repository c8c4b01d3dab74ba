"""What commands print: one table, warnings, and the next command. Never a control character from a memory."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.errors import printable
from distill.memory import Memory
from distill.memory.evidence.personal import veil
from distill.records import MemoryUnit, Plan, plain

STYLES = {"weights": "green", "harness": "cyan", "tokens": "yellow"}


def console(*, stderr: bool = False) -> Console:
    """A console on today's stdout or stderr; off a terminal lines are as long as they need to be."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=max(made.width, 120))


def table(columns: Sequence[tuple[str, dict[str, Any]]], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table without a frame; texts are printed as they are, never as markup."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, options in columns:
        made.add_column(name, **options)
    for row in rows:
        made.add_row(*[cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row])
    return made


def show_memory(memory: Memory, next_command: str) -> None:
    """The documents of a memory, what was left out, and what to do next."""
    out = console()
    counts = Counter(span.source for unit in memory.units for span in unit.spans)
    rows = [
        (
            document.path,
            ", ".join(document.scope.paths) or "everywhere",
            f"{len(document.text.encode()):,}",
            str(counts[document.path]),
        )
        for document in memory.documents
    ]
    number = {"justify": "right", "no_wrap": True}
    out.print(table([("file", {}), ("holds for", {}), ("bytes", number), ("units", number)], rows))
    warn(memory.warnings)
    kinds = ", ".join(
        f"{count} {kind}" for kind, count in Counter(unit.kind for unit in memory.units).most_common()
    )
    secrets = sum(unit.secret for unit in memory.units)
    line = f"\n{_many(len(memory.units), 'unit')}: {kinds}" + (
        f"; {secrets} with a secret" if secrets else ""
    )
    out.print(Text(line))
    _next(next_command)


def show_found(files: Sequence[tuple[str, str]], recipe: str, next_command: str) -> None:
    """The memory files that were found, the recipe that was written, and what to do next."""
    out = console()
    out.print(table([("format", {"no_wrap": True}), ("file", {"overflow": "fold"})], files))
    out.print(Text(f"\n{_many(len(files), 'file')}; wrote {printable(recipe)}"))
    _next(next_command)


def show_plan(
    units: Sequence[MemoryUnit],
    plan: Plan,
    saved: tuple[int, int],
    warnings: Sequence[str],
    most: int,
    after: Sequence[str],
    probing: str = "",
) -> None:
    """Unit, place, reason and tokens of each route (the first `most`), the sum, and what to do next.

    `saved` are the tokens that leave the context of each call, and of calls that load files on demand.
    `probing` says how many probes a check will ask.
    """
    out = console()
    rows = []
    for unit, route in zip(units[:most], plan.routes[:most], strict=True):
        place = Text(route.to, style=STYLES[route.to])
        slug, _, code = unit.id.rpartition("-")
        name = Text.assemble(printable(slug), (f"-{code}", "dim"))
        rows.append((name, _place(unit), place, route.because, str(route.tokens)))
    columns = [
        ("unit", {"overflow": "fold", "min_width": 24}),
        ("where", {"overflow": "fold"}),
        ("place", {"no_wrap": True}),
        ("because", {}),
        ("tokens", {"justify": "right", "no_wrap": True}),
    ]
    out.print(table(columns, rows))
    if len(units) > most:
        out.print(Text(f"… and {len(units) - most} more (--all shows them)", style="dim"))
    warn(warnings)
    sums = tokens_by_place(plan)
    parts = [
        f"{len(plan.units(place))} to {place}" + (f" ({sums[place]:,} tokens)" if place in sums else "")
        for place in ("weights", "harness", "tokens")
        if plan.units(place)
    ]
    out.print(Text(f"\n{_many(len(units), 'unit')}: {', '.join(parts)}"))
    more = f", and {saved[1]:,} where files are loaded on demand or for some paths" if saved[1] else ""
    out.print(Text(f"about {saved[0]:,} tokens saved in each call{more}"))
    if probing:
        out.print(Text(probing))
    for command in after:
        _next(command)


def show_unit(said: dict[str, Any], *, as_json: bool) -> None:
    """All that `plan.explained` says of one unit."""
    if as_json:
        print_json(said)
        return
    unit, route, out = said["unit"], said["route"], console()
    facts = [
        ("unit", unit.id),
        ("says", unit.statement),
        ("where", ", ".join(f"{span.source}:{span.line}" for span in unit.spans)),
        ("kind", unit.kind),
        ("holds for", ", ".join(unit.scope.paths) or "everywhere"),
        ("history", _history(unit)),
        *((f"its {name}", value) for name, value in unit.marks.items()),
        *((link["sort"], f"{link['unit']} ({link['because']})") for link in said["links"]),
    ]
    out.print(table([("", {"no_wrap": True}), ("", {"overflow": "fold"})], facts))
    rows, decided = [], False
    for rule, answer in said["rules"]:
        words = f"{answer[0]}: {answer[1]}" if answer else "–"
        first = answer is not None and not decided
        rows.append((rule, Text(printable(words), style="bold" if first else "dim")))
        decided = decided or first
    out.print(table([("rule", {"no_wrap": True}), ("the first answer counts", {"overflow": "fold"})], rows))
    out.print(Text.assemble((f"\n{route.to}", STYLES[route.to]), f": {printable(route.because)}"))


def show_diff(memory: Memory, left: Mapping[str, str]) -> None:
    """What leaves each file of a memory, as a unified diff; personal data and secrets stay covered."""
    out = console()
    for document in memory.documents:
        before, after = (text.splitlines() for text in (document.text, left[document.path]))
        for line in difflib.unified_diff(
            before, after, document.path, f"residual/{document.path}", lineterm="", n=1
        ):
            style = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1], "")
            out.print(Text(printable(veil(line)[0]), style=style), soft_wrap=True)


def _history(unit: MemoryUnit) -> str:
    if unit.last_changed is None:
        return "none is known"
    first, last = (str(when)[:10] for when in (unit.first_seen, unit.last_changed))
    return f"first seen on {first}, last changed on {last}, rewritten {unit.edits} times"


def show_synthesis(manifest: dict[str, Any], folder: str, next_command: str) -> None:
    """What the self-study kept and dropped, and what to do next."""
    rows = [(family, str(count)) for family, count in manifest["families"].items()]
    console().print(table([("family", {}), ("samples", {"justify": "right"})], rows))
    dropped = ", ".join(f"{count} {reason}" for reason, count in manifest["dropped"].items()) or "none"
    below = manifest["coverage"]["below"]
    console().print(
        Text(
            f"\n{manifest['asked']:,} questions asked, {manifest['kept']:,} samples kept; dropped: {dropped}"
        )
    )
    if below:
        target = manifest["coverage"]["target"]
        console().print(Text(f"{_many(len(below), 'unit')} below the target of {target} samples"))
    console().print(Text(f"dataset: {folder}"))
    _next(next_command)


def show_adapter(steps: int, losses: Sequence[float], folder: str, next_command: str) -> None:
    """What training did, where the adapter is, and what to do next."""
    console().print(
        Text(f"{steps} steps, loss {losses[0]:.3f} to {losses[-1]:.3f} nats a token\nadapter: {folder}")
    )
    _next(next_command)


def show_run(report: str, next_command: str) -> None:
    """Where the report is, and what to try."""
    console().print(Text.assemble(("report: ", "dim"), report), soft_wrap=True)
    _next(next_command)


def show_ahead(ahead: Any, command: str) -> None:
    """What a run will take (`cost.Ahead`), by kind of work, and what to change where it does not fit."""
    number = {"justify": "right", "no_wrap": True}
    rows = [
        (row.what, f"{row.tokens:,}" if row.tokens else "", span(row.seconds), span(row.cpu))
        for row in ahead.rows
    ]
    rows.append(
        ("in all", f"{sum(row.tokens for row in ahead.rows):,}", span(ahead.seconds), span(ahead.cpu))
    )
    columns = [("work", {}), ("tokens", number), ("time", number), ("of the processors", number)]
    out = console()
    out.print(table(columns, rows))
    held = f"{size(ahead.peak)} at most" if ahead.peak else "not measured"
    counted = f", {size(ahead.counted)} by count" if ahead.counted else ""
    out.print(Text(f"\ndevice: {printable(ahead.device)}, {size(ahead.left)} left"))
    out.print(Text(f"memory: {held}{counted}; disk: {size(ahead.disk)}"))
    warn(ahead.notes)
    if ahead.fits is None:
        out.print(Text("fits: nothing that is known here; take a smaller base or a larger device"))
        return
    keys = {
        "base.quantize": "quantize",
        "train.checkpointing": "checkpointing",
        "train.batch_tokens": "batch_tokens",
        "synth.batch_size": "batch_size",
    }
    pairs = [(key, getattr(ahead.wanted, name), getattr(ahead.fits, name)) for key, name in keys.items()]
    moved = [f"--set {key}={json.dumps(new).strip(chr(34))}" for key, old, new in pairs if old != new]
    out.print(Text("fits: as the recipe says" if not moved else "fits: with the words added below"))
    _next(" ".join([command, *moved]))


def span(seconds: float | None) -> str:
    """Seconds in words: 40 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return "not measured"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
    )


def size(count: float) -> str:
    """Bytes in words: 1.5 GB, 320 MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6)):,} MB"


def tokens_by_place(plan: Plan) -> dict[str, int]:
    """Tokens in context of the units of each place that has some."""
    sums: Counter[str] = Counter()
    for route in plan.routes:
        sums[route.to] += route.tokens
    return dict(sums)


def warn(warnings: Iterable[str]) -> None:
    """Print warnings on stderr, one a line."""
    for warning in warnings:
        console(stderr=True).print(Text(f"warning: {printable(warning)}", style="yellow"), soft_wrap=True)


def show_again(lines: Sequence[str]) -> None:
    """On stderr, before long work: what of an earlier run is done again, and why."""
    for line in lines:
        console(stderr=True).print(Text(printable(line)), style="dim")


def print_json(value: Any) -> None:
    """Print the machine form on stdout."""
    print(json.dumps(plain(value), indent=2))  # in ASCII: no control character of a memory reaches a terminal


def _place(unit: MemoryUnit) -> str:
    first = unit.spans[0]
    return f"{first.source}:{first.line}" + (f" (+{len(unit.spans) - 1})" if len(unit.spans) > 1 else "")


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def _next(command: str) -> None:
    console().print(Text.assemble(("next: ", "dim"), (command, "bold")), soft_wrap=True)

"""How well the grammar lowers real memories, against lines that a person labelled.

    python -m tests.bench.lowering CORPUS [--half dev|test] [--misses]

CORPUS holds `gold_dev.jsonl` (or another file, --gold) and the files that it names. Each labelled line is
compiled alone: only the rules whose place is that line count, and only they decide its cases. Printed with
95 % Wilson intervals, for all rows and for those labelled with high confidence: precision (of the controls on
labelled lines, how many are on lines labelled enforceable and of a matching kind), recall (of enforceable
lines, how many were lowered), must_block stopped, must_allow passed. Halves are made by a hash of the file's
name: the grammar was written looking at `dev` alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from distill.memory import read
from harness_compile.lower import account_of, known_checks
from harness_compile.rules import Rule
from harness_compile.runtime.guard import decide

SAME = {  # one control under another label: a refused command, a refused path, something owed at a gate
    "deny_command": {"prefer_tool", "ask_command"},
    "prefer_tool": {"deny_command", "toolset"},
    "ask_command": {"deny_command", "deny_path_write"},
    "deny_path_write": {"ask_command", "deny_command"},
    "deny_path_read": set(),
    "require_command_after_edit": {"require_before_commit"},
    "require_before_commit": {"require_command_after_edit"},
    "toolset": {"prefer_tool"},
    "session_context": set(),
    "content_rule": set(),
}
STOPPED = ("deny", "ask", "require")


@dataclass
class Row:
    """One labelled line and what became of it."""

    gold: dict[str, Any]
    rules: list[Rule] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    line: list[Rule] = field(default_factory=list)  # its line's rules, where rows share it
    beside: list[str] = field(default_factory=list)  # what rows of its kind on the same line quote

    @property
    def kind(self) -> str:
        return "content_rule" if self.gold.get("subkind") == "content_rule" else self.gold["kind"]

    @property
    def judged(self) -> list[Rule]:
        """The rules that decide its cases: where several rows share a line, not those whose command
        another of these rows quotes and this one does not."""
        own = self.gold["quote"]
        mine = [
            rule
            for rule in self.line
            if quoted(rule, own) or not any(quoted(rule, other) for other in self.beside)
        ]
        return mine or self.rules

    @property
    def enforceable(self) -> bool:
        return self.gold["kind"] != "not_enforceable"

    def right(self, kind: str, *, strict: bool) -> bool:
        return kind == self.kind or (not strict and self.kind in SAME.get(kind, set()))


def quoted(rule: Rule, quote: str) -> bool:
    """Whether the words of a command that the rule is about stand in a quote."""
    data = json.dumps(rule.when.model_dump(mode="json", exclude_defaults=True))
    for program, sub in re.findall(r'"program": \["([^"]+)".*?\](?:, "sub": \[\[([^\]]*)\])?', data):
        words = [program.removeprefix("./"), *re.findall(r'"([^"]+)"', sub)]
        if program not in ("git", "gh", "glab") and all(word in quote for word in words):
            return True
    return False


def half(name: str) -> str:
    return "test" if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 else "dev"


def compile_file(folder: Path, name: str, rows: list[Row]) -> tuple[int, list[str]]:
    """Gives each row the rules of its line; how many rules the file has, and those on no labelled line."""
    memory = read([("agents_md", folder / name)])
    texts = {document.path: (folder / name).read_bytes() for document in memory.documents}
    emitted, stray, before = 0, [], None
    lines, checks = {row.gold["line"] for row in rows}, known_checks(memory.units)
    for unit in memory.units:
        whole = unit.spans[0]
        data = texts.get(whole.source, b"")
        raw = data[whole.start : whole.end].decode()
        account = account_of(unit, raw, before, checks)
        before = unit
        last = whole.line + raw.count("\n")
        emitted += len(account.rules)
        for rule, kind in zip(account.rules, account.kinds, strict=True):
            if rule.span.line not in lines:
                stray.append(f"{name}:{rule.span.line} {kind} {rule.message[:140]!r}")
        for row in rows:
            if whole.line <= row.gold["line"] <= last:
                row.left += account.left
        for rule, kind in zip(account.rules, account.kinds, strict=True):
            said = data[rule.span.start : rule.span.end].decode()
            there = [row for row in rows if row.gold["line"] == rule.span.line]
            inside = [row for row in there if row.gold["quote"] in said or said in row.gold["quote"]] or there
            fitting = [row for row in inside if row.right(kind, strict=True)] or inside
            sharing = [row for row in there if row.enforceable]
            for row in inside if len(sharing) > 1 else ():
                row.line.append(rule)
                same = [other for other in sharing if other is not row and other.kind == row.kind]
                row.beside = [other.gold["quote"] for other in same]
            for row in fitting[:1] if len(fitting) == 1 or len(inside) == 1 else fitting:
                row.rules.append(rule)
                row.kinds.append(kind)
    return emitted, stray


CALL = re.compile(
    r"^(?:\[(?P<state>[^\]]*)\]\s*)?(?P<tool>[A-Za-z_]\w*)(?:\((?P<arg>.*)\))?(?:\{(?P<what>.*)\})?$", re.S
)
NAMED = re.compile(r"(\w+)=('[^']*'|\"[^\"]*\"|[^,]*)(?:, |$)")


def call_of(text: str) -> dict[str, Any]:
    """A labelled call as a neutral call. Raises ValueError where it is none."""
    match = CALL.match(text)
    if not match:
        raise ValueError(text)
    tool, arg, what = match["tool"], match["arg"] or "", match["what"]
    call: dict[str, Any] = {"tool": tool, "input": {}}
    branch = re.search(r"branch\s*[=:]?\s*([\w./-]+)", match["state"] or "")
    if re.search(r"session\s*=\s*(?:group|shared|public)", match["state"] or ""):
        call["shared"] = True
    if branch:
        call["branch"] = branch[1]
    if tool == "Bash":
        call["input"] = {"command": arg}
    elif tool == "Stop":
        call["event"] = "stop"
    elif tool in ("Read", "Write", "Edit", "MultiEdit", "NotebookEdit"):
        place, *more = arg.split(", ")
        call["input"] = {"file_path": place} | {
            name: value for part in more for name, _, value in [part.partition("=")]
        }
        call["exists"] = [] if tool == "Write" else [place]
        text = (what or "").strip()
        removed = text.startswith("-")
        if tool == "Write":
            call["input"]["content"] = text or "x\n"
        elif tool == "Edit":
            body = text.lstrip("+- ") or "new words"
            call["input"] |= {
                "old_string": body if removed else "old words",
                "new_string": "" if removed else body,
            }
    else:
        call["input"] = {name: value.strip("'\"") for name, value in NAMED.findall(arg)}
    return call


def stopped(rules: list[Rule], case: str | list[str]) -> bool:
    """Whether the (last) call of a case is refused or asked about."""
    calls = [call_of(text) for text in ([case] if isinstance(case, str) else case)]
    return decide(rules, calls[-1], calls[:-1], root="/project")["decision"] in STOPPED


def share(hits: int, of: int) -> str:
    if not of:
        return "–"
    low, high = binomtest(hits, of).proportion_ci(method="wilson")
    return f"{hits}/{of} = {hits / of:.3f} ({low:.2f}–{high:.2f})"


def table(rows: list[Row], title: str, console: Console) -> None:
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))

    def count(kind: str, what: str, hit: bool) -> None:
        for key in (kind, "all" if kind != "content_rule" else ""):
            if key:
                counts[key][what][0] += hit
                counts[key][what][1] += 1

    for row in rows:
        if row.enforceable or row.kind == "content_rule":
            count(
                row.kind,
                "recall",
                bool(row.rules) and any(row.right(kind, strict=False) for kind in row.kinds),
            )
        for kind in row.kinds:
            good = row.right(kind, strict=False) and (row.enforceable or row.kind == kind)
            count(kind, "precision", good)
            count(kind, "strict", row.right(kind, strict=True))
            if kind == "content_rule":
                counts["all with content"]["precision"][0] += good
                counts["all with content"]["precision"][1] += 1
        if row.rules:
            for what in ("must_block", "must_allow"):
                for case in row.gold[what]:
                    count(row.kind, what, stopped(row.judged, case) == (what == "must_block"))
    with_content = counts["all with content"]["precision"]
    for index in (0, 1):
        with_content[index] += counts["all"]["precision"][index]
    shown = Table(title=title, box=None, header_style="dim", title_justify="left")
    for name in ("kind", "precision", "same label", "recall", "must_block stopped", "must_allow passed"):
        shown.add_column(name, no_wrap=True)
    for kind in [*sorted(key for key in counts if not key.startswith("all")), "all", "all with content"]:
        shown.add_row(
            kind,
            *(share(*counts[kind][w]) for w in ("precision", "strict", "recall", "must_block", "must_allow")),
        )
    console.print(shown)


def misses(rows: list[Row], console: Console) -> None:
    for row in rows:
        gold, name = row.gold, f"{row.gold['id']} {row.kind} {(row.gold.get('confidence') or '?')[0]}"
        if row.enforceable and not any(row.right(kind, strict=False) for kind in row.kinds):
            console.print(f"MISSED {name}: {gold['quote']!r} {row.kinds} {row.left[:2]}", markup=False)
        for rule, kind in zip(row.rules, row.kinds, strict=True):
            if not row.right(kind, strict=False):
                console.print(
                    f"WRONG {name}: {gold['quote']!r} became {kind} {rule.span.line} "
                    f"{rule.message[:80]} {rule.when.model_dump_json(exclude_defaults=True)[:200]}",
                    markup=False,
                )
        for what in ("must_block", "must_allow") if row.rules else ():
            for case in gold[what]:
                if stopped(row.judged, case) != (what == "must_block"):
                    tests = [rule.when.model_dump_json(exclude_defaults=True)[:300] for rule in row.judged]
                    console.print(f"CASE {name} {what} {case!r} {tests}", markup=False)


def main(
    corpus: Path,
    gold: Annotated[str, typer.Option(help="the labels, in CORPUS")] = "gold_dev.jsonl",
    only: Annotated[str, typer.Option("--half", help="dev or test; both when not given")] = "",
    show: Annotated[bool, typer.Option("--misses", help="print what was missed or wrong")] = False,
) -> None:
    """Compile each labelled line alone and compare."""
    console = Console(width=200)
    rows = [
        Row(json.loads(line))
        for line in (corpus / gold).read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    by_file: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if not only or half(row.gold["file"]) == only:
            by_file[row.gold["file"]].append(row)
    totals = {name: compile_file(corpus, name, found) for name, found in by_file.items()}
    if show:
        misses([row for found in by_file.values() for row in found], console)
    for part in [only] if only else ["dev", "test", "both"]:
        chosen = [row for name, found in by_file.items() if part in ("both", half(name)) for row in found]
        table(chosen, f"{part}: all {len(chosen)} rows", console)
        sure = [row for row in chosen if row.gold.get("confidence") not in ("medium", "low")]
        table(sure, f"{part}: {len(sure)} rows of high confidence", console)
        files = [name for name in totals if part in ("both", half(name))]
        emitted, stray = (
            sum(totals[name][0] for name in files),
            [one for name in files for one in totals[name][1]],
        )
        console.print(
            f"{part}: {emitted} rules from {len(files)} whole files, {len(stray)} of them on lines "
            f"without a label\n"
        )
        for one in stray if show else ():
            console.print(f"STRAY {one}", markup=False)


if __name__ == "__main__":
    typer.run(main)

"""Scores of a pocket model: `python -m distill.pocket.build --evaluate`.

All worlds, entities and open values are held out (`words.is_heldout`). Recall, abstaining and tool calls
are scored exactly;
cloze runs on sections of real Markdown files where a folder of them is given; a self-written question
counts when it is one
that its line answers, judged by the world's own tables and never by a model.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from distill.check.probes import cloze
from distill.check.scorers import exact
from distill.errors import BadMemoryError
from distill.memory import context_text, read
from distill.pocket import turns as T
from distill.pocket import world as W
from distill.records import write_atomic
from distill.synth.families import CLOZE_PROBE, FAMILIES, UNKNOWN
from distill.synth.teacher import Reader
from distill.train.model import Base, load_base

UNITS, WORLDS, SECTION = 24, 12, 600
TARGETS = {
    "recall with memory": ">= 0.95",
    "recall without": "<= 0.10",
    "abstaining": ">= 0.90",
    "tool calls that obey": ">= 0.85",
    "tool calls without memory": "<= 0.20",
    "cloze on real files": ">= 0.80",
    "cloze without memory": "<= 0.10",
    "self-written questions answerable": ">= 0.70",
}
Scores = dict[str, tuple[float, int]]


def _said(reader: Reader, questions: Sequence[str], limit: int = 64, temperature: float = 0.0) -> list[str]:
    return [a.text for a in reader.answer(questions, limit, temperature, seed=1)]


def _add(scores: dict[str, list[float]], name: str, values: Sequence[float | bool]) -> None:
    scores.setdefault(name, []).extend(float(v) for v in values)


def answerable(line: W.Line, question: str) -> bool:
    """Whether a question is one that the line answers."""
    if line.fact:
        rel, e, v = line.fact
        value = v.strip("`")
        forms = [f.format(e=e) for f in rel.asked + rel.exam + rel.apply]
        forms += [f.format(v=value) for f in rel.reverse] + [T.REVERSE_EXAM.format(name=rel.name, v=value)]
        if question in forms:
            return True
    if line.rule and question in [f.format(x=line.rule[1]) for f in line.rule[0].asked + line.rule[0].exam]:
        return True
    for form in (*T.CLOZE_FORMS, *T.QUOTE_FORMS):
        lead = form.split("{")[0]
        shown = question.removeprefix(lead)
        if shown != question and len(shown) > 2 and shown in line.text:
            return form in T.QUOTE_FORMS or not line.text.endswith(shown)
    return False


def on_worlds(base: Base, seed: int = 12345) -> Scores:
    """Recall, abstaining, tool calls and question writing on held-out worlds of 24 units."""
    r, scores, alone = random.Random(seed), {}, Reader(base, None)
    for _ in range(WORLDS):
        lines = W.fact_lines(r, UNITS - 6, True) + W.rule_lines(r, 4, True) + W.prose_lines(r, 2)
        r.shuffle(lines)
        memory = W.render(r, lines)
        reader = Reader(base, memory.text)
        facts = [x.fact for x in memory.lines if x.fact]
        asked = [
            (form.format(e=e), v) for rel, e, v in facts for form in (r.choice(rel.asked), r.choice(rel.exam))
        ]
        for name, who in (("recall with memory", reader), ("recall without", alone)):
            _add(
                scores,
                name,
                [exact(v, a) for (_, v), a in zip(asked, _said(who, [q for q, _ in asked]), strict=True)],
            )
        strangers = [x.fact for x in W.fact_lines(r, 12, True) if x.fact]
        unknown = [r.choice(rel.asked + rel.exam).format(e=e) for rel, e, _ in strangers]
        missing = [
            (rel, e)
            for rel, e, _ in strangers
            for _, e in [r.choice(facts)[:2]]
            if (rel.name, e) not in {(f[0].name, f[1]) for f in facts}
        ]
        unknown += [r.choice(rel.asked).format(e=e) for rel, e in missing[:8]]
        _add(scores, "abstaining", [exact(UNKNOWN, a) for a in _said(reader, unknown)])
        rules = [x.rule for x in memory.lines if x.rule]
        tasks = [(r.choice(k.asked + k.exam).format(x=x), T.tool_call(k, x, v)) for k, x, v in rules]
        for name, who in (("tool calls that obey", reader), ("tool calls without memory", alone)):
            _add(
                scores,
                name,
                [a == call for (_, call), a in zip(tasks, _said(who, [t for t, _ in tasks]), strict=True)],
            )
        pairs = [(x, f) for x in memory.lines for f in ("recall", "apply", "reverse", "summary")]
        written = _said(reader, [FAMILIES[f].format(line=x.statement) for x, f in pairs], temperature=1.0)
        _add(
            scores,
            "self-written questions answerable",
            [answerable(x, q) for (x, _), q in zip(pairs, written, strict=True)],
        )
    return {k: (sum(v) / len(v), len(v)) for k, v in scores.items()}


def sections(base: Base, corpus: Path) -> list[str]:
    """The first section, or run of sections, of each Markdown file that fits in 600 tokens."""
    out = []
    for path in sorted(corpus.rglob("*.md")):
        if "history" in path.parts or not path.is_file():
            continue
        taken = ""
        for piece in ("\n" + path.read_text(errors="replace")).split("\n#"):
            more = taken + ("\n#" if taken else "#") + piece
            if len(base.tokenizer(more)["input_ids"]) > SECTION:
                break
            taken = more
        if len(taken) > 200:
            out.append(taken)
    return out


def on_files(base: Base, corpus: Path, seed: int = 1) -> Scores:
    """Cloze on real Markdown, with the section in context and without it: one hidden ending of each unit."""
    r, scores, alone = random.Random(seed), {}, Reader(base, None)
    with tempfile.TemporaryDirectory() as folder:
        for section in sections(base, corpus):
            file = Path(folder) / "AGENTS.md"
            file.write_text(section)
            try:
                memory = read([("agents_md", file)])
            except BadMemoryError:  # a section of headings alone
                continue
            text = context_text(memory)
            cuts = [
                r.choice(found) for unit in memory.units if not unit.secret and (found := cloze(unit, text))
            ]
            if not cuts:
                continue
            questions = [CLOZE_PROBE.format(start=shown) for shown, _ in cuts]
            for name, who in (("cloze on real files", Reader(base, text)), ("cloze without memory", alone)):
                _add(
                    scores,
                    name,
                    [exact(hidden, a) for (_, hidden), a in zip(cuts, _said(who, questions), strict=True)],
                )
    return {k: (sum(v) / len(v), len(v)) for k, v in scores.items()}


def report(folder: Path, corpus: Path | None, card: bool = False) -> Scores:
    """Prints the table of scores with 95 % Wilson intervals; with `card`, writes the model card beside the
    weights."""
    from rich.console import Console
    from rich.table import Table
    from scipy.stats import binomtest

    base = load_base(str(folder))
    scores = on_worlds(base)
    if corpus:
        scores |= on_files(base, corpus)
    table = Table(box=None, header_style="dim")
    for name in ("score", "value", "95% interval", "n", "target"):
        table.add_column(name)
    rows = []
    for name, target in TARGETS.items():
        if name in scores:
            value, n = scores[name]
            found = binomtest(round(value * n), n).proportion_ci(method="wilson")
            rows.append((name, f"{value:.3f}", f"{found.low:.3f} - {found.high:.3f}", str(n), target))
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    if card:
        write_card(folder, base, rows)
    return scores


def write_card(folder: Path, base: Base, rows: Sequence[tuple[str, ...]]) -> None:
    """The model card: how it was trained, for how long, with what seed and which scores.

    A `note` in training.json is printed as it stands.
    """
    run = json.loads((folder / "training.json").read_text())
    config = base.model.config
    count = sum(p.numel() for p in base.model.parameters())
    table = "\n".join(
        "| " + " | ".join(row) + " |"
        for row in (("score", "value", "95% interval", "n", "target"), ("---",) * 5, *rows)
    )
    write_atomic(
        folder / "README.md",
        f"""---
license: apache-2.0
library_name: transformers
---
# The pocket base model

A {config.model_type} of {count / 1e6:.1f} M parameters ({config.num_hidden_layers} layers, {config.hidden_size} wide, vocabulary {config.vocab_size}) that reads a memory
in context and knows nothing without one. It ships with the package so that the whole job runs where nothing can be downloaded.
It is no assistant: outside the forms of its world it says little of use.

Trained from scratch by `python -m distill.pocket.build --minutes {run["minutes"]:g} --seed {run["seed"]}`: {run["step"]:,} steps, {run["tokens"] / 1e6:.1f} M tokens,
{run["seconds"] / 60:.0f} minutes on two CPU cores (torch {run["torch"]}), memories grown to {run["level"]} units. Data: the procedural world of
`distill/pocket/world.py`, with sentences of the documentation that an installation of Python {run["python"]} carries as prose to quote.
{run.get("note", "")}

Scores on worlds, entities and values that training never had, memories of {UNITS} units; cloze on sections of up to {SECTION} tokens of real
agent files (`python -m distill.pocket.build --evaluate --corpus DIR`):

{table}
""".encode(),
    )

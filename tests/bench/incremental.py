"""What the next build of a changed memory costs: generation and scoring, against those of the first build.

    python -m tests.bench.incremental --units 100 --per-unit 12

A made-up memory is distilled with the embedded model as far as the dataset (probes, questions, answers and
their targets); then single units are changed, added and removed, each from the memory before. Seconds are
processor time of this process without loading the model; training, which begins at the base again, is not in
them, nor are the arms of the check.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from distill import flow, planned
from distill.bar import Bars
from distill.recipe import load
from distill.synth import cache
from distill.train.model import load_base
from tests.bench.memories import Fact, changed, facts, text

RECIPE = """version: 1
out: {out}
memory: {{sources: [{{format: agents_md, path: {memory}}}]}}
synth: {{per_unit: {per_unit}, temperature: 1.2, replay: 0.25, max_new_tokens: 48, batch_size: 128}}
check: {{probes_per_unit: 8, min_probes: 1}}
"""


def measured(recipe: Path) -> tuple[float, int, int]:
    """Processor seconds of one synthesis, and how many questions and answers it asked the model for."""
    made: dict[str, int] = {"questions": 0, "answers": 0}
    close = cache.Cache.close

    def counting(self: cache.Cache) -> None:
        for name in made:
            made[name] += self.made[name]
        close(self)

    said = load(recipe)
    job = flow.prepare(said, *planned.planned(said, lambda name: name, redo=True))
    cache.Cache.close = counting  # type: ignore[method-assign]
    try:
        began = time.process_time()
        with Bars() as bars:
            flow.synth(job, bars)
        return time.process_time() - began, made["questions"], made["answers"]
    finally:
        cache.Cache.close = close  # type: ignore[method-assign]


def main(units: int = 100, per_unit: int = 12, seed: int = 1) -> None:
    r, first = random.Random(seed), facts(units, seed)
    load_base("pocket")  # so that no first use is in the figures
    rows: list[tuple[str, float, int, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        memory, recipe = Path(folder) / "AGENTS.md", Path(folder) / "distill.yaml"
        recipe.write_text(RECIPE.format(out=Path(folder) / "run", memory=memory, per_unit=per_unit))

        def build(words: str, of: list[Fact]) -> None:
            memory.write_text(text(of))
            rows.append((words, *measured(recipe)))

        build("first build", first)
        (Path(folder) / "run/synth/dataset/manifest.json").unlink()
        (Path(folder) / "run/probes.jsonl").unlink()
        build("nothing changed", first)
        for _ in range(3):
            at = r.randrange(units)
            build("one unit changed", [*first[:at], changed(first[at], first, r), *first[at + 1 :]])
        build("one unit added", [*first, changed(first[-1], first, r)])
        at = r.randrange(units)
        build("one unit removed", [*first[:at], *first[at + 1 :]])
    table = Table(title=f"{units} units, {per_unit} samples each")
    for head in ("build", "CPU seconds", "of the first", "questions", "answers"):
        table.add_column(head, justify="left" if head == "build" else "right")
    for words, seconds, questions, answers in rows:
        share = f"{100 * seconds / rows[0][1]:.1f}%"
        table.add_row(words, f"{seconds:.1f}", share, str(questions), str(answers))
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)

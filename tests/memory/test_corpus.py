"""Real memories, where there is a folder of them: init and plan on each, counted by format; and speed."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from distill import plan as planning
from distill.memory import context_text, find_memory, read, residual, store
from distill.memory.evidence.judge import judge
from distill.memory.formats.jsontext import unescape
from distill.memory.segment import words
from distill.recipe import load
from distill.records import digest
from distill.starter import starter


@pytest.mark.corpus
@pytest.mark.slow
def test_every_directory_is_found_read_and_planned(corpus: Path, tmp_path: Path, capsys) -> None:
    files, units, folders = Counter(), Counter(), 0
    for folder in sorted(path for path in corpus.iterdir() if path.is_dir()):
        target = tmp_path / f"{folder.name}.yaml"
        target.write_text(starter(find_memory(folder), target, "out"))
        recipe = load(target)
        sources = [(source.format, source.path) for source in recipe.memory.sources]
        memory = read(sources, folder)
        folders += 1
        for kind, _, named in find_memory(folder):
            files[kind] += len(named)
        of = {str(path): kind for kind, _, named in find_memory(folder) for path in named}
        texts = {document.path: document for document in memory.documents}
        for unit in memory.units:
            units[of.get(str(folder / unit.spans[0].source), "imported")] += 1
            for span in unit.spans:
                piece = (folder / span.source).read_bytes()[span.start : span.end]
                assert digest(piece) == span.digest
                part = next((p for p in texts[span.source].parts if p.start <= span.start < p.end), None)
                said = unescape(piece.decode(), part.layers)[0] if part else piece.decode()
                assert unit.secret or words(said) == unit.text
        judged = judge(memory)
        plan = planning.route(judged.memory.units, planning.Given(against=judged.against))
        plan = planning.settle(plan, memory)
        assert len(plan.routes) == len(memory.units)
        left = residual(memory, planning.away(plan))
        assert left.keys() == texts.keys()
        assert all(json.loads(left[path]) for path, one in texts.items() if one.format == "json")
        assert context_text(memory)
        again = tmp_path / folder.name
        found = find_memory(again) if store.save_residual(again, left, {}) else []
        kept = read([(kind, path) for kind, path, _ in found], again).units if found else ()
        assert {unit.id for unit in kept} == set(plan.units("tokens")), folder
    with capsys.disabled():
        print(f"\n{folders} directories; units (files) by format:")
        print(*(f"  {kind}: {count} ({files[kind]})" for kind, count in units.most_common()), sep="\n")
    assert folders >= 70
    assert {"openclaw", "letta_blocks", "skills", "claude_code", "agents_md", "copilot", "cursor"} <= set(
        units
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["markdown", "blocks", "jsonl"])
def test_ten_thousand_units_are_read_in_seconds(tmp_path: Path, kind: str, capsys) -> None:
    def text(count: int) -> str:
        lines = [
            f"- Service s{i} listens on port {i}, and its owner is team t{i % 97}." for i in range(count)
        ]
        if kind == "jsonl":
            return "".join(
                json.dumps({"memory": line[2:], "created_at": "2026-05-04"}) + "\n" for line in lines
            )
        lines = [f"\n## Part {i}\n\n{line}" if i % 20 == 0 else line for i, line in enumerate(lines)]
        whole = "\n".join(lines) + "\n"
        return json.dumps({"blocks": [{"label": "a", "value": whole}]}) if kind == "blocks" else whole

    path = tmp_path / {"markdown": "x.md", "blocks": "x.af", "jsonl": "x.jsonl"}[kind]
    rates = {}
    for count in (100, 1_000, 10_000):
        path.write_text(text(count))
        before = time.process_time()
        memory = read([("auto", path)])
        residual(memory, frozenset(unit.id for unit in memory.units[::2]))
        rates[count] = count / (time.process_time() - before)
        assert len(memory.units) == count
    with capsys.disabled():
        print(f"\n{kind}: " + ", ".join(f"{rate:,.0f} units a second at {n:,}" for n, rate in rates.items()))
    assert rates[10_000] > 1_000  # under ten seconds

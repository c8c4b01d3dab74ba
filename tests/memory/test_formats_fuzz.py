"""Any bytes in any file of any format: only units, or one clear error; and a plan of them.

Short here; `python -m tests.bench.fuzz` goes on for as long as it is told.
"""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.errors import BadMemoryError
from distill.memory import Memory, context_text, find_memory, read, residual
from distill.memory.evidence.judge import judge
from distill.memory.formats.jsontext import unescape
from distill.memory.formats.table import FORMATS
from distill.memory.segment import words
from distill.plan import Given, away, route, saved, settle
from distill.records import digest

FUZZ = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NAMES = """AGENTS.md CLAUDE.md .claude/rules/a.md .claude/agent-memory/x/MEMORY.md MEMORY.md topic.md SOUL.md
USER.md HEARTBEAT.md memory/2026-05-04.md system/human.md system/a/b.md reference/x.md a.af x.blocks.json
log.jsonl .codex/memories/MEMORY.md .codex/memories/memory_summary.md .deepagents/AGENTS.md memories/x.md
.pi/SYSTEM.md .cursor/rules/a.mdc .cursorrules .github/instructions/a.instructions.md GEMINI.md
.windsurf/rules/a.md
skills/x/SKILL.md rows.json""".split()
FRAGMENTS = [
    "---\n",
    "name: x\n",
    "description: d\n",
    "type: user\n",
    "metadata:\n  type: project\n",
    "globs: *.ts, {a,b}\n",
    "alwaysApply: true\n",
    "applyTo: '**'\n",
    "read_only: true\n",
    "paths: [a, 3, {b: c}]\n",
    "trigger: glob\n",
    "<!-- observed: 2026-05-04 | status: active -->\n",
    "<!-- observed:",
    "<!-- 2026-05-04 -->\n",
    "-->",
    "v1\n",
    "# Task Group: x\n",
    "scope: y\n",
    "applies_to: cwd=/a; reuse_rule=b\n",
    "## Task 1: z\n",
    "### rollout_summary_files\n",
    "- rollout_summaries/a.md (updated_at=2026-05-04)\n",
    "### keywords\n",
    "- Likes tea.\n",
    "@AGENTS.md\n",
    "AGENTS.md",
    "```\n",
    "é€😀\n",
    "\u2028",
    "\ufeff",
    "| a | b |\n|--|--|\n| 1 | x |\n",
    '{"blocks": [{"label": "a", "value": "',
    '"}]}',
    '"{\\"label\\": \\"a\\", \\"value\\": \\"One\\\\n# two\\"}"',
    '[{"memory": "One two."}, {"fact": "A b."}]',
    '{"text": "One two."}\n',
    '{"type": "user", "message": {"role": "user", "content": "No, tea."}}\n',
    '{"role": "assistant", "content": [{"type": "text", "text": "tea"}, 3]}\n',
    '"\\ud800"\n',
    "\\u12",
    "\r\n",
    "\n",
    "\n\n",
    "\0",
    "NaN",
    "[" * 50,
]
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=12).map("".join)
contents = st.one_of(texts.map(lambda text: text.encode("utf-8", "replace")), st.binary(max_size=40))
trees = st.dictionaries(st.sampled_from(NAMES), contents, min_size=1, max_size=5)


def whole(memory: Memory, root: Path) -> None:
    """Spans are true, and everything that is made of a memory can be made."""
    forms = {document.path: document for document in memory.documents}
    for unit in memory.units:
        for span in unit.spans:
            raw = (root / span.source).read_bytes()
            piece, document = raw[span.start : span.end], forms[span.source]
            assert digest(piece) == span.digest
            if unit.secret:
                continue
            if document.format == "json":
                part = next(p for p in document.parts if p.start <= span.start and span.end <= p.end)
                assert words(unescape(piece.decode(), part.layers)[0]) == unit.text
            elif document.format == "markdown":
                assert words(piece.decode()) == unit.text
    memory.model_dump_json()
    judged = judge(memory)
    planned = settle(route(judged.memory.units, Given(against=judged.against)), memory)
    assert len(planned.routes) == len(memory.units)
    assert saved(memory, away(planned)) >= (0, 0)
    everything = frozenset(unit.id for unit in memory.units)
    for without in (frozenset(), everything, frozenset(sorted(everything)[::2])):
        context_text(memory, without)
        left = residual(memory, without)
        for document in memory.documents:
            if document.format in ("json", "rows"):
                json.loads(left[document.path].removeprefix("\ufeff"))
            if not without:
                assert left[document.path] == document.text


def a_directory(root: Path, tree: dict[str, bytes]) -> None:
    """A directory of anything."""
    for name, raw in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(raw)
    try:
        found = find_memory(root)
        memory = read([(kind, path) for kind, path, _ in found], root)
    except BadMemoryError as fault:
        assert "\n" not in str(fault)
        return
    whole(memory, root)


def a_file(root: Path, raw: bytes, kind: str, name: str) -> None:
    """A file of anything, read in a format and as what it is taken for."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    for form in (kind, "auto"):
        try:
            memory = read([(form, path)])
        except BadMemoryError as fault:
            assert "\n" not in str(fault)
            continue
        whole(memory, path.parent)


KINDS = st.sampled_from(sorted(FORMATS))
FILES = st.sampled_from([*NAMES, "x.jsonl", "x.json"])


@given(trees)
@FUZZ
def test_a_directory_of_anything(tmp_path_factory, tree: dict[str, bytes]) -> None:
    a_directory(tmp_path_factory.mktemp("any"), tree)


@given(contents, KINDS, FILES)
@FUZZ
def test_a_file_of_anything_in_any_format(tmp_path_factory, raw: bytes, kind: str, name: str) -> None:
    a_file(tmp_path_factory.mktemp("any"), raw, kind, name)

"""Every format, found without being told which it is: files, marks, scopes, kinds, and what is left of it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from distill.errors import BadMemoryError
from distill.memory import Memory, context_text, find_memory, read, residual
from distill.memory.formats.table import FORMATS
from distill.memory.segment import words
from distill.recipe import Format, load
from distill.records import MemoryUnit, digest
from distill.starter import starter

SKILL = (
    "---\nname: cut-release\ndescription: How to cut one.\nallowed-tools: Bash Read\n---\n\nRun `make tag`.\n"
)
TOPIC = "---\nname: {name}\ndescription: d\n{type}\n---\n\n{text}\n"
RULE = "---\n{head}\n---\n\nName handlers after their route.\n"


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def units(memory: Memory) -> dict[str, MemoryUnit]:
    return {unit.text: unit for unit in memory.units}


def marks(memory: Memory, text: str) -> dict[str, str]:
    return units(memory)[text].marks


def true_spans(memory: Memory, root: Path) -> None:
    for unit in memory.units:
        for span in unit.spans:
            piece = (root / span.source).read_bytes()[span.start : span.end]
            assert digest(piece) == span.digest
            assert words(piece.decode()) == unit.text


CASES = [
    # format, files, the documents in load order
    ("claude_code", {"CLAUDE.md": "One two.", ".claude/rules/a.md": "Three four."}, None),
    ("claude_code", {".claude/CLAUDE.md": "One two.", ".claude/rules/b/a.md": "Three four."}, None),
    (
        "claude_code",
        {
            ".claude/agent-memory/tester/MEMORY.md": "- [Ports](ports.md): which are taken",
            ".claude/agent-memory/tester/ports.md": "The relay has 6120.",
        },
        None,
    ),
    (
        "claude_code",
        {
            "projects/-srv-shop/memory/MEMORY.md": "- [Ports](ports.md): which are taken",
            "projects/-srv-shop/memory/ports.md": TOPIC.format(
                name="Ports", type="type: project", text="The relay has 6120."
            ),
        },
        None,
    ),
    ("agents_md", {"AGENTS.md": "One two.", "web/AGENTS.md": "Three four."}, None),
    (
        "openclaw",
        {
            "AGENTS.md": "One two.",
            "SOUL.md": "Be calm and brief.",
            "USER.md": "- Likes tea.",
            "MEMORY.md": "The relay has 6120.",
            "HEARTBEAT.md": "- Look at the queue.",
            "memory/2026-05-04-launch.md": "- Launched the shop.",
        },
        None,
    ),
    ("openclaw", {"home/MEMORY.md": "One two.", "home/memory/2026-05-04.md": "Three four."}, None),
    ("openclaw", {"home/USER.md": "One two.", "home/memory/2026-05-04.md": "Three four."}, None),
    (
        "letta",
        {
            "system/human/prefs.md": "---\ndescription: p\n---\nLikes short answers.",
            "system/persona.md": "---\ndescription: p\nread_only: true\n---\nI am calm.",
            "reference/api.md": "---\ndescription: a\n---\nThe relay has 6120.",
            "skills/cut/SKILL.md": SKILL,
        },
        ["system/human/prefs.md", "system/persona.md", "reference/api.md", "skills/cut/SKILL.md"],
    ),
    ("letta_blocks", {"a.af": '{"blocks": [{"label": "human", "value": "Likes tea."}]}'}, None),
    (
        "codex",
        {".codex/AGENTS.md": "One two.", ".codex/memories/memory_summary.md": "v1\n\nThe relay has 6120."},
        None,
    ),
    ("codex", {"AGENTS.override.md": "One two."}, None),
    ("deepagents", {".deepagents/AGENTS.md": "One two.", "memories/team.md": "Three four."}, None),
    ("deepagents", {".deepagents/coder/AGENTS.md": "One two."}, None),
    ("pi", {".pi/APPEND_SYSTEM.md": "One two."}, None),
    ("pi", {".pi/agent/AGENTS.override.md": "One two."}, None),
    ("cursor", {".cursor/rules/a.mdc": "One two.", ".cursorrules": "Three four."}, None),
    (
        "copilot",
        {
            ".github/copilot-instructions.md": "One two.",
            ".github/instructions/web/a.instructions.md": "Three four.",
        },
        None,
    ),
    ("gemini", {"GEMINI.md": "One two.", ".gemini/GEMINI.md": "Three four."}, None),
    ("windsurf", {".windsurf/rules/a.md": "One two."}, None),
    ("skills", {"skills/cut-release/SKILL.md": SKILL, ".claude/skills/x/SKILL.md": SKILL}, None),
]


@pytest.mark.parametrize(("kind", "files", "order"), CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_a_format_is_found_read_and_true_to_its_files(
    tmp_path: Path, kind: str, files: dict[str, str], order: list[str] | None
) -> None:
    make(tmp_path, files)
    found = find_memory(tmp_path)
    assert [name for name, _, _ in found] == [kind]
    assert {path.relative_to(tmp_path).as_posix() for path in found[0][2]} == set(files)
    memory = read([(name, path) for name, path, _ in found])
    assert {document.path for document in memory.documents} == set(files)
    assert order is None or [document.path for document in memory.documents] == order
    assert memory.warnings == ()
    assert memory.units == read([("auto", tmp_path)]).units
    if kind != "letta_blocks":
        true_spans(memory, tmp_path)


def test_a_file_belongs_to_the_first_format_that_knows_it(tmp_path: Path) -> None:
    make(tmp_path, {"bot/SOUL.md": "Be calm.", "bot/IDENTITY.md": "Name: Io.", "bot/AGENTS.md": "One two."})
    make(tmp_path, {"AGENTS.md": "Three four.", "bot/CLAUDE.md": "Five six."})
    assert [(kind, len(files)) for kind, _, files in find_memory(tmp_path)] == [
        ("openclaw", 3),
        ("claude_code", 1),
        ("agents_md", 1),
    ]
    assert len(read([("auto", tmp_path)]).documents) == 5


@pytest.mark.parametrize(
    "files",
    [
        {"docs/system/start.md": "---\ntitle: Start\ndescription: d\n---\nOne two."},
        {"system/notes.md": "One two."},
        {"MEMORY.md": "One two."},
        {"USER.md": "One two."},
        {"notes/a.jsonl": '"One two."\n'},
        {".hidden/CLAUDE.md": "One two."},
        {".claude/worktrees/x/CLAUDE.md": "One two."},
        {"rows.jsonl": '{"type": "user", "message": {"role": "user", "content": "hello"}}\n'},
    ],
)
def test_what_is_no_memory_is_not_taken_for_one(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(BadMemoryError, match="no memory was found here"):
        find_memory(make(tmp_path, files))


@pytest.mark.parametrize(
    "head", ["type: feedback", "metadata:\n  type: feedback\nmodified: 2026-05-04T10:00:00Z"]
)
def test_auto_memory_has_its_type_in_both_layouts(tmp_path: Path, head: str) -> None:
    text = "<!-- 2026-05-01 -->\nTests run in order.\n\n<!-- 2026-05-03 (updated) -->\nNever skip one."
    make(
        tmp_path,
        {"MEMORY.md": "- [Tests](t.md): how", "t.md": TOPIC.format(name="Tests", type=head, text=text)},
    )
    memory = read([("claude_code", tmp_path)])
    said = marks(memory, "Never skip one.")
    assert (said["type"], said["role"], said["loads"]) == ("feedback", "topic", "on demand")
    assert said["observed"] == "2026-05-03"
    assert marks(memory, "Tests run in order.")["observed"] == "2026-05-01"
    assert said.get("modified") == ("2026-05-04T10:00:00Z" if "modified" in head else None)
    assert units(memory)["Never skip one."].heading == ("Tests",)
    assert marks(memory, "[Tests](t.md): how")["role"] == "index"
    assert {unit.scope.level for unit in memory.units} == {"agent"}


def test_a_subagents_memory_names_its_agent(tmp_path: Path) -> None:
    make(tmp_path, {".claude/agent-memory-local/tester/MEMORY.md": "- The relay has 6120."})
    assert marks(read([("auto", tmp_path)]), "The relay has 6120.")["agent"] == "tester"


USER = """# USER.md

```md
<!-- observed: 2020-01-01 | status: active -->
- Prefer examples.
```

<!-- observed: 2026-05-04 | status: superseded -->

- Prefer long answers.

<!-- observed: 2026-06-01 | status: active -->
- Prefer short answers.
- Always greet first. <!-- observed: 2026-07-01 | status: active -->

## Work

- Builds shops.
"""


def test_entries_of_a_user_model_have_their_date_and_status(tmp_path: Path) -> None:
    make(tmp_path, {"USER.md": USER, "SOUL.md": "Be calm."})
    memory = read([("auto", tmp_path)])
    said = {
        text: (unit.marks.get("observed"), unit.marks.get("status")) for text, unit in units(memory).items()
    }
    assert said["Prefer long answers."] == ("2026-05-04", "superseded")
    assert said["Prefer short answers."] == ("2026-06-01", "active")
    assert next(value for text, value in said.items() if text.startswith("Always")) == (
        "2026-07-01",
        "active",
    )
    assert said["Builds shops."] == (None, None)
    assert said["Be calm."] == (None, None)
    assert marks(memory, "Be calm.")["role"] == "persona"
    assert {document.path: document.scope.level for document in memory.documents}["USER.md"] == "user"
    gone = frozenset({units(memory)["Prefer long answers."].id})
    left = residual(memory, gone)["USER.md"]
    assert "superseded" not in left
    (tmp_path / "USER.md").write_text(left)
    again = read([("auto", tmp_path)])
    assert {(unit.id, *sorted(unit.marks.items())) for unit in again.units} == {
        (unit.id, *sorted(unit.marks.items())) for unit in memory.units if unit.id not in gone
    }


def test_roles_of_a_workspace(tmp_path: Path) -> None:
    files = {
        "HEARTBEAT.md": "One a.",
        "DREAMS.md": "Two b.",
        "memory/2026-05-04.md": "Three c.",
        "memory/x.md": "D e.",
    }
    memory = read([("openclaw", make(tmp_path, files))])
    assert {text: (unit.marks["role"], unit.marks["loads"]) for text, unit in units(memory).items()} == {
        "One a.": ("heartbeat", "on demand"),
        "Two b.": ("dreams", "never"),
        "Three c.": ("daily", "on demand"),
        "D e.": ("notes", "on demand"),
    }
    assert marks(memory, "Three c.")["observed"] == "2026-05-04"


def test_an_empty_file_of_a_directory_is_a_warning(tmp_path: Path) -> None:
    memory = read([("auto", make(tmp_path, {"HEARTBEAT.md": "\n", "SOUL.md": "Be calm."}))])
    assert memory.warnings == ("HEARTBEAT.md: is empty and is left out",)


def test_a_context_repository_has_labels_and_what_is_read_only(tmp_path: Path) -> None:
    files = {
        "system/human/prefs.md": "---\ndescription: p\nread_only: true\n---\nLikes tea.",
        "notes/x.md": "---\ndescription: p\n---\nLikes milk.",
        "system/memory_filesystem.md": "- system/\n  - human/",
    }
    memory = read([("auto", make(tmp_path, files))])
    assert len(memory.documents) == 2
    assert units(memory)["Likes tea."].heading == ("human/prefs",)
    assert marks(memory, "Likes tea.") == {
        "role": "system",
        "loads": "always",
        "label": "human/prefs",
        "read_only": "true",
    }
    assert marks(memory, "Likes milk.") == {"role": "reference", "loads": "on demand", "label": "notes/x"}


def test_a_skill_is_a_procedure_and_what_it_may_use_is_no_restriction(tmp_path: Path) -> None:
    text = SKILL.replace("Run `make tag`.", "Run `make tag`.\n\nNever push tags by hand.")
    text = text.replace(
        "allowed-tools: Bash Read", "allowed-tools: Bash Read\ndisallowed-tools: [Write, Edit]"
    )
    memory = read([("auto", make(tmp_path, {"skills/cut-release/SKILL.md": text}))])
    assert {unit.kind for unit in memory.units} == {"procedure"}
    assert {unit.heading for unit in memory.units} == {("cut-release",)}
    said = marks(memory, "Never push tags by hand.")
    assert said == {
        "role": "skill",
        "loads": "on demand",
        "skill": "cut-release",
        "disallowed_tools": "Write Edit",
    }
    assert "Read" not in str([unit.model_dump() for unit in memory.units])


@pytest.mark.parametrize(
    ("name", "head", "loads", "paths", "warned"),
    [
        ("x.mdc", "alwaysApply: true\nglobs: src/**", "always", (), False),
        ("x.mdc", "globs: *.ts, src/{a,b}/*\nalwaysApply: false", "by path", ("*.ts", "src/{a,b}/*"), False),
        ("x.mdc", "description: when naming\nalwaysApply: false", "on demand", (), False),
        ("x.mdc", 'alwaysApply: "true"', "manual", (), True),
        ("x.mdc", "alwaysApply: true # all", "always", (), False),
        ("x.instructions.md", 'applyTo: "**/*.ts,**/*.tsx"', "by path", ("**/*.ts", "**/*.tsx"), False),
        ("x.instructions.md", 'applyTo: "**"', "always", (), False),
        ("x.instructions.md", "description: d", "manual", (), False),
    ],
)
def test_rules_say_when_they_are_loaded(
    tmp_path: Path, name: str, head: str, loads: str, paths: tuple[str, ...], warned: bool
) -> None:
    folder = ".cursor/rules" if name.endswith(".mdc") else ".github/instructions"
    memory = read([("auto", make(tmp_path, {f"{folder}/{name}": RULE.format(head=head)}))])
    assert memory.units[0].marks["loads"] == loads
    assert memory.units[0].scope.paths == paths
    assert bool(memory.warnings) == warned
    alone = read([("auto", tmp_path / folder / name)])
    assert [unit.marks for unit in alone.units] == [unit.marks for unit in memory.units]


@pytest.mark.parametrize(
    ("head", "loads", "paths"),
    [
        ("trigger: always_on", "always", ()),
        ("trigger: glob\nglobs: '*.py'", "by path", ("*.py",)),
        ("trigger: model_decision", "on demand", ()),
        ("trigger: manual", "manual", ()),
    ],
)
def test_windsurf_triggers(tmp_path: Path, head: str, loads: str, paths: tuple[str, ...]) -> None:
    unit = read([("auto", make(tmp_path, {".windsurf/rules/x.md": RULE.format(head=head)}))]).units[0]
    assert (unit.marks["loads"], unit.scope.paths) == (loads, paths)


HANDBOOK = """# Task Group: shop / release work

scope: how the shop is released
applies_to: cwd=/srv/shop; reuse_rule=safe on any checkout

## Task 1: cut a release, success

### rollout_summary_files

- rollout_summaries/a.md (cwd=/srv/shop, updated_at=2026-05-04T10:00:00Z, thread_id=1)
- rollout_summaries/b.md (cwd=/srv/shop, updated_at=2026-06-04T10:00:00Z, thread_id=2)

### keywords

- tag, release, changelog

## Reusable knowledge

- Tags are made by `make tag`. [Task 1]

# Task Group: relay

scope: the relay

## User preferences

- Prefers one commit a change. [Task 1]
"""


def test_a_handbook_says_what_supports_it(tmp_path: Path) -> None:
    files = {
        "memory_summary.md": "v1\n\n## Profile\n\nLikes tea.\n",
        "MEMORY.md": HANDBOOK,
        "raw_memories.md": "A b.",
    }
    memory = read([("auto", make(tmp_path, files))])
    assert [unit.text for unit in memory.units] == [
        "Likes tea.",
        "Tags are made by `make tag`. [Task 1]",
        "Prefers one commit a change. [Task 1]",
        "A b.",
    ]
    assert memory.units[1].marks == {
        "role": "memory",
        "loads": "on demand",
        "cwd": "/srv/shop",
        "reuse_rule": "safe on any checkout",
        "rollouts": "2",
        "updated_at": "2026-06-04T10:00:00Z",
    }
    assert memory.units[2].marks == {"role": "memory", "loads": "on demand"}
    assert memory.units[3].marks["role"] == "raw"
    true_spans(memory, tmp_path)
    left = residual(memory, {memory.units[1].id})["MEMORY.md"]
    assert left == HANDBOOK[HANDBOOK.index("# Task Group: relay") :]
    assert residual(memory, {memory.units[2].id})["MEMORY.md"].strip() == HANDBOOK[: len(left) * -1].strip()
    assert residual(memory, {memory.units[0].id})["memory_summary.md"].strip() == "v1"


def test_a_recipe_may_name_one_file_of_any_format(tmp_path: Path) -> None:
    make(tmp_path, {"USER.md": "- Likes tea.", "memory/2026-05-04.md": "One two.", "x/SKILL.md": SKILL})
    for name, role in (("USER.md", "user"), ("memory/2026-05-04.md", "daily"), ("x/SKILL.md", "skill")):
        assert read([("auto", tmp_path / name)]).units[0].marks["role"] == role
    assert [kind for kind, _, _ in find_memory(tmp_path / "USER.md")] == ["openclaw"]
    assert read([("pi", tmp_path / "USER.md")]).units[0].marks["role"] == "rules"


def test_a_nested_rule_holds_below_its_folder(tmp_path: Path) -> None:
    make(
        tmp_path, {"web/.cursor/rules/a.mdc": RULE.format(head="globs: '*.ts'"), "web/GEMINI.md": "One two."}
    )
    memory = read([("auto", tmp_path)])
    assert {unit.scope.paths for unit in memory.units} == {("web/*.ts",), ("web/**",)}
    assert context_text(memory).startswith("For web/*.ts:")


def test_a_recipe_knows_every_format(tmp_path: Path) -> None:
    assert get_args(Format) == ("auto", *FORMATS)
    make(tmp_path, {"CLAUDE.md": "One two.", "skills/x/SKILL.md": SKILL, "GEMINI.md": "Three four."})
    target = tmp_path / "distill.yaml"
    target.write_text(starter(find_memory(tmp_path), target, "runs/x"))
    assert [source.format for source in load(target).memory.sources] == ["claude_code", "gemini", "skills"]
    target.write_text("memory: {sources: [{format: jsonl, path: x.jsonl, fields: {text: a.b}}]}")
    assert load(target).memory.sources[0].fields == {"text": "a.b"}

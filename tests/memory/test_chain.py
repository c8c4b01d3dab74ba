"""Which files are read, in which order, for whom; pointers, symlinks, imports, cycles."""

import os
from pathlib import Path

import pytest

from distill.errors import BadMemoryError
from distill.memory import Memory, context_text, find_memory, read
from distill.records import Scope

REPO = Path(__file__).parents[1] / "fixtures" / "memory" / "repo"


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def paths(memory: Memory) -> list[str]:
    return [document.path for document in memory.documents]


def test_a_whole_chain_in_load_order() -> None:
    memory = read([("auto", REPO)])
    assert paths(memory) == [
        "CLAUDE.md",
        "docs/testing.md",
        "docs/style.md",
        ".claude/rules/api/http.md",
        "CLAUDE.local.md",
        "packages/web/CLAUDE.md",
        "packages/web/AGENTS.md",
        "AGENTS.md",
    ]
    scopes = {document.path: document.scope for document in memory.documents}
    assert scopes[".claude/rules/api/http.md"] == Scope(paths=("src/api/**/*.ts", "src/{edge,core}/**"))
    assert scopes["CLAUDE.local.md"] == Scope(level="local")
    assert scopes["packages/web/AGENTS.md"] == Scope(paths=("packages/web/**",))
    assert memory.warnings == ()


def test_claude_code_does_not_read_agents_md_and_the_other_way_round(tmp_path: Path) -> None:
    make(tmp_path, {"CLAUDE.md": "One two.", "AGENTS.md": "Three four.", "a/AGENTS.md": "@CLAUDE.md five."})
    assert paths(read([("claude_code", tmp_path)])) == ["CLAUDE.md"]
    assert paths(read([("agents_md", tmp_path)])) == ["AGENTS.md", "a/AGENTS.md"]
    assert [kind for kind, _, _ in find_memory(tmp_path)] == ["claude_code", "agents_md"]


@pytest.mark.parametrize(
    "pointer", ["@AGENTS.md", "@AGENTS.md\n", "\ufeff@./AGENTS.md\n", "AGENTS.md", "AGENTS.md\n"]
)
def test_a_pointer_file_is_its_target(tmp_path: Path, pointer: str) -> None:
    make(tmp_path, {"CLAUDE.md": pointer, "AGENTS.md": "The relay uses 6120."})
    memory = read([("claude_code", tmp_path)])
    assert [unit.text for unit in memory.units] == ["The relay uses 6120."]
    assert context_text(memory) == "The relay uses 6120.\n"
    assert paths(read([("auto", tmp_path)])) == ["CLAUDE.md", "AGENTS.md"]


def test_a_symlink_is_read_once_and_not_out_of_the_repository(tmp_path: Path) -> None:
    repo = make(tmp_path / "repo", {"AGENTS.md": "One two."})
    make(tmp_path, {"home.md": "A secret of the home."})
    os.symlink("AGENTS.md", repo / "CLAUDE.md")
    os.symlink("../home.md", repo / "CLAUDE.local.md")
    memory = read([("auto", repo)])
    assert paths(memory) == ["CLAUDE.md"]
    assert memory.warnings == (
        f"CLAUDE.local.md: lies outside {repo.resolve()} and is not read; add it as a source to read it",
    )


def test_imports_are_relative_four_deep_and_read_once(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            "CLAUDE.md": "See @d/one.md, and @d/one.md again; me@x.md, `@no/1.md`.\n\n```\n@no/2.md\n```\n",
            "d/one.md": "- one 1\n- @two.md\n",
            "d/two.md": "two 2\n\n@../three.md",
            "three.md": "three 3\n\n@four.md",
            "four.md": "four 4\n\n@five.md",
            "five.md": "five 5",
            "no/1.md": "no",
            "no/2.md": "no",
        },
    )
    memory = read([("claude_code", tmp_path)])
    assert paths(memory) == ["CLAUDE.md", "d/one.md", "d/two.md", "three.md", "four.md"]
    assert memory.warnings == ("four.md:3: the import @five.md is more than 4 deep and is left out",)


def test_a_file_that_mentions_itself_is_no_cycle(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("Keep @CLAUDE.md short.\n")
    assert [unit.text for unit in read([("claude_code", tmp_path)]).units] == ["Keep @CLAUDE.md short."]


@pytest.mark.parametrize(
    ("files", "ring"),
    [
        ({"CLAUDE.md": "One.\n\n@CLAUDE.md"}, "CLAUDE.md → CLAUDE.md"),
        ({"CLAUDE.md": "@a.md", "a.md": "One.\n@b.md", "b.md": "@a.md"}, "a.md → b.md → a.md"),
        ({"CLAUDE.md": "AGENTS.md", "AGENTS.md": "CLAUDE.md"}, "CLAUDE.md → AGENTS.md → CLAUDE.md"),
    ],
)
def test_an_import_cycle_is_named(tmp_path: Path, files: dict[str, str], ring: str) -> None:
    with pytest.raises(BadMemoryError, match=f"import cycle: {ring}; take one import out"):
        read([("claude_code", make(tmp_path, files))])


@pytest.mark.parametrize(
    ("target", "warnings"),
    [
        ("@docs/gone.md", ("CLAUDE.md:3: the import @docs/gone.md is not there and is left out",)),
        ("@./gone", ("CLAUDE.md:3: the import @./gone is not there and is left out",)),
        ("@types/node", ()),
        ("@team", ()),
    ],
)
def test_a_missing_import_is_a_warning_where_it_looks_like_one(tmp_path: Path, target: str, warnings) -> None:
    memory = read([("claude_code", make(tmp_path, {"CLAUDE.md": f"One two.\n\nSee {target}.\n"}))])
    assert memory.warnings == warnings


def test_an_import_that_is_not_markdown_stays_context(tmp_path: Path) -> None:
    memory = read(
        [("claude_code", make(tmp_path, {"CLAUDE.md": "See @package.json.", "package.json": '{"a": 1}'}))]
    )
    assert paths(memory) == ["CLAUDE.md", "package.json"]
    assert len(memory.units) == 1
    assert '{"a": 1}' in context_text(memory)
    assert memory.warnings == (
        "package.json: is imported but is not Markdown; it stays in context and is not compiled",
    )


@pytest.mark.parametrize(
    ("frontmatter", "globs"),
    [
        ("paths: [src/**, '*.ts']", ("src/**", "*.ts")),
        ("paths:\n  - src/**\n  - *.ts", ("src/**", "*.ts")),
        ("paths: *.ts, a/{b,c}/*", ("*.ts", "a/{b,c}/*")),
        ("title: x", ()),
    ],
)
def test_rules_hold_for_their_paths(tmp_path: Path, frontmatter: str, globs: tuple[str, ...]) -> None:
    make(tmp_path, {".claude/rules/a.md": f"---\n{frontmatter}\n---\nOne two.\n"})
    memory = read([("claude_code", tmp_path)])
    assert memory.units[0].scope.paths == globs
    assert memory.warnings == ()


def test_a_unit_met_twice_has_two_places_and_the_wider_scope(tmp_path: Path) -> None:
    make(tmp_path, {"a/AGENTS.md": "One two.", "b/AGENTS.md": "One  two."})
    unit = read([("agents_md", tmp_path)]).units[0]
    assert [span.source for span in unit.spans] == ["a/AGENTS.md", "b/AGENTS.md"]
    assert unit.scope.paths == ("a/**", "b/**")
    make(tmp_path, {"AGENTS.md": "One two."})
    assert read([("agents_md", tmp_path)]).units[0].scope.paths == ()


def test_an_id_stays_when_the_file_moves(tmp_path: Path) -> None:
    make(
        tmp_path,
        {"a.md": "# Ports\n\nThe relay uses 6120.\n", "b/c.md": "intro\n# Ports\n\nThe relay  uses\n6120.\n"},
    )
    one, two = (read([("auto", tmp_path / name)]).units[-1] for name in ("a.md", "b/c.md"))
    assert one.id == two.id
    assert one.id.startswith("the-relay-uses-6120-")


def test_a_person_is_no_import(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("# Reviewers\n\n- @alice\n- @bob\n")
    memory = read([("claude_code", tmp_path)])
    assert [unit.text for unit in memory.units] == ["@alice", "@bob"]
    (tmp_path / "AGENTS.md").write_text("Read this:\n\n- @docs/testing.md\n- lodash\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "testing.md").write_text("Never read.\n")
    assert "@docs/testing.md" in context_text(read([("agents_md", tmp_path)]))


@pytest.mark.parametrize(
    "text",
    [
        "Ask @~nosuchuser/notes.md",
        "---\nx: !!bool maybe\n---\nOne.",
        '---\npaths: ["a\\ud800"]\n---\nOne.',
        "Read @" + "a" * 300 + ".md now.",
        "# T\n\n\u00a0\nThe port of relay is 8080.",
    ],
)
def test_odd_text_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "CLAUDE.md").write_text(text)
    assert read([("claude_code", tmp_path)]).units


def test_a_loop_of_links_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").symlink_to("AGENTS.md")
    (tmp_path / "AGENTS.md").symlink_to("CLAUDE.md")
    with pytest.raises(BadMemoryError):
        read([("auto", tmp_path / "CLAUDE.md")])

"""The text in context, and what stays of it when units are taken out."""

from pathlib import Path

import pytest

from distill.memory import Memory, context_text, read, residual, store, unchanged
from distill.memory.faithful import staying

FACTS = Path(__file__).parents[1] / "fixtures" / "memory" / "facts.jsonl"


def memory_of(tmp_path: Path, text: str) -> Memory:
    (tmp_path / "a.md").write_bytes(text.encode())
    return read([("auto", tmp_path / "a.md")])


def ids(memory: Memory, *texts: str) -> frozenset[str]:
    return frozenset(unit.id for unit in memory.units if unit.text in texts)


@pytest.mark.parametrize(
    ("text", "without", "left"),
    [
        ("# T\n\nOne a.\n\n## U\n\nTwo b.\n", ["Two b."], "# T\n\nOne a.\n"),
        ("# T\n\nOne a.\n\n## U\n\nTwo b.\n", ["One a."], "# T\n\n## U\n\nTwo b.\n"),
        ("# T\n\nOne a.\n\n## U\n\nTwo b.\n", ["One a.", "Two b."], ""),
        ("Title\n=====\n\nOne a.\n\nOther\n=====\n\nTwo b.\n", ["One a."], "Other\n=====\n\nTwo b.\n"),
        ("- one a\n- two b\n- three c\n", ["two b"], "- one a\n- three c\n"),
        ("1. one a\n2. two b\n", ["one a"], "2. two b\n"),
        # a list below a text begins with 1, or after a blank line
        ("Do this:\n1. one a\n2. two b\n", ["one a"], "Do this:\n\n2. two b\n"),
        ("Do this:\n1. one a\n2. two b\n3. c d\n", ["two b"], "Do this:\n1. one a\n3. c d\n"),
        ("- Do this:\n  1. one a\n  2. two b\n", ["one a"], "- Do this:\n\n  2. two b\n"),
        ("1. one\n   a\n2. two b\n3. c d\n", ["two b"], "1. one\n   a\n3. c d\n"),
        ("Rules:\n- one a\n- two b\n\nEnd it.\n", ["one a", "two b"], "End it.\n"),
        ("Rules:\n- one a\n- two b\n", ["two b"], "Rules:\n- one a\n"),
        # an excluded bullet stays while something stands under it
        (
            "- One stands here alone.\n  - leans a\n",
            ["One stands here alone."],
            "- One stands here alone.\n  - leans a\n",
        ),
        ("- One stands here alone.\n  - leans a\n", ["leans a"], "- One stands here alone.\n"),
        ("- One stands here alone.\n  - leans a\n- b c\n", ["leans a", "One stands here alone."], "- b c\n"),
        ("| A | B |\n|--|--|\n| 1 | x |\n| 2 | y |\n", ["1 | x"], "| A | B |\n|--|--|\n| 2 | y |\n"),
        ("One a.\n\n| A | B |\n|--|--|\n| 1 | x |\n", ["1 | x"], "One a.\n"),
        ("Run:\n```\nup\n```\n\nEnd here.\n", ["Run:\n```\nup\n```"], "End here.\n"),
        ("> one a\n> two\n>\n> Three b.\n", ["one a two"], ">\n> Three b.\n"),
        ("One a.\r\n\r\nTwo b.\r\n\r\nThree c.\r\n", ["Two b."], "One a.\r\n\r\nThree c.\n"),
        ("---\nk: v\n---\n<!-- x -->\nOne a.\n\n<!-- y\n\nz -->\n", [], "One a.\n"),
        ("\ufeffOne a.\n", [], "One a.\n"),
        ("---\n\nOne a.\n\n---\n", ["One a."], ""),
    ],
)
def test_units_are_cut_out_with_what_carried_only_them(
    tmp_path: Path, text: str, without: list[str], left: str
) -> None:
    memory = memory_of(tmp_path, text)
    excluded = ids(memory, *without)
    assert len(excluded) == len(without)
    assert context_text(memory, excluded) == left


def test_a_sentence_is_cut_out_of_its_paragraph(tmp_path: Path) -> None:
    first, second, third = (
        f"The {name} listens on port {port} in every region of the world."
        for name, port in (("relay", 1), ("edge", 2), ("core", 3))
    )
    memory = memory_of(tmp_path, f"{first} {second}\n{third}\n")
    assert context_text(memory, ids(memory, second)) == f"{first}\n{third}\n"
    assert context_text(memory, ids(memory, first)) == f"{second}\n{third}\n"


def test_a_residual_keeps_what_only_editors_see(tmp_path: Path) -> None:
    memory = memory_of(tmp_path, "---\nk: v\n---\n<!-- x -->\n- one a\n- two b\n")
    assert residual(memory, ids(memory, "one a")) == {"a.md": "---\nk: v\n---\n<!-- x -->\n- two b\n"}
    assert residual(memory, frozenset()) == {"a.md": (tmp_path / "a.md").read_text()}


def test_a_residual_read_again_gives_the_units_that_stayed(tmp_path: Path) -> None:
    memory = memory_of(tmp_path, "# T\n\n- one a\n- two b\n\n## U\n\nRules:\n\n- three c\n- four d\n")
    excluded = ids(memory, "one a", "three c")
    left = memory_of(tmp_path, residual(memory, excluded)["a.md"])
    assert {unit.id for unit in left.units} == {unit.id for unit in memory.units} - excluded


def test_jsonl_is_a_list_in_context() -> None:
    memory = read([("auto", FACTS)])
    assert [(unit.text, unit.kind) for unit in memory.units] == [
        ("The relay listens on port 6120.", "fact"),
        ("Never push to `main`.", "constraint"),
        ("The edge config lives in `edge.toml`.", "fact"),
    ]
    assert [unit.spans[0].line for unit in memory.units] == [1, 2, 4]
    assert memory.units[2].scope.paths == ("edge/**",)
    assert context_text(memory, {memory.units[1].id}) == (
        "- The relay listens on port 6120.\n- The edge config lives in `edge.toml`.\n"
    )
    assert residual(memory, {memory.units[0].id})["facts.jsonl"].startswith('{"text": "Never push')


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "is not JSON (Expecting property name enclosed in double quotes); mend that line"),
        ("3", 'the line: input should be an object; write "words" or {"text": "words", "kind": "fact"}'),
        (
            '{"text": 3}',
            'text: input should be a valid string; write "words" or {"text": "words", "kind": "fact"}',
        ),
        (
            '{"text": "a", "x": 1}',
            'x: extra inputs are not permitted; write "words" or {"text": "words", "kind": "fact"}',
        ),
    ],
)
def test_a_bad_line_of_jsonl_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'"One two."\n{line}\n')
    with pytest.raises(Exception, match=r"a\.jsonl:2") as error:
        read([("jsonl", path)])
    assert str(error.value) == f"{path}:2: {sentence}"


@pytest.mark.parametrize(
    ("text", "without", "stay"),
    [
        ("- One stands here alone.\n  - leans a\n", ["One stands here alone."], ["One stands here alone."]),
        ("- One stands here alone.\n  - leans a\n", ["One stands here alone.", "leans a"], []),
        ("- One stands here alone.\n  - leans a\n", ["leans a"], []),
        (
            "- One stands here alone.\n  - Two leans on that.\n    - three c\n",
            ["One stands here alone.", "Two leans on that."],
            ["One stands here alone.", "Two leans on that."],
        ),
    ],
)
def test_what_a_residual_keeps_against_the_plan_is_known(
    tmp_path: Path, text: str, without: list[str], stay: list[str]
) -> None:
    memory = memory_of(tmp_path, text)
    assert staying(memory, ids(memory, *without)) == ids(memory, *stay)


def test_a_stored_memory_is_the_memory(tmp_path: Path) -> None:
    memory = memory_of(tmp_path, "# T\n\n- one é\n- two b\n")
    store.save(memory, tmp_path / "memory.jsonl", tmp_path / "memory.json")
    assert store.load(tmp_path / "memory.jsonl", tmp_path / "memory.json", "run X") == memory


def test_a_memory_that_did_not_change_need_not_be_read_again(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("- The lamp is blue.\n\n@lamps.md\n")
    (tmp_path / "lamps.md").write_text("- The tower is high.\n")
    sources = [("auto", tmp_path)]
    memory = read(sources)
    assert unchanged(memory, sources)
    (tmp_path / "notes.txt").write_text("no memory")
    assert unchanged(memory, sources)
    (tmp_path / "lamps.md").write_text("- The tower is low.\n")
    assert not unchanged(memory, sources)
    memory = read(sources)
    assert unchanged(memory, sources)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "AGENTS.md").write_text("- One more.\n")
    assert not unchanged(memory, sources)
    memory = read(sources)
    (tmp_path / "lamps.md").unlink()
    assert not unchanged(memory, sources)
    assert not unchanged(read(sources), sources)  # its import is not there: should it come, that is a change

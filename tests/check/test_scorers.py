"""Scorers, as tables of reference, answer and value."""

import pytest

from distill.check.scorers import abstains, choice, contains, exact, normal, score, tool_call

CALL = '{"tool": "Bash", "input": {"command": "%s"}}'


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("before each commit", "before each commit.", 1),
        ("before each commit", "Before  each\ncommit", 1),  # plain words: case and blanks do not count
        ("`pnpm test`.", "pnpm test", 1),
        ('"pnpm test"', "pnpm test", 1),
        ("“pnpm test”", "pnpm test", 1),
        ("**always** rebase", "always rebase", 1),
        ("README.md", "readme.md", 0),  # a name keeps its case
        ("HARBOR_URL", "harbor_url", 0),
        ("4417", "4417.", 1),
        ("4417", "port 4417", 0),
        ("src/**/*.ts", "`src/**/*.ts`", 1),
        ("`'", "", 0),  # nothing is left to compare
        ("é", "e\u0301", 1),
    ],
)
def test_exact(reference: str, answer: str, value: float) -> None:
    assert exact(reference, answer) == value


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("44", "It is 44.", 1),
        ("44", "It is 4417.", 0),
        ("44", "0.44", 0),
        ("44", "44,100", 0),
        ("8080", "localhost:8080", 1),
        ("30", "30%", 1),
        ("1.2", "1.2.3", 0),
        ("1.2", "It is 1.2.", 1),
        ("kestrel", "amber-kestrel", 0),
        ("amber-kestrel", "`amber-kestrel` does.", 1),
        ("src/lib", "src/lib/x.py", 0),
        ("src/lib", "In ./src/lib.", 1),
        ("#ops", "Post in #ops please", 1),
        ("--fast", "run it with `--fast`", 1),
        ("fozi/", "fozi/login", 1),
        ("Monday", "on monday", 1),
        ("GitHub", "github", 0),
        ("4417", "I do not know.", 0),
        ("4417", "I don’t know, but maybe 4417.", 0),
        ("I do not know", "Say I do not know.", 1),
        ("", "anything", 0),
    ],
)
def test_contains(reference: str, answer: str, value: float) -> None:
    assert contains(reference, answer) == value


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("ruff", 1), ("It is ruff.", 1), ("B", 1), ("(b)", 1), ("b) ruff", 1), ("A", 0), ("black", 0),
        ("black or ruff", 0), ("neither", 0), ("ruff-lsp", 0), ("I do not know: ruff", 0), ("D", 0), ("", 0),
    ],
)  # fmt: skip
def test_choice(answer: str, value: float) -> None:
    assert choice("ruff", answer, ("black", "ruff", "ruff-lsp")) == value


def test_a_choice_may_be_a_single_letter() -> None:
    assert choice("A", "A", ("B", "A")) == 1
    assert choice("B", "A", ("B", "A")) == 0


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ("pnpm test", CALL % "pnpm test --ci", 1),
        ("pnpm test", CALL % "npm test", 0),
        ("fozi", CALL % "git checkout -b fozi/login", 1),
        ("Bash", CALL % "ls", 0),  # the tool's name is no part of its input
        ("command", CALL % "ls", 0),
        ("pnpm test", "I would run `pnpm test`.", 1),
        ("pnpm test", '<tool_call>{"name": "bash", "arguments": {"cmd": ["pnpm test"]}}</tool_call>', 1),
        ("pnpm test", 'First {"x": 1}, then ' + CALL % "pnpm test", 1),
        ("pnpm test", '{"tool": "Bash", "input": {"command": "pnpm test', 1),  # a torn call is text
        ("pnpm test", "I do not know.", 0),
        ("3", '{"name": "sleep", "arguments": {"seconds": 3}}', 1),
        ("a", "{" * 3000, 0),
    ],
)
def test_tool_call(reference: str, answer: str, value: float) -> None:
    assert tool_call(reference, answer) == value


def test_score_picks_the_scorer_by_name() -> None:
    assert score("exact", "4417", "4417") == score("choice", "4417", "a", ("4417", "1")) == 1
    with pytest.raises(KeyError):
        score("vibes", "a", "a")


def test_abstains() -> None:
    assert abstains("I do not know.") and abstains("Sorry, I don't know that.")
    assert not abstains("You do not know me.")


def test_normal_is_idempotent_on_markdown() -> None:
    for text in ("Run `pnpm test`; **never** `npm`.", "'a' \"b\"", "- [x] done!"):
        assert normal(normal(text)) == normal(text)

"""A memory becomes a bundle: the same bytes each time, an account of every unit, nothing lost in silence."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import OverwriteError, RecordError, printable
from distill.memory import read
from harness_compile import bundle as bundling
from harness_compile.apply import apply, rollback
from harness_compile.backends import MODULES, backend
from harness_compile.backends.base import CANARY, Backend, Emitted, Options
from harness_compile.changes import plan_changes
from harness_compile.leftovers import sweep
from harness_compile.readme import span
from harness_compile.rules import Always, Case, Command, Gap, Rule
from harness_compile.runtime import guard
from harness_compile.verify import cases
from harness_compile.words import in_words
from tests.harness.made_up import (
    ASK,
    GENERATED,
    HIDE,
    HOSTILE,
    LINT,
    LINT_AT_END,
    NO_ENV,
    NO_FORCE,
    NO_PROD,
    RULES,
    SPAN,
    START_RULE,
    bash,
    compiled,
    no,
    rule,
    yes,
)

CLAUDE = backend("claude_code")
MEMORY = """# Beekeeping service

- Never force-push.
- Never edit files in `hives/generated/`.
- Run `make lint` before committing.
- The queen is marked blue this year.
- Currently the staging server is down, so never run `terraform apply`.
- The deploy key is AKIAIOSFODNN7EXAMPLQ, never push without it.
"""
HOSTILE_MEMORY = """# Notes

- Never run `reactor start`; it says "boom" and 'bang' $(touch pwned) `date` */ --> ${x} </script> \\u0041.
- Never edit `moon base/"quoted".txt`.
- Never run `comet\x1b[31m`.
"""


def memory_of(text: str, place: Path) -> bundling.Lowered:
    place.mkdir(exist_ok=True)
    (place / "CLAUDE.md").write_text(text, encoding="utf-8")
    return bundling.lower_memory(read([("auto", place)], place))


def test_every_unit_has_its_account(tmp_path: Path) -> None:
    lowered = memory_of(MEMORY, tmp_path)
    said = {unit.text.split(".")[0]: unit for unit in lowered.account.units}
    assert len(said) == 6
    for unit in lowered.account.units:
        assert unit.rules or unit.left, "a unit without a word"
        assert unit.source == "CLAUDE.md" and unit.line > 0
    assert said["Never force-push"].rules and said["Never edit files in `hives/generated/`"].rules
    assert said["The queen is marked blue this year"].left
    assert any("last" in why for why in next(u for t, u in said.items() if t.startswith("Currently")).left)
    secret = next(unit for text, unit in said.items() if text.startswith("The deploy key"))
    assert secret.left == ("it holds a secret",) and not secret.rules
    assert set(lowered.account.words) == {rule.id for rule in lowered.rules}
    made = bundling.compile_lowered(lowered, CLAUDE, Options())
    without = {unit.unit for unit in lowered.account.units if unit.left}
    assert {one.unit for one in made.bundle.not_enforceable} == without
    assert not any(b"AKIAIOSFODNN7" in data for data in made.files.values())


@pytest.mark.parametrize("name", MODULES)
def test_a_bundle_is_whole_and_says_of_every_rule_what_became_of_it(name: str) -> None:
    made = compiled(backend(name))
    assert {file.path for file in made.bundle.files} | {"bundle.json", "account.json", "README.md"} == set(
        made.files
    )
    controls = {one.rule for one in made.bundle.controls}
    lost = {gap.rule for gap in made.bundle.gaps if gap.got is None}
    assert controls | lost == {rule.id for rule in RULES}
    assert [rule.id for rule in bundling.effective(made.bundle)] == [
        rule.id for rule in RULES if rule.id not in lost
    ]
    readme = made.files["README.md"].decode()
    assert all(rule.id in readme for rule in RULES)


SCRIPT = """
import sys
from harness_compile.backends import backend
from tests.harness.made_up import compiled
from distill.records import digest
for name in ("claude_code", "letta_code"):
    for path, data in compiled(backend(name)).files.items():
        print(name, path, digest(data))
"""


def test_the_same_rules_give_the_same_bytes_in_any_process() -> None:
    said = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}"},
            check=True,
        )
        said.add(done.stdout)
    assert len(said) == 1 and b"guard.json" in said.pop()


REFUTED = [
    (Case(call=bash("git push"), fires=True), "did not fire"),
    (Case(call=bash("git push -f"), fires=False), "fired"),
]


@pytest.mark.parametrize(("case", "why"), REFUTED)
def test_a_rule_whose_own_case_fails_is_left_out_and_said(case: Case, why: str) -> None:
    wrong = rule("wrong", NO_FORCE.when, "deny", [*NO_FORCE.cases, case])
    made = bundling.compile_rules([wrong, GENERATED], CLAUDE, Options())
    assert [one.id for one in made.bundle.rules] == ["generated"]
    assert [(one.unit, why in one.reason) for one in made.bundle.not_enforceable] == [("unit-wrong", True)]
    assert b"wrong" not in made.files["guard.json"]


def test_a_rule_without_cases_is_left_out() -> None:
    bare = Rule(id="bare", when=Always(), effect="deny", message="m", unit="u", span=SPAN)
    made = bundling.compile_rules([bare], CLAUDE, Options())
    assert made.bundle.rules == () and "no case" in made.bundle.not_enforceable[0].reason


def test_two_rules_of_one_name_get_two() -> None:
    made = bundling.compile_rules([NO_FORCE, NO_FORCE, NO_FORCE], CLAUDE, Options())
    assert [one.id for one in made.bundle.rules] == ["no-force-push", "no-force-push-2", "no-force-push-3"]


def test_nobody_to_ask_makes_a_question_a_refusal_and_says_so() -> None:
    made = compiled(CLAUDE, (ASK, NO_FORCE), attended=False)
    assert [(gap.rule, gap.asked, gap.got) for gap in made.bundle.gaps] == [("ask-apply", "ask", "deny")]
    policy = json.loads(made.files["guard.json"])
    assert policy["nobody"] == "deny"
    assert [one["effect"] for one in policy["rules"] if one["id"] == "ask-apply"] == ["deny"]
    assert "Bash(terraform apply *)" in json.loads(made.files["settings.json"])["permissions"]["deny"]
    assert [one.effect for one in made.bundle.rules] == ["ask", "deny"]  # what the memory asked for


def test_a_backend_that_drops_a_rule_is_a_bug() -> None:
    careless = Backend("claude_code", "X", "1", CLAUDE.carries, lambda *_: Emitted((), ()))
    with pytest.raises(AssertionError, match="no-force-push"):
        compiled(careless, (NO_FORCE,))


@pytest.mark.parametrize("name", ["claude_code", "letta_code"])
def test_every_case_holds_through_the_shapes_of_its_harness(name: str) -> None:
    made = compiled(backend(name))
    outcome = cases.check(bundling.effective(made.bundle), backend(name).shapes)
    assert outcome.failures == () and outcome.asked > 2 * len(RULES)


def test_the_canary_is_refused_and_is_no_rule_of_the_memory() -> None:
    made = compiled(CLAUDE, (NO_FORCE,))
    rules = json.loads(made.files["guard.json"])["rules"]
    said = guard.decide(rules, bundling.CANARY_CALL, root="/project")
    assert (said["decision"], said["rule"]) == ("deny", CANARY)
    assert CANARY not in [one.id for one in made.bundle.rules]


# -- words


WORDS: list[tuple[Rule, str]] = [
    (NO_FORCE, "refuses `git push --force|-f`; instead: git push"),
    (ASK, "asks before `terraform apply`"),
    (GENERATED, "refuses writing and deleting generated/**"),
    (NO_ENV, "refuses reading .env"),
    (LINT, "holds up `git commit` and *.py was edited since `make lint` last succeeded"),
    (LINT_AT_END, "holds up the end of a turn while *.py was edited since `make lint` last succeeded"),
    (START_RULE, "puts its text into every session"),
    (NO_PROD, "refuses a prompt with text with /straight to production/"),
    (HIDE, "hides the tool WebSearch|mcp__tracker__*"),
]


@pytest.mark.parametrize(("one", "words"), WORDS)
def test_a_rule_in_words(one: Rule, words: str) -> None:
    assert in_words(one) == words


@pytest.mark.parametrize("one", RULES)
def test_every_rule_has_words(one: Rule) -> None:
    assert len(in_words(one)) > 10


# -- hostile text


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_from_the_policy_and_stays_in_its_line_of_the_readme(text: str) -> None:
    said = text.encode("utf-8", "replace").decode()
    one = rule("any", Command(program=("x",)), "deny", [yes(bash("x")), no(bash("y"))], message=said)
    made = compiled(CLAUDE, (one,))
    rules = json.loads(made.files["guard.json"])["rules"]
    assert rules[0]["message"] == said
    readme = made.files["README.md"].decode()
    mild = compiled(CLAUDE, (one.model_copy(update={"message": "m"}),)).files["README.md"].decode()
    assert readme.count("\n") == mild.count("\n")
    assert printable(readme.replace("\n", "")) == readme.replace("\n", "")


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_a_code_span_holds_any_text(text: str) -> None:
    from markdown_it import MarkdownIt

    (paragraph,) = [one for one in MarkdownIt().parse("x " + span(text)) if one.type == "inline"]
    kinds = [child.type for child in paragraph.children or []]
    assert kinds == ["text", "code_inline"]


def test_a_hostile_memory_reaches_nothing_but_json_and_the_readme(tmp_path: Path) -> None:
    lowered = memory_of(HOSTILE_MEMORY, tmp_path)
    for name in MODULES:
        made = bundling.compile_lowered(lowered, backend(name), Options())
        for file in made.bundle.files:
            if file.path.endswith((".mjs", ".ts", ".py", ".js")):
                assert b"pwned" not in made.files[file.path], file.path
                if file.path.endswith(".py"):
                    ast.parse(made.files[file.path])
            if file.path.endswith(".json"):
                json.loads(made.files[file.path])
        assert "\x1b" not in made.files["README.md"].decode()


# -- writing


def test_a_bundle_replaces_a_bundle_and_nothing_else(tmp_path: Path) -> None:
    place = bundling.write(compiled(CLAUDE, (NO_FORCE, HIDE)), tmp_path)
    assert bundling.load(place).rules[0].id == "no-force-push"
    (place / "old.txt").write_text("x")
    bundling.write(compiled(CLAUDE, (HIDE,)), tmp_path)
    assert [one.id for one in bundling.load(place).rules] == ["no-search"]
    assert not (place / "old.txt").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["claude_code"]


@pytest.mark.parametrize("name", MODULES)
def test_a_bundle_without_some_rules_is_else_as_it_was_compiled(name: str, tmp_path: Path) -> None:
    options = Options(on_error="ask", attended=False, python="/usr/bin/python3")
    made = bundling.compile_rules(RULES, backend(name), options)
    place = bundling.write(made, tmp_path)
    assert bundling.without(place, {}).files == made.files
    fewer = bundling.without(place, {"no-force-push": "made up"})
    others = [one for one in RULES if one.id != "no-force-push"]
    wanted = bundling.compile_rules(others, backend(name), options)
    same = ("bundle.json", "account.json", "README.md")  # these name what the bundle was made from
    assert {path: data for path, data in fewer.files.items() if path not in same} == {
        path: data for path, data in wanted.files.items() if path not in same
    }


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "claude_code").mkdir()
    (tmp_path / "claude_code/mine.txt").write_text("x")
    with pytest.raises(OverwriteError, match="holds no bundle"):
        bundling.write(compiled(CLAUDE, (HIDE,)), tmp_path)
    assert (tmp_path / "claude_code/mine.txt").read_text() == "x"
    bundling.write(compiled(CLAUDE, (HIDE,)), tmp_path, force=True)


def test_a_write_that_fails_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = bundling.write(compiled(CLAUDE, (NO_FORCE,)), tmp_path)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    real = os.replace

    def fails(source: str | Path, target: str | Path) -> None:
        if Path(target) == place and not str(source).endswith(".old"):
            raise OSError(28, "no space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="space"):
        bundling.write(compiled(CLAUDE, (HIDE,)), tmp_path)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_what_is_no_bundle_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is no bundle"):
        bundling.load(tmp_path)


USERS = '{\n    "model": "opus",\n    "permissions": {"deny": ["Bash(curl *)"], "allow": ["Bash(ls)"]}\n}'


@pytest.mark.parametrize("name", ["claude_code", "letta_code"])
def test_applied_and_rolled_back_is_as_it_was(name: str, tmp_path: Path) -> None:
    root, home = tmp_path / "project", tmp_path / "home"
    for folder in (root / ".claude", root / ".letta", home):
        folder.mkdir(parents=True)
    (root / ".claude/settings.json").write_text(USERS)
    (root / ".letta/settings.json").write_text(USERS)
    before = files(root) | files(home)
    place = bundling.write(compiled(backend(name)), tmp_path / "build")
    apply(plan_changes(place, root, home=home), root)
    settings_file = root / (".claude/settings.json" if name == "claude_code" else ".letta/settings.json")
    said = json.loads(settings_file.read_text())
    assert said["model"] == "opus" and said["permissions"]["allow"] == ["Bash(ls)"]
    assert "Bash(curl *)" in said["permissions"]["deny"] and said["hooks"]
    log = root / ".harness-compile" / name / "decisions.jsonl"
    log.write_text("{}\n")
    rollback(root)
    assert sweep(root) == [f".harness-compile/{name}"]
    assert files(root) | files(home) == before


def files(place: Path) -> dict[str, bytes]:
    found = {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if "/.harness-compile/state/" not in path}


def test_what_the_user_put_beside_a_guard_stays(tmp_path: Path) -> None:
    place = tmp_path / ".harness-compile/claude_code"
    place.mkdir(parents=True)
    for name in ("decisions.jsonl", "decisions.jsonl.1", "notes.txt"):
        (place / name).write_text("x")
    (place / "sessions").symlink_to(tmp_path)
    sweep(tmp_path)
    assert sorted(one.name for one in place.iterdir()) == ["notes.txt", "sessions"]
    (place / "guard.py").write_text("x")
    assert sweep(tmp_path) == []


@pytest.mark.slow
def test_ten_thousand_rules_compile_fast() -> None:
    import time

    rules = []
    for number in range(10_000):
        name = f"tool{number}"
        cases_ = (yes(bash(f"{name} go")), no(bash(f"{name} stop")))
        when = Command(program=(name,), sub=(("go",),))
        rules.append(rule(f"r{number}", when, "deny", cases_, message=HOSTILE if number == 7 else "no"))
    lowered = bundling.Lowered(tuple(rules), bundling.Account(words={}), {})
    begun = time.process_time()
    made = bundling.compile_lowered(lowered, CLAUDE, Options())
    took = time.process_time() - begun
    assert "guard.index" in made.files and len(made.bundle.rules) == 10_000
    assert took < 20  # two on a quiet machine; `make bench` measures


def test_a_rule_takes_the_place_of_its_words_only_when_its_cases_hold_through_the_harness() -> None:
    one = backend("claude_code")
    made = compiled(one, (NO_FORCE,))
    assert bundling.held(made, one.shapes) == {NO_FORCE.id}
    inverted = NO_FORCE.model_copy(
        update={"cases": tuple(case.model_copy(update={"fires": not case.fires}) for case in NO_FORCE.cases)}
    )
    wrong = replace(made, bundle=made.bundle.model_copy(update={"rules": (inverted,)}))
    assert bundling.held(wrong, one.shapes) == frozenset()
    gap = Gap(rule=NO_FORCE.id, harness="claude_code", asked="deny", got="warn", reason="x")
    lost = replace(made, bundle=made.bundle.model_copy(update={"gaps": (gap,)}))
    assert bundling.held(lost, one.shapes) == frozenset()

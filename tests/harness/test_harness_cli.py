"""The commands of harness-compile: what they print, what they write, how they end.

Run in process, but for what must start fast. Not covered: the texts of tables, which are for people.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from distill.errors import Exit
from harness_compile.backends import backend
from harness_compile.backends.base import Options
from harness_compile.bundle import compile_rules, write
from harness_compile.cli import app
from harness_compile.rules import Command
from tests.harness.made_up import (
    HOSTILE_RULE,
    NO_FORCE,
    RULES,
    SPAN,
    bash,
    no,
    rule,
    wrote,
    yes,
)

MEMORY = """# Lighthouse keeper

- Never force-push.
- Run `make lint` before committing.
- The lamp turns every nine seconds.
"""


def run(*words: Any, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=stdin)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "CLAUDE.md").write_text(MEMORY)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of rules that no grammar had to find."""
    made = compile_rules((*RULES, HOSTILE_RULE), backend("claude_code"), Options())
    return write(made, tmp_path_factory.mktemp("build"))


# -- the whole way


def test_from_a_memory_to_a_project_and_back(project: Path, tmp_path: Path) -> None:
    out, before = tmp_path / "build", (project / "CLAUDE.md").read_bytes()
    done = run("compile", ".", "--target", "claude_code", "--target", "letta_code", "--out", out)
    assert done.exit_code == Exit.DONE, done.output
    assert "CLAUDE.md:3" in done.output and "it states no constraint" in done.output
    assert "next: harness-compile verify" in done.output
    bundle = out / "claude_code"
    assert run("verify", bundle).exit_code == Exit.DONE
    assert run("verify", out / "letta_code").exit_code == Exit.DONE

    shown = run("diff", bundle, "--root", project)
    assert shown.exit_code == Exit.DONE and ".claude/settings.json" in shown.output
    assert run("diff", bundle, "--root", project, "--exit-code").exit_code == Exit.PENDING
    assert [one.name for one in project.iterdir()] == ["CLAUDE.md"]  # a diff writes nothing

    refused = run("apply", bundle, "--root", project, stdin="")
    assert refused.exit_code == Exit.USAGE and "--yes" in refused.output
    applied = run("apply", bundle, "--root", project, "--yes")
    assert applied.exit_code == Exit.DONE and "receipt 000001" in applied.output
    assert run("diff", bundle, "--root", project, "--exit-code").exit_code == Exit.DONE

    sound = run("status", "--root", project, "--canary")
    assert sound.exit_code == Exit.DONE and "refused in" in sound.output
    policy = project / ".harness-compile/claude_code/guard.json"
    data = policy.read_bytes()
    policy.write_text("{}")
    broken = run("status", "--root", project, "--canary")
    assert broken.exit_code == Exit.BELOW and "drifted" in broken.output
    policy.write_bytes(data)
    assert run("status", "--root", project).exit_code == Exit.DONE

    assert run("rollback", "--root", project).exit_code == Exit.DONE
    assert (project / "CLAUDE.md").read_bytes() == before
    left = [one for one in project.rglob("*") if one.is_file() and "state" not in one.parts]
    assert left == [project / "CLAUDE.md"]
    assert run("rollback", "--root", project).exit_code == Exit.USAGE


def test_a_memory_that_changed_since_is_not_installed(project: Path, tmp_path: Path) -> None:
    run("compile", ".", "--target", "claude_code", "--out", tmp_path / "build")
    (project / "CLAUDE.md").write_text(MEMORY + "- Never commit on main.\n")
    done = run("apply", tmp_path / "build/claude_code", "--root", project, "--yes")
    assert done.exit_code == Exit.FAILED and "compile` again" in done.output
    assert not (project / ".claude").exists()


def test_a_bundle_that_was_edited_is_refused(project: Path, tmp_path: Path) -> None:
    run("compile", ".", "--target", "claude_code", "--out", tmp_path / "build")
    (tmp_path / "build/claude_code/guard.json").write_text("{}")
    for command in (("verify",), ("diff", "--root", project), ("apply", "--yes", "--root", project)):
        done = run(command[0], tmp_path / "build/claude_code", *command[1:])
        assert done.exit_code == Exit.FAILED and "changed since it was compiled" in done.output


def test_settings_that_claude_code_would_ignore_are_warned_of(project: Path, tmp_path: Path) -> None:
    run("compile", ".", "--target", "claude_code", "--out", tmp_path / "build")
    (project / ".claude").mkdir()
    (project / ".claude/settings.json").write_text('{"permissions": {"defaultMode": "ask"}}')
    done = run("diff", tmp_path / "build/claude_code", "--root", project)
    assert done.exit_code == Exit.DONE and "ignores the whole file" in " ".join(done.output.split())


def test_settings_that_are_broken_are_left_untouched(project: Path, tmp_path: Path) -> None:
    run("compile", ".", "--target", "claude_code", "--out", tmp_path / "build")
    (project / ".claude").mkdir()
    (project / ".claude/settings.json").write_text('{\n  "model": "x",\n}')
    done = run("apply", tmp_path / "build/claude_code", "--root", project, "--yes")
    assert done.exit_code == Exit.FAILED and ".claude/settings.json:" in done.output
    assert (project / ".claude/settings.json").read_text() == '{\n  "model": "x",\n}'
    assert not (project / ".harness-compile/claude_code").exists()


def test_a_recipe_says_sources_targets_and_policy(project: Path) -> None:
    (project / "r.yaml").write_text(
        "out: run\nmemory: {sources: [{format: auto, path: .}]}\n"
        "harness: {targets: [claude_code], on_error: warn}\n"
    )
    done = run("compile", "--recipe", "r.yaml")
    assert done.exit_code == Exit.DONE, done.output
    said = json.loads((project / "run/harness/claude_code/guard.json").read_text())
    assert said["on_error"] == "warn"
    assert run("compile", ".", "--recipe", "r.yaml").exit_code == Exit.USAGE


def test_compile_as_json_has_the_account_and_the_gaps(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "build"
    done = run("compile", "CLAUDE.md", "--target", "claude_code", "--out", out, "--json")
    said = json.loads(done.stdout)
    assert said["bundles"] == [str(out / "claude_code")] and said["gaps"] == []
    assert [unit["line"] for unit in said["account"]["units"]] == [3, 4, 5]


def test_a_rule_that_lies_fails_verify(tmp_path: Path) -> None:
    made = compile_rules((NO_FORCE,), backend("claude_code"), Options())
    lie = made.bundle.rules[0].model_copy(update={"cases": (yes(bash("git pull")), no(bash("ls")))})
    bundle = made.bundle.model_copy(update={"rules": (lie,)})
    place = write(made, tmp_path)
    (place / "bundle.json").write_text(bundle.model_dump_json())
    done = run("verify", place)
    assert done.exit_code == Exit.BELOW and "came out wrong" in done.output
    said = json.loads(run("verify", place, "--json").stdout)
    assert [one["wanted"] for one in said["failures"]] == ["fires"]


# -- decide

NOTHING = {"decision": "allow", "rule": "", "source": "", "line": 0, "message": ""}
DECIDED: list[tuple[dict[str, Any], str, str]] = [
    (bash("git push -f"), "deny", "no-force-push"),
    (bash("cd x && sudo git -C . push --force"), "deny", "no-force-push"),
    (bash("git push"), "allow", ""),
    (bash("terraform apply"), "ask", "ask-apply"),
    (bash("npm install"), "warn", "npm"),
    (wrote("generated/a.py"), "deny", "generated"),
    ({"tool": "Read", "input": {"file_path": ".env"}}, "deny", "no-env"),
    ({"tool": "WebSearch", "input": {"query": "x"}}, "deny", "no-search"),
    ({"tool": "mcp__tracker__list", "input": {}}, "deny", "no-search"),
    ({"tool": "Stop"}, "allow", ""),
    (bash("echo > .harness-compile/claude_code/guard.json"), "deny", "guard"),
]


@pytest.mark.parametrize(("call", "decision", "name"), DECIDED)
def test_decide_as_json_is_the_contract(
    call: Any, decision: str, name: str, place: Path, project: Path
) -> None:
    done = run("decide", place, "--call", json.dumps(call), "--json")
    assert done.exit_code == Exit.DONE, done.output
    said = json.loads(done.stdout)
    assert list(said) == ["decision", "rule", "source", "line", "message"]
    assert (said["decision"], said["rule"]) == (decision, name)
    if name in {one.id for one in RULES}:
        assert (said["source"], said["line"]) == (SPAN.source, SPAN.line) and said["message"]
    if decision == "allow":
        assert said == NOTHING


@pytest.mark.parametrize("shape", ["list", "lines"])
def test_decide_knows_the_calls_before(shape: str, place: Path, project: Path) -> None:
    before = [wrote("a.py"), bash("ls")]
    text = json.dumps(before) if shape == "list" else "\n".join(map(json.dumps, before)) + "\n\n"
    (project / "session").write_text(text)
    call = json.dumps(bash("git commit -m x"))
    said = json.loads(run("decide", place, "--call", call, "--session", "session", "--json").stdout)
    assert (said["decision"], said["rule"]) == ("require", "lint-before-commit")
    assert json.loads(run("decide", place, "--call", call, "--json").stdout)["decision"] == "allow"


def test_decide_for_people_says_rule_line_and_what_to_do(place: Path, project: Path) -> None:
    done = run("decide", place, "--call", json.dumps(bash("git push -f")))
    assert done.output.splitlines()[:2] == ["deny", "rule: no-force-push (docs/NOTES.md:3)"]
    assert "Instead: git push" in done.output
    assert run("decide", place, "--call", "-", stdin=json.dumps(bash("git push"))).output == "allow\n"


def test_a_hostile_message_does_not_reach_the_terminal(place: Path, project: Path) -> None:
    call = json.dumps(bash("reactor start"))
    for words in ((), ("--json",)):
        done = run("decide", place, "--call", call, *words)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.output)
    assert json.loads(run("decide", place, "--call", call, "--json").stdout)["message"].startswith(
        HOSTILE_RULE.message
    )


def test_decide_uses_the_index_of_a_big_bundle(tmp_path: Path, project: Path) -> None:
    many = [
        rule(f"r{n}", Command(program=(f"tool{n}",)), "deny", (yes(bash(f"tool{n}")), no(bash("ls"))))
        for n in range(150)
    ]
    place = write(compile_rules(many, backend("claude_code"), Options()), tmp_path)
    assert (place / "guard.index").exists()
    said = json.loads(run("decide", place, "--call", json.dumps(bash("tool149")), "--json").stdout)
    assert said["rule"] == "r149"


BAD: list[tuple[tuple[str, ...], int, str]] = [
    (("decide", "PLACE", "--call", "nope"), Exit.USAGE, "is not JSON"),
    (("decide", "PLACE", "--call", "[]"), Exit.USAGE, "is no call"),
    (("decide", "PLACE", "--call", '{"tool": 1}'), Exit.USAGE, "is no call"),
    (("decide", "PLACE", "--call", '{"tool": "Bash", "input": []}'), Exit.USAGE, "is no call"),
    (("decide", "PLACE", "--call", '{"tool": "Bash"}', "--session", "none"), Exit.FAILED, "no such file"),
    (("decide", "nowhere", "--call", '{"tool": "Bash"}'), Exit.FAILED, "is no bundle"),
    (("decide", "PLACE"), Exit.USAGE, "--call"),
    (("verify", "nowhere"), Exit.FAILED, "is no bundle"),
    (("compile", "CLAUDE.md"), Exit.USAGE, "--target"),
    (("compile", "--target", "claude_code"), Exit.USAGE, "no memory is named"),
    (("compile", "CLAUDE.md", "--target", "emacs"), Exit.USAGE, "claude_code"),
    (("compile", "nothing.md", "--target", "claude_code"), Exit.FAILED, "nothing.md"),
    (("compile", "CLAUDE.md", "--target", "claude_code", "--on-error", "allow"), Exit.USAGE, "deny, ask"),
    (("rollback",), Exit.USAGE, "nothing is installed"),
]


@pytest.mark.parametrize(("words", "code", "said"), BAD)
def test_a_fault_is_one_sentence_and_a_code(
    words: tuple[str, ...], code: int, said: str, place: Path, project: Path
) -> None:
    done = run(*[str(place) if word == "PLACE" else word for word in words])
    assert done.exit_code == code, done.output
    assert said in " ".join(done.output.split()) and "Traceback" not in done.output
    assert [one.name for one in project.iterdir()] == ["CLAUDE.md"]


def test_a_torn_line_of_a_session_is_named(place: Path, project: Path) -> None:
    (project / "session").write_text('{"tool": "Bash"}\n{"tool": \n')
    done = run("decide", place, "--call", '{"tool": "Bash"}', "--session", "session")
    assert done.exit_code == Exit.USAGE and "session, line 2" in done.output


def test_status_of_an_empty_project(project: Path) -> None:
    done = run("status")
    assert done.exit_code == Exit.DONE and "nothing is installed" in done.output


# -- help and start-up


def test_help_teaches() -> None:
    done = run("--help")
    commands = ("compile", "verify", "decide", "diff", "apply", "status", "rollback")
    assert all(name in done.output for name in commands) and "CLAUDE.md" in done.output
    for name in commands:
        said = run(name, "--help")
        assert said.exit_code == 0 and f"harness-compile {name}" in said.output, name


def test_decide_imports_nothing_heavy(place: Path, tmp_path: Path) -> None:
    heavy = ("rules", "bundle", "changes", "lower", "verify", "backends")
    code = (
        "import sys\n"
        f"sys.modules.update({{f'harness_compile.{{one}}': None for one in {heavy!r}}})\n"
        "sys.modules['distill.memory'] = sys.modules['distill.records'] = None\n"
        "from harness_compile.cli import app\n"
        f"app(['decide', {str(place)!r}, '--call', '{{\"tool\": \"Stop\"}}', '--json'])\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=root, timeout=100)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == NOTHING


def test_a_recipe_compiles_what_its_plan_gives_to_the_harness(project: Path) -> None:
    """A line too young for the recipe becomes no rule, in `compile` as in `distill plan`."""
    from distill.cli import app as distill

    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *words], cwd=project, check=True)
    recipe = (
        "out: run\nmemory: {sources: [{format: auto, path: .}]STABLE}\nharness: {targets: [claude_code]}\n"
    )
    for stable, rules in (("", True), (", stable: {min_age_days: 30, max_edits: 1}", False)):
        (project / "r.yaml").write_text(recipe.replace("STABLE", stable))
        done = run("compile", "--recipe", "r.yaml", "--json", "--force")
        assert done.exit_code == Exit.DONE, done.output
        units = json.loads(done.stdout)["account"]["units"]
        assert any(unit["rules"] for unit in units) is rules
        planned = CliRunner().invoke(distill, ["plan", "r.yaml", "--json"])
        assert planned.exit_code == Exit.DONE, planned.output
        routes = {one["unit"]: one["to"] for one in json.loads(planned.stdout)["routes"]}
        whole = {unit["unit"] for unit in units if unit["rules"] and not unit["left"]}
        assert {unit for unit, to in routes.items() if to == "harness"} == whole

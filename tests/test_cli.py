"""The commands of the floor, end to end: what they print, what they write, and every slip as one sentence."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill import cli
from distill.cli import app
from distill.errors import StaleError
from distill.memory import store
from distill.planned import planned
from distill.recipe import load
from distill.records import Plan, Route, read_jsonl
from distill.stage import Run, fresh

FIXTURES = Path(__file__).parent / "fixtures" / "memory"
NOTES = "# Ports\n\n- The relay uses 6120.\n- The password is tr0ut-4-lunch.\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of its own with a memory and a recipe, as the current one."""
    monkeypatch.chdir(tmp_path)
    Path("AGENTS.md").write_text(NOTES)
    Path("r.yaml").write_text("out: runs/r\nmemory: {sources: [{path: .}]}\n")
    return tmp_path


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def of(path: str) -> list[str]:
    """The command that reads the memory at a path."""
    return ["read", "r.yaml", "--set", f"memory.sources.0.path={path}"]


def said(*words: str) -> str:
    """Stdout of a command that must succeed."""
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_init_plan_from_nothing(place: Path) -> None:
    out = said("init", ".")
    assert "agents_md  AGENTS.md" in out
    assert out.endswith("1 file; wrote distill.yaml\nnext: distill plan distill.yaml\n")
    out = said("plan", "distill.yaml")
    assert "tr0ut" not in out
    assert "AGENTS.md:4  tokens   holds a secret" in out
    assert "2 units: 1 to weights (5 tokens), 1 to tokens (8 tokens)" in out
    assert out.endswith("next: distill run distill.yaml\n")


def test_init_writes_a_recipe_that_says_every_key(place: Path) -> None:
    said("init", ".")
    text = Path("distill.yaml").read_text()
    for key in (
        "sources:",
        "min_age_days: 14",
        "overrides: []",
        "quantize: none",
        "per_unit: 24",
        "lr: null",
        "on_error: deny",
        "retention: 0.9",
        "bootstrap: 2000",
    ):
        assert key in text
    # taking away every mark of a commented key leaves a valid recipe
    lines = [
        line.replace("# ", "", 1) if line.lstrip().startswith("# ") else line for line in text.splitlines()
    ]
    keys = [
        line
        for line in lines
        if ":" in line and not line.lstrip().startswith("#") and "   " not in line.strip()
    ]
    body = [line for line in keys if line.lstrip().split(":")[0].replace("_", "").isalpha() or "- {" in line]
    Path("all.yaml").write_text("\n".join(body))
    said("plan", "all.yaml", "--set", "memory.sources=[{path: .}]")


def test_read_stores_units_and_documents(place: Path) -> None:
    out = said("read", "r.yaml")
    assert "AGENTS.md  everywhere" in out
    assert "2 units: 2 fact; 1 with a secret\nnext: distill plan r.yaml\n" in out
    files = Run(Path("runs/r"))
    memory = store.load(files.units, files.memory, "x")
    assert fresh(files.units, memory.inputs())
    assert [unit.text for unit in memory.units] == ["The relay uses 6120.", "The password is [redacted...]."]


def test_plan_stores_routes_and_the_residual_memory(place: Path) -> None:
    said("plan", "r.yaml")
    header, routes = read_jsonl("runs/r/plan.jsonl", Route)
    assert sorted(header.inputs) == ["memory", "route"]
    assert [route.to for route in Plan(routes=tuple(routes)).routes] == ["weights", "tokens"]
    assert Path("runs/r/residual/AGENTS.md").read_text() == "# Ports\n\n- The password is [redacted...].\n"
    said("plan", "r.yaml", "--set", "route.overrides=[{unit: 'the-relay-*', to: tokens, because: it moves}]")
    assert "6120" in Path("runs/r/residual/AGENTS.md").read_text()
    Path("AGENTS.md").write_text("- The relay uses 6120.\n")
    said("read", "r.yaml")
    said("plan", "r.yaml")
    assert [path.name for path in Path("runs/r/residual").iterdir()] == ["index.json"]


def test_no_file_of_a_run_holds_a_secret(place: Path) -> None:
    said("plan", "r.yaml")
    files = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert len(files) == 5
    assert [path for path in files if "tr0ut" in path.read_text()] == []


def test_json_is_for_machines(place: Path) -> None:
    units = json.loads(said("read", "r.yaml", "--json"))["units"]
    assert units[0]["spans"][0]["line"] == 3
    plan = json.loads(said("plan", "r.yaml", "--json"))
    assert plan["tokens"] == {"weights": 5, "tokens": 8}
    assert plan["saved"] == {"each_call": 6, "some_calls": 0}
    assert plan["routes"][0] == {
        "unit": units[0]["id"],
        "to": "weights",
        "because": "a lasting fact; no history",
        "tokens": 5,
    }


def test_one_unit_is_explained(place: Path) -> None:
    out = said("plan", "r.yaml", "--explain", "the-relay")
    assert "says       Ports > Ports: The relay uses 6120." not in out
    assert "Ports: The relay uses 6120." in out
    assert "AGENTS.md:3" in out
    assert "lasting     weights: a lasting fact; no history" in out
    assert out.endswith("weights: a lasting fact; no history\n")
    answer = json.loads(said("plan", "r.yaml", "--explain", "the-password", "--json"))
    assert answer["route"]["because"] == "holds a secret"
    assert dict(answer["rules"])["secret"] == ["tokens", "holds a secret"]
    result = run("plan", "r.yaml", "--explain", "the-rely")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: no unit is called the-rely; perhaps the-relay-uses-6120-")


def test_the_diff_shows_what_leaves_and_covers_what_nobody_should_see(place: Path) -> None:
    Path("AGENTS.md").write_text(NOTES + "- Never ask ulla.berg@lamps.io about lamps.\n")
    lines = said("plan", "r.yaml", "--diff").splitlines()
    assert lines[:2] == ["--- AGENTS.md", "+++ residual/AGENTS.md"]
    assert "-- The relay uses 6120." in lines
    assert " - The password is [redacted...]." in lines
    assert "ulla.berg" not in "\n".join(lines)
    assert "ulla.berg" not in said("plan", "r.yaml") + said("read", "r.yaml", "--json")
    assert (
        "ulla.berg@lamps.io" in Path("runs/r/residual/AGENTS.md").read_text()
    )  # the user's own file, as it was


def commit(day: str) -> None:
    """Everything here, committed on a day."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    when = {**os.environ, "GIT_COMMITTER_DATE": f"{day}T12:00:00Z", "GIT_AUTHOR_DATE": f"{day}T12:00:00Z"}
    for words in (["init", "-q"], ["add", "AGENTS.md"], [*who, "commit", "-qm", day]):
        subprocess.run(["git", *words], check=True, env=when)


def test_lines_that_stood_go_to_weights_and_young_ones_stay(place: Path) -> None:
    Path("AGENTS.md").write_text("- The relay is blue.\n")
    commit("2026-01-01")
    Path("AGENTS.md").write_text("- The relay is blue.\n- The mast is high.\n")
    commit(str(date.today()))
    Path("AGENTS.md").write_text("- The relay is blue.\n- The mast is high.\n- The sail is white.\n")
    Path("CLAUDE.md").write_text("- The deck is long.\n")  # git does not know this one
    said("init", ".")
    out = said("plan", "distill.yaml", "--json")
    whys = [(route["to"], route["because"]) for route in json.loads(out)["routes"]]
    young = f"may not last: it last changed on {date.today()}, less than 14 days ago"
    assert sorted(whys) == [
        ("tokens", young),
        ("tokens", young),
        ("weights", "a lasting fact; it has stood unchanged since 2026-01-01"),
        ("weights", "a lasting fact; no history"),
    ]
    routes = json.loads(said("plan", "distill.yaml", "--json", "--set", "memory.stable.min_age_days=0"))[
        "routes"
    ]
    assert [route["to"] for route in routes] == ["weights"] * 4
    assert "no history" in said(
        "plan", "r.yaml", "--set", "out=runs/other"
    )  # a recipe that does not ask for it
    explained = said("plan", "distill.yaml", "--explain", "the-relay")
    assert "first seen on 2026-01-01, last changed on 2026-01-01, rewritten 0 times" in explained


def test_what_a_harness_says_exactly_goes_there_and_what_none_says_stays(place: Path) -> None:
    Path("AGENTS.md").write_text("- Never run `git push --force`.\n- Never be rude.\n- The relay is blue.\n")
    out = said("plan", "r.yaml", "--json", "--set", "harness.targets=[claude_code]")
    routes = [(route["to"], route["because"]) for route in json.loads(out)["routes"]]
    assert [place for place, _ in routes] == ["harness", "tokens", "weights"]
    assert routes[1][1] == "a constraint, and no harness says it exactly: weights do not enforce"
    assert Path("runs/r/residual/AGENTS.md").read_text() == "- Never be rude.\n"
    out = said("plan", "r.yaml", "--set", "harness.targets=[claude_code]")
    assert "1 to weights (5 tokens), 1 to harness (8 tokens), 1 to tokens (4 tokens)" in out
    assert out.endswith("next: harness-compile compile --recipe r.yaml\n")


def test_a_long_plan_is_cut_on_the_screen_and_says_so(place: Path) -> None:
    Path("AGENTS.md").write_text("".join(f"- The relay {n} uses {n}.\n" for n in range(70)))
    assert "… and 10 more (--all shows them)" in said("plan", "r.yaml")
    assert "the-relay-69-uses-69" in said("plan", "r.yaml", "--all")
    assert len(json.loads(said("plan", "r.yaml", "--json"))["routes"]) == 70


def test_a_whole_repository_and_a_jsonl(place: Path) -> None:
    sets = ["--set", f"memory.sources=[{{path: {FIXTURES / 'repo'}}}, {{path: {FIXTURES / 'facts.jsonl'}}}]"]
    out = said("read", "r.yaml", *sets)
    assert "repo/.claude/rules/api/http.md" in out
    assert "src/api/**/*.ts, src/{edge,core}/**" in out
    out = said("plan", "r.yaml", *sets, "--all")
    assert "facts.jsonl:1" in out


def test_warnings_go_to_stderr(place: Path) -> None:
    Path("CLAUDE.md").write_text("One two. @gone.md\n")
    result = run("plan", "r.yaml", "--set", "route.overrides=[{unit: nope, to: tokens}]", "--json")
    assert json.loads(result.stdout)["warnings"] == [
        "CLAUDE.md:1: the import @gone.md is not there and is left out",
        "the override nope matches no unit",
    ]
    result = run("plan", "r.yaml")
    assert result.stderr == "warning: CLAUDE.md:1: the import @gone.md is not there and is left out\n"


def test_a_hostile_memory_moves_no_cursor(place: Path) -> None:
    Path("AGENTS.md").write_text("- One \x1b[2Jtwo [red]three[/red] \u202efour.\n")
    for command in ("read", "plan"):
        result = run(command, "r.yaml")
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["plan", "no.yaml"], 1, "error: no.yaml: no such file or directory; check the path"),
        (["plan", "."], 1, "error: .: is a directory, a file was expected; check the path"),
        (["init", "nowhere"], 1, "error: nowhere: there is no such file or directory; check the path"),
        (
            ["init", "empty"],
            1,
            "error: empty: no memory was found here; name a memory file, for instance distill init NOTES.md",
        ),
        (
            ["init", ".", "--to", "r.yaml"],
            1,
            "error: r.yaml: is there already; add --force to write over it, or --to another file",
        ),
        (
            ["read", "r.yaml", "--set", "seed"],
            2,
            "error: --set seed has no meaning; write it as --set section.key=value",
        ),
        (
            ["read", "r.yaml", "--set", "train.rnk=1"],
            1,
            "error: --set train.rnk=1: unknown key train.rnk; did you mean train.rank?",
        ),
        (of("no.md"), 1, "error: no.md: there is no such memory file; check the path in the recipe"),
        (
            of("empty"),
            1,
            "error: empty: no memory was found here "
            "(CLAUDE.md or AGENTS.md); name the memory file in the recipe",
        ),
        (of("binary.md"), 1, "error: binary.md:1: is binary (a NUL byte), not text; name a text file"),
        (of("latin.md"), 1, "error: latin.md:2: is not UTF-8 text (byte 0xe9); save it as UTF-8"),
        (
            of("big.md"),
            1,
            "error: big.md: is 10.0 MiB, and a memory "
            "file may have at most 4 MiB; split it, or leave out what is not memory",
        ),
        (of("cycle.md"), 1, "error: cycle.md: import cycle: cycle.md → cycle.md; take one import out"),
        (
            ["read", "r.yaml", "--set", "out=AGENTS.md/x"],
            1,
            "error: AGENTS.md/x: a part of the path is not a directory; check the path",
        ),
    ],
)
def test_a_slip_is_one_sentence_and_nothing_is_written(
    place: Path, words: list[str], code: int, sentence: str
) -> None:
    Path("empty").mkdir()
    Path("binary.md").write_bytes(b"a\0b")
    Path("latin.md").write_bytes(b"one\ncaf\xe9\n")
    Path("big.md").write_bytes(b"a b c d e\n" * 2**20)
    Path("cycle.md").write_text("One.\n\n@cycle.md\n")
    before = sorted(place.rglob("*"))
    result = run(*words)
    assert (result.stderr, result.exit_code) == (f"{sentence}\n", code)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda: Path("AGENTS.md").write_text("- Other words.\n"),
            "error: runs/r/memory.jsonl: is stale: AGENTS.md changed since; run `distill read r.yaml` again",
        ),
        (
            lambda: Path("CLAUDE.md").write_text("- More words.\n"),
            "error: runs/r/memory.jsonl: is stale: CLAUDE.md changed since; run `distill read r.yaml` again",
        ),
        (
            lambda: Path("runs/r/memory.jsonl").write_bytes(Path("runs/r/memory.jsonl").read_bytes()[:-9]),
            "error: runs/r/memory.jsonl:3: the file ends in the middle of a line; "
            "run `distill read r.yaml` again",
        ),
        (
            lambda: Path("runs/r/memory.json").write_text("{"),
            "error: runs/r/memory.json: not a whole Documents (invalid json); "
            "run `distill read r.yaml` again",
        ),
    ],
)
def test_a_stage_refuses_what_moved_and_names_the_command(place: Path, spoil, sentence: str) -> None:
    said("plan", "r.yaml")
    spoil()
    result = run("plan", "r.yaml")
    assert (result.stderr, result.exit_code) == (f"{sentence}\n", 1)
    said("read", "r.yaml")
    said("plan", "r.yaml")


def test_later_stages_begin_with_a_plan_that_fits(place: Path) -> None:
    recipe = Path("r.yaml")
    memory, plan = planned(load(recipe), cli._commands(recipe, None))
    assert planned(load(recipe), cli._commands(recipe, None)) == (memory, plan)
    sets = ["route.overrides=[{unit: x, to: tokens}]"]
    with pytest.raises(
        StaleError, match=r"plan\.jsonl: is stale: route changed; run `distill plan r\.yaml --set"
    ):
        planned(load(recipe, sets), cli._commands(recipe, sets))
    Path("AGENTS.md").write_text("- Other words.\n")
    said("read", "r.yaml")
    with pytest.raises(
        StaleError, match=r"plan\.jsonl: is stale: memory changed; run `distill plan r\.yaml` again"
    ):
        planned(load(recipe), cli._commands(recipe, None))


def test_ctrl_c_names_the_command_that_resumes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distill.planned.store.save", interrupted)
    monkeypatch.setattr(sys, "argv", ["distill", "read", "r.yaml"])
    result = run("read", "r.yaml")
    assert (result.stderr, result.exit_code) == ("stopped; `distill read r.yaml` resumes\n", 130)


def test_help_teaches(place: Path) -> None:
    assert "distill init ." in said("--help")
    assert "distill plan distill.yaml" in said("plan", "--help")
    assert run("plan").exit_code == 2
    assert said("--version").strip()

"""The many ways in which people write the same rule, and what looks like a rule and is none.

Sentences written for these tests, in the kinds that real memories hold. Each row: the sentence (the
heading above it after ` << `), what must be stopped, what must pass; a call is written as in `test_lower`.
"""

from __future__ import annotations

import pytest

from harness_compile.lower import account_of, known_checks, lower
from harness_compile.lower.words.commands import read_command
from harness_compile.lower.words.sift import NEEDS
from harness_compile.rules import NotEnforceable
from tests.harness.test_lower import STOPPED, answer, rules_of, unit

REFUSED = [
    ("Never push with `--force`.", ["git push --force"], ["git push"]),
    ("Commit with `--no-verify` << Never do", ["git commit --no-verify -m x"], ["git commit -m x"]),
    ("Do not bypass pre-commit hooks with `--no-verify`", ["git commit -nm x"], ["git commit -m x"]),
    ("Never pass `--no-cache` to `docker build`", ["docker build --no-cache ."], ["docker build ."]),
    ("Do NOT run `docker compose down -v`, it destroys the database.", ["docker compose down -v"],
     ["docker compose down"]),
    ("Don't run `yarn start`, the user already has it running", ["yarn start"], ["yarn build"]),
    ("`git stash` is banned in this repo", ["git stash", "git stash pop"], ["git status"]),
    ("Not allowed: `git reset --hard`, `git clean -fd`", ["git reset --hard x", "git clean -fd"],
     ["git reset x"]),
    ("Commands that must never be run: `dropdb`", ["dropdb x"], ["createdb x"]),
    ("Direct commits to `main` are not allowed.", ["main@@git commit -m x"], ["topic@@git commit -m x"]),
    ("No direct pushes to `trunk`", ["git push origin trunk"], ["git push origin topic"]),
    ("Do not mark PRs as ready (`gh pr ready`).", ["gh pr ready 3"], ["gh pr view 3"]),
    ("Never rewrite history (`git rebase`, `git commit --amend`).", ["git rebase x", "git commit --amend"],
     ["git commit -m x"]),
    ("Avoid interactive commands such as `git rebase -i`", ["git rebase -i x"], ["git rebase x"]),
    ("Never run `pnpm test` from the root", ["pnpm test"], ["cd packages/a && pnpm test"]),
    ("Do not run `pytest` without a path", ["pytest"], ["pytest tests/a.py"]),
    ("❌ Never use `sudo npm`", ["sudo npm i x"], ["npm i x", "sudo ls"]),
    ("Do not create git tags or GitHub releases.", ["git tag v1", "gh release create v1"], ["git tag"]),
    ("Do not bump package versions.", ["npm version patch"], ["npm view x"]),
    ("Never add dependencies to the root `pyproject.toml`", ["uv add x"], ["uv sync"]),
    ("Make sure you never run `make nuke`", ["make nuke"], ["make"]),
    ("Use `python3`, not `python`", ["python a.py"], ["python3 a.py"]),
    ("Bun instead of Node.js", ["node a.js"], ["bun a.js"]),
    ("Install packages with `uv add <package>`, not `uv pip install`", ["uv pip install x"], ["uv add x"]),
    ("Use the `gh` CLI for pull requests.", ["curl -X POST https://api.github.com/repos/a/b/pulls"],
     ["gh pr create -t x -b y", "curl https://example.org"]),
    ("Always use `git commit -s`", ["git commit -m x"], ["git commit -s -m x"]),
    ("All Python commands must be run with `uv run`", ["python a.py"], ["uv run python a.py"]),
    ("Always use the `Grep` tool, never `grep` via Bash", ["grep -r x ."], ["ls"]),
    ("Never use the `billing` MCP server", [{"tool": "mcp__billing__list", "input": {}}],
     [{"tool": "mcp__other__list", "input": {}}]),
    ("Don't use web search", [{"tool": "WebSearch", "input": {"query": "x"}}], ["ls"]),
]  # fmt: skip
PLACES = [
    ("Leave `vendor/` alone", ["Write vendor/a.c"], ["Read vendor/a.c"]),
    ("Keep your hands off `infra/`", ["Write infra/a.tf"], ["Write app/a.tf"]),
    ("Treat `third_party/` as read-only", ["Write third_party/a.c"], ["Write a.c"]),
    ("Changes to `proto/` are forbidden", ["Write proto/a.proto"], ["Read proto/a.proto"]),
    ("No manual edits to `openapi.json`", ["Write openapi.json"], ["Write a.json"]),
    ("Auto-generated files: `routes.gen.ts` (don't modify)", ["Write routes.gen.ts"], ["Write routes.ts"]),
    ("`build/` and `out/` are artifacts and should never be edited", ["Write build/a", "Write out/a"],
     ["Write a"]),
    ("`src/gen` is auto-generated and should not be edited", ["Write src/gen/a.ts"], ["Write src/a.ts"]),
    ("Never modify already-applied migrations in `db/migrations/`", ["Write db/migrations/1.sql"],
     ["New db/migrations/2.sql"]),
    ("Stay within `apps/api`.", ["Write apps/web/a.ts"], ["Write apps/api/a.ts"]),
    ("Do not commit build output (`dist/`)", ["git add dist/a.js"], ["git add src/a.js"]),
    ("Never add `.DS_Store` to git", ["git add .DS_Store"], ["git add a"]),
    ("Do not read `node_modules`", ["Read node_modules/a/b.js"], ["Read src/b.js"]),
    ("`package-lock.json` << Files you must never modify", ["Write package-lock.json"],
     ["Write package.json"]),
]  # fmt: skip
TEXTS = [
    ("Use semantic commit messages (feat, fix, chore)", ["git commit -m 'Fix it'"],
     ["git commit -m 'fix: it'"]),
    ("Use conventional commits with a scope", ["git commit -m 'fix: it'"], ["git commit -m 'fix(a): it'"]),
    ("Keep the first line of the commit message under 50 characters", [f"git commit -m '{'x' * 50}'"],
     [f"git commit -m '{'x' * 49}'"]),
    ("Max 72 characters for the commit subject", [f"git commit -m '{'x' * 73}'"],
     [f"git commit -m '{'x' * 72}'"]),
    ("Do not end commit subjects with a period", ["git commit -m 'Fix it.'"], ["git commit -m 'Fix it'"]),
    ("Prefix commit messages with the package name", ["git commit -m 'Fix it'"], ["git commit -m 'core: "
        "fix it'"]),
    ("Every commit message must reference a ticket (`ABC-123`)", ["git commit -m 'Fix it'"],
     ["git commit -m 'XY-7 fix it'"]),
    ("PR descriptions must contain `Closes #<issue>`", ["gh pr create -t x -b y"],
     ["gh pr create -t x -b 'Closes #4'"]),
    ('PR descriptions must include a "Test plan" section', ["gh pr create -t x -b y"],
     ["gh pr create -t x -b '## Test plan'"]),
    ("Open all PRs as drafts", ["gh pr create -t x -b y"], ["gh pr create --draft -t x -b y"]),
    ("Base branch for PRs: `develop`", ["gh pr create -B main -t x -b y"], ["gh pr create -B develop -t x "
        "-b y"]),
    ("Never open PRs against `main`", ["gh pr create -B main -t x -b y"], ["gh pr create -B dev -t x -b y"]),
    ("Branch names must start with `feature/` or `fix/`", ["git checkout -b x", "git switch -c topic/x"],
     ["git checkout -b fix/x", "git checkout main"]),
    ("Do not create a branch prefixed with `bot/`", ["git switch -c bot/x"], ["git switch -c x"]),
]  # fmt: skip
OWED = [
    ("Do not commit until `npm run build` passes", [("Write a.ts", "git commit -m x")],
     [("Write a.ts", "npm run build", "git commit -m x")]),
    ("Don't commit code that fails `npm run lint`", [("Write a.ts", "git commit -m x")],
     [("Write a.ts", "npm run lint", "git commit -m x")]),
    ("Only commit if `make check` passes", [("Write a.c", "git commit -m x")], [("Write a.c", "git status")]),
    ("PRs must pass `npm run lint`", [("Write a.ts", "gh pr create -t x -b y")],
     [("Write a.ts", "git push")]),
    ("PR checklist: run `make lint`", [("Write a.c", "gh pr create -t x -b y")], [("Write a.c", "git push")]),
    ("Work is not done until `make test` passes", [("Write a.c", "Stop")],
     [("Write a.c", "make test", "Stop")]),
    ("Never say you're done without running `make test`", [("Write a.c", "Stop")],
     [("Write a.c", "make test", "Stop")]),
    ("Always finish by running `cargo clippy`", [("Write a.rs", "Stop")], [("Write a.md", "Stop")]),
    ("Changes to `api/*.yaml` require running `make gen`", [("Write api/a.yaml", "Stop")],
     [("Write a.yaml", "Stop")]),
    ("Run `npm run codegen` whenever `schema.graphql` changes.", [("Write schema.graphql", "Stop")],
     [("Write a.ts", "Stop")]),
    ("When you change the schema in `db/schema.ts`, run `pnpm gen`", [("Write db/schema.ts", "Stop")],
     [("Write db/other.ts", "Stop")]),
    ("When done, run the lint and typecheck commands (`npm run lint`, `npm run types`)",
     [("Write a.ts", "npm run lint", "Stop")], [("Write a.ts", "npm run lint", "npm run types", "Stop")]),
    ("Rust changes: run `cargo clippy`", [("Write a.rs", "Stop")], [("Write a.py", "Stop")]),
    ("Before starting work on an issue, run `gh issue view <id>`.", ["gh pr create -t x -b y"],
     [("gh issue view 4", "gh pr create -t x -b y")]),
    ("TypeScript must compile without errors: `npx tsc --noEmit`", [("Write a.ts", "Stop")],
     [("Write a.ts", "npx tsc --noEmit", "Stop")]),
    ("```bash\n# Only if you changed styles\nnpm run stylelint\n# Other\nnpm run other\n``` << Before "
     "committing",
     [("Write a.css", "git commit -m x"), ("Write a.ts", "git commit -m x")],
     [("Write a.ts", "npm run other", "git commit -m x")]),
]  # fmt: skip


def split(sentence: str) -> tuple[str, tuple[str, ...]]:
    text, _, heading = sentence.partition(" << ")
    return text, (heading,) if heading else ()


@pytest.mark.parametrize(
    ("sentence", "stopped", "passed"),
    [*REFUSED, *PLACES, *TEXTS, *OWED],
    ids=[row[0][:60] for row in (*REFUSED, *PLACES, *TEXTS, *OWED)],
)
def test_one_of_many_ways_to_say_it(sentence: str, stopped: list, passed: list) -> None:
    text, heading = split(sentence)
    rules = rules_of(text, *heading)
    assert rules
    for rule in rules:
        assert sum(case.fires for case in rule.cases) >= 2 <= sum(not case.fires for case in rule.cases)
    for wanted, calls in ((True, stopped), (False, passed)):
        for one in calls:
            said = one if isinstance(one, tuple) else (one,)
            assert (answer(rules, *said) in STOPPED) == wanted, one


# The remedy after a prohibition is never what is forbidden. Sentence, what is stopped, what passes.
INSTEAD = [
    *(
        (sentence, ["Write gen/a.cfg"], ["Write core/x.cfg"])
        for sentence in (
            "Never edit `gen/a.cfg`, change `core/x.cfg`.",
            "Never edit `gen/a.cfg`: change `core/x.cfg` instead.",
            "Never edit `gen/a.cfg` - edit `core/x.cfg`.",
            "Never edit `gen/a.cfg`, use `core/x.cfg` instead.",
            "Never edit `gen/a.cfg`; use `core/x.cfg` instead.",
            "Never edit `gen/a.cfg` and edit `core/x.cfg` instead.",
            "Never edit `gen/a.cfg`, `core/x.cfg` instead.",
            "Never edit `gen/a.cfg`, only edit `core/x.cfg`.",
            "Never edit `gen/a.cfg`, edit `core/x.cfg` and run `make gen`.",
            "Never edit `gen/a.cfg` or `gen/b.cfg`, edit `core/x.cfg`.",
            "`gen/a.cfg` is generated: never edit it, edit `core/x.cfg` instead.",
            "`gen/a.cfg` is generated from `core/x.cfg`: do not edit it.",
            "`gen/a.cfg` must not be edited, edit `core/x.cfg`.",
            "`gen/a.cfg` is read-only, change `core/x.cfg`.",
            "Leave `gen/a.cfg` alone, edit `core/x.cfg`.",
            "Treat `gen/a.cfg` as read-only, edit `core/x.cfg` instead.",
            "Changes to `gen/a.cfg` are forbidden, change `core/x.cfg`.",
            "Do not change `gen/a.cfg`, changes go into `core/x.cfg`.",
            "Avoid editing `gen/a.cfg`, edit `core/x.cfg`.",
            "Edit `core/x.cfg`, never edit `gen/a.cfg`.",
            "Edit `gen/a.cfg`, change `core/x.cfg` instead << Never",
        )
    ),
    *(
        (sentence, ["make deploy"], ["make stage"])
        for sentence in (
            "Never run `make deploy`, run `make stage`.",
            "Never run `make deploy`, execute `make stage`.",
            "Never run `make deploy`, switch to `make stage`.",
            "Never run `make deploy`: use `make stage`.",
            "Never run `make deploy`, `make stage` instead.",
            "Do not run `make deploy`; instead run `make stage`.",
            "`make deploy` is forbidden, use `make stage`.",
            "`make deploy` is forbidden: run `make stage` instead.",
            "`make deploy` must not be run, run `make stage`.",
            "Ask before running `make deploy`, run `make stage` instead.",
            "Use `make stage` instead of `make deploy`.",
            "Instead of `make deploy`, use `make stage`.",
        )
    ),
    ("Never edit the lock file, run `npm install`.", ["Write package-lock.json"], ["npm install"]),
    ("Never read `a.cfg`, read `b.cfg`.", ["Read a.cfg"], ["Read b.cfg"]),
    ("Never delete `a.cfg`, delete `b.cfg`.", ["rm a.cfg"], ["rm b.cfg"]),
    ("Never commit `a.cfg`, commit `b.cfg`.", ["git add a.cfg"], ["git add b.cfg"]),
    ("Never add files to `gen/`, add them to `core/`.", ["Write gen/a"], ["Write core/a"]),
    ("Never push to `main`, push to `dev`.", ["git push origin main"], ["git push origin dev"]),
    # what goes on as a list is forbidden as before
    ("Never edit `a.cfg`, change `b.cfg`, or delete `c.cfg`.", ["Write a.cfg", "Write b.cfg", "rm c.cfg"],
     ["Write c.cfg"]),
    ("Never push to `main`, create releases, or publish.", ["git push origin main", "gh release create v1"],
     ["git push origin dev"]),
    ("Edit `a.cfg`, run `make deploy` << Never", ["Write a.cfg", "make deploy"], ["make stage"]),
    ("Never: edit `a.cfg`, run `make deploy`", ["Write a.cfg", "make deploy"], ["make stage"]),
    ("Edit `a.cfg`, run `make deploy` << Ask first", ["Write a.cfg", "make deploy"], ["make stage"]),
    ("Never edit, move or touch `a.cfg`.", ["Write a.cfg"], ["Write b.cfg"]),
    ("Never delete or modify `a.cfg`.", ["Write a.cfg", "rm a.cfg"], ["Read a.cfg"]),
    # one tool and never another
    ("Always lint with `ruff`, never with `eslint`.", ["eslint a.ts"], ["ruff check"]),
    ("Always lint with ruff, never with eslint.", ["eslint a.ts"], ["ruff check"]),
    ("Always lint with `ruff` and never with `eslint`.", ["eslint a.ts"], ["ruff check"]),
    ("Always lint with `ruff`, not with `eslint`.", ["eslint a.ts"], ["ruff check"]),
    ("Lint with `ruff`, never with `eslint` or `flake8`.", ["eslint a", "flake8"], ["ruff check"]),
    ("Use `make a` — not `make b`.", ["make b"], ["make a"]),
    # code that no table knows
    ("Never read `secret7.env`", ["Read secret7.env", "cat secret7.env"], ["Read secret8.env"]),
    ("Never edit `secret7.env`", ["Write secret7.env"], ["Write secret8.env"]),
    ("Never run `tool0 apply`", ["tool0 apply", "cd a && tool0 apply -y"], ["tool0 plan", "echo tool0"]),
    ("Never run `tool0 apply --now` or `tool1 run`", ["tool0 apply --now", "tool1 run"], ["tool0 apply"]),
    ("Ask before running `tool0 apply`.", ["tool0 apply"], ["tool0 plan"]),
    ("Format code with `rustfmt`.", [("Write a.rs", "Stop")],
     [("Write a.rs", "rustfmt a.rs", "Stop"), ("Write a.rs", "cargo fmt", "Stop")]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "stopped", "passed"), INSTEAD, ids=[row[0][:60] for row in INSTEAD])
def test_what_is_to_be_done_instead_is_never_forbidden(sentence: str, stopped: list, passed: list) -> None:
    test_one_of_many_ways_to_say_it(sentence, stopped, passed)


@pytest.mark.parametrize(
    ("text", "count", "rest"),
    [
        ("Never edit `a.cfg`, change `b.cfg` and delete `c.cfg`.", 1, "change `b.cfg` and delete `c.cfg`"),
        ("Never push to `main`, create releases, publish packages.", 1, "create releases, publish packages"),
        ("Before committing, run `ruff check`, not `eslint`.", 1, "not `eslint`"),
        ("Format code with `rustfmt`.", 1, ""),
    ],
)
def test_what_may_be_a_remedy_or_not_is_said(text: str, count: int, rest: str) -> None:
    found = account_of(unit(text))
    assert len(found.rules) == count and bool(found.left) == bool(rest) and rest in "".join(found.left)


NO_RULE = """\
Avoid creating new files.
Never commit secrets.
Commit messages are parsed by the release tool.
Page titles must start with the product name.
Every issue page must include a "Related" section.
Always use `Decimal` for money.
Always pass `timeout` to `requests.get`.
Use `gh-pages` for the docs site.
Prefix private methods with `_`.
Never show draft posts to anonymous users.
Do not start a transaction (`BEGIN`) inside another one.
Do not update state (`setState`) during render.
Never tag the metric (`user_id`).
Do not push items (`list.push`) while iterating.
Never run tests (`pytest`) in parallel.
Do not use the `Read` trait directly.
Don't use `FooClient` in examples — use `BarClient` instead
The task is done when the user says so.
Only commit when the work is coherent.
PRs must be small.
Changes to the API need a design doc.
Tests must be deterministic.
Migrations must be reversible.
Leave the tests passing.
Keep the README up to date.
Treat warnings as errors.
Consider `legacy/` before adding new abstractions.
Disable the button while loading.
Do not default to `any`.
Unclear requirements → ask.
Never edit the upload file, change `core/x.cfg`.
Never edit the upload file - change `core/x.cfg` instead.
Never install with npm, use pnpm.
`make deploy` ❌ `make stage` ✅
❌ `make deploy` ✅ `make stage`
`gen/a.cfg` is generated from `core/x.cfg`.
`gen/a.cfg` is generated. Read `core/x.cfg` first.
Changes to `gen/a.cfg` go into `core/x.cfg`.
Never run `tool0`.
Never run `drop table users`.
Never run `tool0 apply` on production.
Never read `process.env` directly.
Before committing, lint with `ruff`, never with `eslint`.
Use `make check` when you need a quick look.
`eslint --fix` must not be used on the whole repo
Work in: `services/` and `lib/`
Never squash errors.
Tests are run before merging by the merge queue.
To run the linter before committing, install the hooks.""".splitlines()


@pytest.mark.parametrize("text", NO_RULE)
def test_what_only_looks_like_a_rule_is_none(text: str) -> None:
    assert isinstance(lower(unit(text)), NotEnforceable)


def test_a_remedy_under_a_prohibition_is_not_forbidden() -> None:
    found = account_of(unit("Use `npm` — use `pnpm` instead", "Never"))
    assert found.rules
    assert answer(found.rules, "pnpm install") == "allow"
    assert answer(found.rules, "npm install") == "deny"


MEMORY = [
    unit("Backend: `uv run pytest`, never in parallel", name="no"),
    unit("Run the backend's tests: `uv run pytest tests/ -x`", name="a"),
    unit("```bash\npnpm test:unit   # fast\npnpm test:watch\n```", name="b"),
]


def test_a_check_named_by_its_kind_is_one_of_the_commands_that_the_memory_names() -> None:
    known = known_checks(MEMORY)
    assert [(does, command.program) for does, command, _ in known] == [
        ("test", ("pytest",)),
        ("test", ("pnpm",)),
    ]
    for text in ("Always run the tests before committing.", "All tests must pass before committing",
                 "Never commit without running the tests"):  # fmt: skip
        assert account_of(unit(text)).rules == ()
        rules = account_of(unit(text), known=known).rules
        assert answer(rules, "Write a.py", "git commit -m x") == "require"
        assert answer(rules, "Write a.py", "pnpm test:unit", "git commit -m x") == "require"
        assert answer(rules, "Write a.py", "uv run pytest tests/b.py", "git commit -m x") == "allow"
        assert answer(rules, "Write a.ts", "pnpm test:unit", "git commit -m x") == "allow"
        assert answer(rules, "Write a.md", "git commit -m x") == "allow"
    found = account_of(unit("Run the tests and the linter before pushing."), known=known)
    assert found.rules and "linter" in found.left[0]


def test_a_comment_in_a_block_ends_with_the_next_one() -> None:
    text = "```bash\n# ALWAYS run before committing\nmake style\n# Slow tests\nmake slow-test\n```"
    rules = rules_of(text)
    assert len(rules) == 1
    assert answer(rules, "Write a.c", "make style", "git commit -m x") == "allow"


def test_the_words_that_readers_need_are_of_readers_that_exist() -> None:
    assert set(NEEDS) == {
        "message",
        "pull",
        "only",
        "ask",
        "require",
        "shared",
        "tests",
        "source",
        "prefer",
        "forbid",
        "content",
        "context",
        "skill",
    }
    assert read_command("sudo npm install") is not None

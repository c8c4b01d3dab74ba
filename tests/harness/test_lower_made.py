"""Made files and their sources, one way to run the tests, plans first, lists that are read in part.

Rows as in `test_lower_forms`: the sentence (its heading after ` << `), what must be stopped, what must pass.
"""

from __future__ import annotations

import pytest

from harness_compile.lower import account_of, lower
from harness_compile.rules import Not, NotEnforceable, Shared
from harness_compile.runtime.payloads import neutral
from harness_compile.words import in_words
from tests.harness.test_lower import STOPPED, answer, call, rules_of, unit

MADE = [
    ("`api/client.gen.go` is generated from `api/spec.yaml`; edit the spec instead and rerun `make gen`.",
     ["Write api/client.gen.go"], ["Write api/spec.yaml"]),
    ("Everything under `web/proto/` is auto-generated, so change the `.proto` files instead.",
     ["Write web/proto/a.ts"], ["Write proto/a.proto"]),
    ("The file `docs/cli.md` is produced by `make docs`; don't edit it by hand.",
     ["Write docs/cli.md"], ["Write docs/a.md"]),
    ("`schema.graphql` is a build artifact. Edit `src/schema/*.graphql` instead.",
     ["Write schema.graphql"], ["Write src/schema/a.graphql"]),
    ("Changes to API types go into `types/src/index.ts`, not `types/dist/`.",
     ["Write types/dist/a.d.ts"], ["Write types/src/index.ts"]),
    ("Edit `a.tmpl.md`, never `a.md` - the release script overwrites it.", ["Write a.md"],
     ["Write a.tmpl.md"]),
    ("Make changes in `charts/base.yaml` rather than editing `charts/out/` directly.",
     ["Write charts/out/a.yaml"], ["Write charts/base.yaml"]),
    ("Edit `gen/templates/`, not `gen/`.", ["Write gen/a.go"], ["Write gen/templates/a.tmpl"]),
    ("Generated code lives in `gen/` and must not be modified manually.", ["Write gen/a.go"],
     ["Write src/a.go"]),
    ("`db.ts` is generated. Run `pnpm gen` instead of editing it.", ["Write db.ts"], ["Write a.ts"]),
    ("Migrations that have already been merged must never be changed; add a new one.",
     ["Write migrations/1.sql"], ["New migrations/2.sql"]),
    ("Treat `compose.out.yml` as generated output assembled from `parts/*.yml`.", ["Write compose.out.yml"],
     ["Write parts/a.yml"]),
    ("`data.json` should only be updated by running `./tools/refresh.sh`.", ["Write data.json"],
     ["./tools/refresh.sh"]),
    ("`NEWS.md` is kept by the release bot: never update it manually.", ["Write NEWS.md"],
     ["Write README.md"]),
    ("NEVER bump the version in `lib/package.json` (or anywhere else).",
     [{"tool": "Edit", "input": {"file_path": "lib/package.json", "old_string": '"version": "1"',
                                 "new_string": '"version": "2"'}}],
     [{"tool": "Edit", "input": {"file_path": "lib/package.json", "old_string": '"name": "a"',
                                 "new_string": '"name": "b"'}}]),
]  # fmt: skip
RUN = [
    ("Use `pnpm bazel test //a` to run tests.", ["npx jasmine a", "ng test"], ["pnpm bazel test //b"]),
    ("Tests must only be run through `make test`.", ["pytest", "go test ./..."], ["make test"]),
    ("Use `uv run pytest` to run tests.", ["pytest a.py"], ["uv run pytest a.py"]),
    ("Always use `make test` instead of calling `go test` yourself.", ["go test ./..."], ["make test"]),
    ("Use `uv pip install` - plain `pip install` is not allowed.", ["pip install x"], ["uv pip install x"]),
    ("Use `./gradlew` rather than a system `gradle`.", ["gradle build"], ["./gradlew build"]),
    ("Use ripgrep (`rg`) instead of `grep` for searching.", ["grep -rn a src"], ["rg a src"]),
    ("The `--no-verify` flag is strictly off limits.", ["git commit --no-verify -m x"],
     ["git commit -m x"]),
    ("- Running `tool0 migrate reset` against any database << Never", ["tool0 migrate reset"],
     ["tool0 migrate status"]),
    ('Do NOT mark PRs as "ready for review" (`gh pr ready`) - leave them as drafts.', ["gh pr ready 3"],
     ["gh pr view 3"]),
    ("Never commit credentials, `.env` files or raw transcripts.", ["git add .env"], ["git add a.py"]),
    ("Do not run `nvm`, `fnm` or any version switcher.", ["nvm use 20", "fnm use 20"], ["node -v"]),
    ("When creating PRs, don't set base to `main`.", ["gh pr create --base main -t x -b y"],
     ["gh pr create --base next -t x -b y"]),
    ("When opening a PR, do not include a test plan section in the body.",
     ["gh pr create -t x -b '## Test plan\n- a'"], ["gh pr create -t x -b 'Adds a test'"]),
    ("Every pull request description MUST include this disclosure: << AI disclosure",
     ["gh pr create -t x -b 'Fixes a'"], ["gh pr create -t x -b 'Written with AI'"]),
]  # fmt: skip
WHENEVER = [
    ("When committing, never pass `--no-verify`.", ["git commit --no-verify -m x"], ["git commit -m x"]),
    ("To avoid surprises, do not run `make nuke`.", ["make nuke"], ["make"]),
    ("When working in this repository, never push.", ["git push"], ["git pull"]),
    ("Even if the tests fail, do not use `git reset --hard`.", ["git reset --hard"], ["git reset a"]),
]  # fmt: skip
FIRST = [
    ("Always present a plan and wait for approval before writing any code.", ["Write src/a.py"],
     ["Read src/a.py"]),
    ("Before implementing anything, propose a plan and get my approval.", ["New src/a.py"],
     ["Read src/a.py"]),
    ("Before creating new UI components not in `ui/` << Ask first", ["New app/a.tsx"],
     ["New ui/a.tsx", "Write app/a.tsx", "New app/a.ts"]),
    ("Anything that touches `infra/` << Ask first", ["Write infra/a.tf"], ["Write a.tf"]),
    ("Fully AI-generated PRs are not accepted.", ["gh pr create --fill"], ["gh pr view 3"]),
    ("After code changes are made, format the files with `prettier --write`.", [("Write a.ts", "Stop")],
     [("Write a.ts", "prettier --write a.ts", "Stop")]),
    ("Whenever you touch Rust code, finish with `cargo fmt --all`.", [("Write a.rs", "Stop")],
     [("Write a.rs", "cargo fmt --all", "Stop")]),
    ("Schema changes require running `npx prisma generate` afterwards.", [("Write a.prisma", "Stop")],
     [("Write a.prisma", "npx prisma generate", "Stop")]),
    ("All changes must pass `make ci` before they are pushed.", [("Write a.c", "git push")],
     [("Write a.c", "make ci", "git push")]),
    ("Once you've finished, run `tool0 check`.", [("Write a.c", "Stop")],
     [("Write a.c", "tool0 check", "Stop")]),
    ("Always branch off `next`, and target `next` in pull requests.",
     ["gh pr create -B main -t x -b y"], ["gh pr create -B next -t x -b y"]),
    ("Follow the house style strictly (enforced by Black).", [("Write a.py", "Stop")],
     [("Write a.py", "black .", "Stop"), ("Write a.md", "Stop")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "stopped", "passes"), MADE + RUN + WHENEVER + FIRST)
def test_a_sentence_stops_what_it_says_and_nothing_else(text: str, stopped: list, passes: list) -> None:
    said, _, heading = text.partition(" << ")
    rules = rules_of(said, *([heading] if heading else []))
    assert rules, text
    for calls, wanted in ((stopped, True), (passes, False)):
        for one in calls:
            got = answer(rules, *(one if isinstance(one, tuple) else (one,)))
            assert (got in STOPPED) is wanted, (one, got)


NO_RULE = """\
The `client/` package is generated from the API document during the build.
`dist/` is built by the pipeline. Update the changelog.
`dist/` is built from `src/`; edit away.
`a.gen.go` is generated: you can edit it.
Changes to `core/` should be recorded in `NEWS.md`.
Use `make docs` to build the documentation.
Use `make test` to run the tests.
Run tests with `npm test`.
Use `tox` to run tests if you have it.
AI-generated code must be reviewed.
Pull requests are reviewed by an AI agent.
Plan ahead before writing complicated migrations.
Ask clarifying questions before making changes.
Verify your assumptions before making changes.
Never add or modify any code related to `A_VAR` or `B_VAR`.
Never use `tool0` commands or the like as proof of a fix.
Bump the version in `package.json` when the API changes.
Every summary must include this disclosure:
Edit mode is toggled with `Ctrl+E`.
Treat `user_input` as generated by an attacker.
`README.md` can only be edited by maintainers.
`cache/` should only be written with care.
Use `nx test app` to run the tests of one app.
Run `deploy preview` links through the checker before merging.
Do not use `grep` for any file larger than 1 GB.
Update the docs in `docs/`, not just the code in `src/`.
Use `pytest -x` to run tests until the first failure.
Explain your plan before writing code if the task is large.
If in a direct session with the database, read `pg_stat`.
Only load plugins in main process.
Because the queue is shared, never run `make flood` in staging.
When editing docs, never run `make test`.
If the build is red, do not push.
In CI, never use `npm install`.
On Windows, do not use `rm`.
When committing, never run `make deploy`.""".splitlines()


@pytest.mark.parametrize("text", NO_RULE)
def test_what_only_resembles_them_is_none(text: str) -> None:
    assert isinstance(lower(unit(text)), NotEnforceable)


OTHERS = [
    (
        "Do not load in shared contexts (group chats, channels). << DIARY.md - what I remember",
        "Read DIARY.md",
    ),
    ("ONLY load in main session (direct chats). << DIARY.md", "cat DIARY.md"),
    ("Never read `notes/diary.md` in group chats.", "Read notes/diary.md"),
]


@pytest.mark.parametrize(("text", "said"), OTHERS)
def test_a_file_of_the_users_own_is_not_read_where_others_are(text: str, said: str) -> None:
    said_, _, heading = text.partition(" << ")
    rules = rules_of(said_, *([heading] if heading else []))
    assert answer(rules, {**call(said), "shared": True}) == "deny"
    assert answer(rules, said) == "allow"
    assert answer(rules, {**call("Read other.md"), "shared": True}) == "allow"


def test_a_file_of_the_users_own_is_put_into_the_users_own_sessions() -> None:
    (rule,) = rules_of("If in MAIN SESSION (direct chat with your human): Also read `DIARY.md`")
    assert (rule.inject, rule.when) == (("DIARY.md",), Not(of=Shared()))
    assert in_words(rule) == "puts DIARY.md into every session that nobody else is in"


def test_whether_others_are_in_a_session_stands_in_its_key() -> None:
    for key, shared in (
        ("agent:a:main", False),
        ("agent:a:discord:group:7", True),
        ("a:slack:channel:7", True),
    ):
        payload = {
            "hook": "before_tool_call",
            "toolName": "read",
            "params": {"path": "a"},
            "ctx": {"sessionKey": key},
        }
        assert neutral("openclaw", payload).get("shared", False) is shared
    assert "shared" not in neutral(
        "claude_code", {"session_id": "a:group:b", "tool_name": "Read", "tool_input": {}}
    )


def test_edits_after_one_of_several_commands_are_said_once() -> None:
    (rule,) = rules_of("After code changes, format with `rustfmt`.")
    assert in_words(rule).count("was edited since") == 1
    assert "`cargo fmt` or `rustfmt` last succeeded" in in_words(rule)


def test_what_a_list_read_in_part_leaves_is_said() -> None:
    found = account_of(unit("Never commit credentials, `.env` files or raw transcripts."))
    assert found.rules and "transcripts" in " ".join(found.left)

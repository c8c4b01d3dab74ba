"""Secrets and personal data planted in every format: in no file of the run directory, in no output."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill.cli import app
from tests.memory.test_secrets import CARRIED, SECRETS

PLANTED = [*((f"The key of lamp {n} is {secret}.", secret) for n, secret in enumerate(SECRETS)), *CARRIED]
PRIVATE = ["ulla.berg@lamps.io", "+49 170 2345678", "https://lamps.io/invite/p4w7z2n8v5t1c4d5e6"]
SOUND = "- The lamp is blue.\n- Never run `git push --force`.\n"
TEXT = SOUND + "".join(f"\n## Part {n}\n\n{said}\n" for n, (said, _) in enumerate(PLANTED))
TEXT += "".join(f"\n- Write to {data} about lamp {n}.\n" for n, data in enumerate(PRIVATE))


def claude(root: Path) -> None:
    (root / "CLAUDE.md").write_text("See @docs/keys.md.\n\n@docs/keys.md\n\n- The lamp is red.\n")
    (root / "docs").mkdir()
    (root / "docs" / "keys.md").write_text(TEXT)


def letta(root: Path) -> None:
    (root / "a.af").write_text(json.dumps({"blocks": [{"label": "human", "value": TEXT}]}))


def twice(root: Path) -> None:
    inner = json.dumps({"blocks": [{"label": "human", "value": TEXT}]})
    (root / "a.af").write_text(json.dumps(inner))


def rows(root: Path) -> None:
    said = [*SOUND.splitlines(), *(said for said, _ in PLANTED), *(f"Write to {data}." for data in PRIVATE)]
    (root / "x.jsonl").write_text("".join(json.dumps({"memory": line}) + "\n" for line in said))


def logged(root: Path) -> None:
    (root / "AGENTS.md").write_text(SOUND)
    message = {
        "type": "user",
        "sessionId": "s1",
        "message": {"role": "user", "content": f"No, the lamp is blue. {TEXT}"},
    }
    (root / "log.jsonl").write_text(json.dumps(message) + "\n")


FORMS: dict[str, Callable[[Path], object]] = {
    "agents_md": lambda root: (root / "AGENTS.md").write_text(TEXT),
    "claude_code": claude,
    "letta_blocks": letta,
    "json within json": twice,
    "jsonl": rows,
    "sessions": logged,
}


def shapes(secret: str) -> set[str]:
    """A secret as it may stand in a file: as it is, in JSON, and as the words of an id."""
    slug = "-".join(re.findall(r"[^\W_]+", secret.lower()))
    return {secret, json.dumps(secret)[1:-1], slug} - {slug if len(slug) < 10 else ""}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_planted_is_in_no_file_and_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    FORMS[form](tmp_path)
    assert len(PLANTED) >= 20
    said = []
    commands = [
        ["init", "x.jsonl" if form == "jsonl" else "."],
        ["read", "distill.yaml"],
        ["read", "distill.yaml", "--json"],
        ["plan", "distill.yaml", "--all", "--set", "harness.targets=[claude_code]"],
        ["plan", "distill.yaml", "--json", "--set", "harness.targets=[claude_code]"],
        ["plan", "distill.yaml", "--diff", "--set", "harness.targets=[claude_code]"],
    ]
    for words in commands:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.stderr
        said.append(result.output)
    routes = json.loads(said[4])["routes"]
    for route in routes[:: max(1, len(routes) // 12)]:
        result = CliRunner().invoke(app, ["plan", "distill.yaml", "--explain", route["unit"]])
        assert result.exit_code == 0, result.stderr
        said.append(result.output)
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert len(files) >= 4
    written = {str(path): path.read_text() for path in files}
    for _, secret in PLANTED:
        for shape in shapes(secret):
            assert [name for name, text in written.items() if shape in text] == [], secret
            assert [text for text in said if shape in text] == [], secret
    for (
        data
    ) in PRIVATE:  # the residual and the stored text are the user's own words; nothing else may have it
        own = [name for name in written if "/residual/" in name or name.endswith("memory.json")]
        assert [name for name, text in written.items() if data in text and name not in own] == [], data
        assert [text for text in said if data in text] == [], data
    to = {route["to"] for route in routes}
    assert to == ({"tokens", "harness"} if form == "sessions" else {"weights", "harness", "tokens"})
    if form != "sessions":
        kept = [route for route in routes if route["because"].startswith("holds a secret")]
        assert len(kept) >= len(PLANTED) - 2  # a key over several lines may share its unit

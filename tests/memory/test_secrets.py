"""Secrets are found, masked with their length kept, and never seen again. The secrets here are made up."""

from pathlib import Path

import pytest

from distill.memory import context_text, read, redact, residual
from distill.memory.secrets import mask

SECRETS = [
    "ghp_1234567890abcdefghijklmnopqrstuvwxyzAB",
    "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ",
    "glpat-a1B2c3D4e5F6g7H8i9J0",
    "sk-proj-aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z",
    "sk-ant-api03-aB3dE5fG7hJ9kL1mN3pQ",
    "AKIAQ7ZP2LMX9VB4TR8S",
    "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "xoxb-123456789012-1234567890123-aBcDeFgHiJkLmNoPqRsT",
    "npm_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "q7Zp2LmX9vB4tR8sKd3WfH6y",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
]
CARRIED = [
    ("password = 'hunt3rs-moon'", "hunt3rs-moon"),
    ("The staging password is tr0ut-4-lunch.", "tr0ut-4-lunch"),
    ("API_KEY=abcd1234efgh5678", "abcd1234efgh5678"),
    ("The token for ci: `zx81-spectrum-48k`", "zx81-spectrum-48k"),
    ("postgres://app:s3cr3tpw@db.internal/app", "s3cr3tpw"),
    ("https://x.io/a?token=abc123def456&b=1", "abc123def456"),
    ("Authorization: Bearer q7Zp2LmX9vB4tR8sKd3W", "q7Zp2LmX9vB4tR8sKd3W"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow/x\nq9==\n-----END RSA PRIVATE KEY-----", "MIIEow/x\nq9=="),
    ("https://hooks.slack.com/services/T0AB12CD3/B0EF45GH6/a1B2c3D4e5F6g7H8", "a1B2c3D4e5F6g7H8"),
]
CARRIED += [
    ("**Password:** hunter2a1", "hunter2a1"),
    ("| db password | hunter2a1 |", "hunter2a1"),
    ("PGPASSWORD=hunter2a1", "hunter2a1"),
    ("DB_PASS=hunter2a1", "hunter2a1"),
    ('clientSecret: "a8f3k2m9q1"', "a8f3k2m9q1"),
    ("psql --password hunter2a1", "hunter2a1"),
    ("Password (staging): hunter2a1", "hunter2a1"),
    ("The password for the staging db is hunter2a1", "hunter2a1"),
    ("The password of `oak` is hunter2a1", "hunter2a1"),
    ("The password to Ulla's shed was hunter2a1", "hunter2a1"),
    ("password: Xy7$kQ9!mZ2p", "Xy7$kQ9!mZ2p"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUt/K7MDENG/bPxRfi1", "wJalrXUt/K7MDENG/bPxRfi1"),
    ("POSTGRES://u:s3cr3tpw@h", "s3cr3tpw"),
]
HARMLESS = [
    "Never commit a `-----BEGIN RSA PRIVATE KEY-----` block.\n- The port is 8080.",
    "Pinned at 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b for now.",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "Use `packages/foo/bar2/Baz3Component.test.tsx` and `getUserById2FromCacheOrDatabase`.",
    "Set the password in `.env`; the secret: never push it.",
    "token: string, password: process.env.DB_PASSWORD, API_KEY=$API_KEY",
    "API_KEY=your-key-here-123 or sk-xxxxxxxxxxxxxxxxxxxxxxxx or <api_key>",
    "The token of relay-2 is 40 characters long; the secret to good tea is patience.",
    "The token lives in `config/tokens.json`. Secret: see vault.md",
    "https://example.com/docs?page=2&key=",
    "postgres://user:${DB_PASSWORD}@host/db",
    "Run `git log --since=2026-01-02T03:04:05` on x86_64-unknown-linux-gnu.",
]


@pytest.mark.parametrize(("text", "secret"), [*[(f"Use {one} here.", one) for one in SECRETS], *CARRIED])
def test_a_secret_is_masked_and_bytes_stay_in_place(text: str, secret: str) -> None:
    masked, ranges = mask(f"é {text} ü")
    assert secret not in masked
    assert len(masked.encode()) == len(f"é {text} ü".encode())
    assert masked.startswith("é ")
    assert masked.endswith(" ü")
    assert [masked[start:end][:4] for start, end in ranges] == ["[red"] * len(ranges)
    assert len(ranges) == 1


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_a_masked_text_is_still_marked_when_it_is_read_again() -> None:
    masked, ranges = mask("The password is tr0ut-4-lunch.")
    assert mask(masked) == (masked, ranges)


def test_nothing_after_the_reader_holds_a_secret(tmp_path: Path) -> None:
    text = "# Keys for AKIAQ7ZP2LMX9VB4TR8S\n\n- The relay uses 6120.\n"
    text += "".join(f"- Number {n} is {secret}\n" for n, secret in enumerate(SECRETS))
    (tmp_path / "a.md").write_text(text)
    memory = read([("auto", tmp_path / "a.md")])
    said = memory.model_dump_json() + context_text(memory) + "".join(residual(memory, frozenset()).values())
    assert [secret for secret in SECRETS if secret in said] == []
    assert all(unit.secret for unit in memory.units)  # the heading's secret taints what stands under it
    (tmp_path / "a.md").write_text(text.partition("\n")[2])
    assert [unit.text for unit in read([("auto", tmp_path / "a.md")]).units if not unit.secret] == [
        "The relay uses 6120."
    ]


def test_escapes_in_json_hide_no_secret(tmp_path: Path) -> None:
    lines = [
        r'{"text": "The DB password is \"hunter2a1\"."}',
        r'{"text": "password: hunter2a1\nuser: bob"}',
        r'{"text": "Fetch \"https://x.io/v1?token=abcd1234efgh\" daily."}',
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(lines) + "\n")
    memory = read([("jsonl", tmp_path / "m.jsonl")])
    assert [unit.secret for unit in memory.units] == [True] * 3
    assert not any(word in memory.model_dump_json() for word in ("hunter2a1", "abcd1234efgh"))


def test_a_masked_key_moves_no_line(tmp_path: Path) -> None:
    body = "MIIEow/xAAAAAAAAAAAA\nq9AAAAAAAAAAAAAAAAA="
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    (tmp_path / "a.md").write_text(f"```\n{key}\n```\n\n- The port is 8080.\n")
    memory = read([("auto", tmp_path / "a.md")])
    assert [unit.spans[0].line for unit in memory.units if "8080" in unit.text] == [8]

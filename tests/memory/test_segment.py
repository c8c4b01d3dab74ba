"""What becomes a unit, and what it carries. Each row: a text, and its units as (heading, words)."""

import pytest

from distill.memory.markdown import parse
from distill.memory.segment import segment, words


def units(text: str, name: str = "AGENTS.md") -> list[tuple[str, str]]:
    pieces, _ = segment(parse(text), name)
    return [(" > ".join(piece.heading), words(text[piece.start : piece.end])) for piece in pieces]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # headings are carried, not units; the file's own name is not carried
        ("# AGENTS.md\n\n## Ports\n\nThe relay uses 6120.\n", [("Ports", "The relay uses 6120.")]),
        (
            "# Relay\n## Ports ##\n- It is 6120.\n# Edge\n- No.\n- b 7",
            [("Relay > Ports", "It is 6120."), ("Edge", "No."), ("Edge", "b 7")],
        ),
        ("Relay\n=====\n\nOne two.\n", [("Relay", "One two.")]),
        ("## **Bold:**\nOne two.\n", [("Bold", "One two.")]),
        ("## Only a heading\n", []),
        # bullets, with markers of every kind
        (
            "- one a\n* two b\n3. three c\n- [ ] four d\n",
            [("", "one a"), ("", "two b"), ("", "three c"), ("", "[ ] four d")],
        ),
        ("- one\n  two\n\n  Three four five six.\n", [("", "one two"), ("", "Three four five six.")]),
        # a bullet carries its parent's words only when it does not stand alone
        (
            "- Deploys leave from `tide`.\n  - never by hand\n  - The branch is cut on Mondays.\n",
            [
                ("", "Deploys leave from `tide`."),
                ("Deploys leave from `tide`", "never by hand"),
                ("", "The branch is cut on Mondays."),
            ],
        ),
        (
            "- Before a release:\n  1. run `make seal`\n  2. Tag the commit with its number.\n",
            [
                ("Before a release", "run `make seal`"),
                ("Before a release", "Tag the commit with its number."),
            ],
        ),
        ("Rules:\n\n- one a\n- two b\n\nMore.\n", [("Rules", "one a"), ("Rules", "two b"), ("", "More.")]),
        ("A lead to nothing:\n", [("", "A lead to nothing:")]),
        # code belongs to its lead-in, and keeps its lines
        ("Start it:\n\n```bash\nup\n  wait\n```\n", [("", "Start it:\n```bash\nup\n  wait\n```")]),
        ("Some words.\n\n```\nup\n```\n", [("", "Some words."), ("", "```\nup\n```")]),
        ("- Start it\n  ```\n  up\n  ```\n", [("", "Start it\n```\nup\n```")]),
        ("> Start:\n> ```\n> up\n> ```\n", [("", "Start:\n```\nup\n```")]),
        # tables: a row under its header
        (
            "| Area | Owner |\n|--|--|\n| Web | Ida |\n| `a|b` | |\n",
            [("Area | Owner", "Web | Ida"), ("Area | Owner", "`a|b`")],
        ),
        ("Owners:\n\nArea | Owner\n-- | --\nWeb | Ida\n", [("Owners > Area | Owner", "Web | Ida")]),
        # a long paragraph falls into sentences that stand alone; one that leans stays with the one before
        (
            "The relay listens on port 6120 in every region. It restarts at dawn. "
            "The edge listens on port 9, e.g. Oslo. "
            "Use `a. B` there, as (it. Is) said.\n",
            [
                ("", "The relay listens on port 6120 in every region. It restarts at dawn."),
                ("", "The edge listens on port 9, e.g. Oslo."),
                ("", "Use `a. B` there, as (it. Is) said."),
            ],
        ),
        ("Short one here. The second stands alone.\n", [("", "Short one here. The second stands alone.")]),
        # a bullet is split where some of its sentences are orders, unless a label stands for all of them
        (
            "- The lamps of the tower are blue. Never paint the tower at night.\n",
            [("", "The lamps of the tower are blue."), ("", "Never paint the tower at night.")],
        ),
        (
            "- Never paint the tower at night. It would fall.\n",
            [("", "Never paint the tower at night. It would fall.")],
        ),
        (
            "- The lamps of the tower are blue. The bell of the tower is grey.\n",
            [("", "The lamps of the tower are blue. The bell of the tower is grey.")],
        ),
        (
            "- **Tower**: lamps are lit at dusk. Never paint the walls at night.\n",
            [("", "**Tower**: lamps are lit at dusk. Never paint the walls at night.")],
        ),
        (
            "- Blue is for lamps of the tower. Never paint this tower at night.\n",
            [("", "Blue is for lamps of the tower. Never paint this tower at night.")],
        ),
        # a paragraph that points back belongs to the one before it
        ("The tower is blue.\n\nIt is old.\n", [("", "The tower is blue. It is old.")]),
        ("Run:\n```\nup\n```\n\nThis lights it.\n", [("", "Run:\n```\nup\n```\n\nThis lights it.")]),
        ("- The tower\n\n  It is old.\n", [("", "The tower It is old.")]),
        # quotes, rules, HTML, comments, link definitions
        ("> one two\n> three\n", [("", "one two three")]),
        ("---\n\n***\n\n[a]: http://x.y\n", []),
        (
            "<details>\n<summary>Why so</summary>\n</details>\n",
            [("", "<details> <summary>Why so</summary> </details>")],
        ),
        ("<!-- one\n\ntwo -->\nThree four.\n", [("", "Three four.")]),
        ("One <!-- inline --> two.\n", [("", "One <!-- inline --> two.")]),
        # frontmatter is not a unit; a rule is not frontmatter
        ("---\na: 1\n---\nOne.\n", [("", "One.")]),
        ("\ufeff---\r\na: 1\r\n---\r\nOne\r\ntwo.\r\n", [("", "One two.")]),
        ("---\nNot keys at all\n---\nOne.\n", [("Not keys at all", "One.")]),
        # import lines are not units, lines that mention an import are
        ("@a.md\n\n- @b.md\n- See @c.md for more.\n", [("", "See @c.md for more.")]),
    ],
)
def test_units(text: str, found: list[tuple[str, str]]) -> None:
    assert units(text) == found


def test_deep_nesting_is_no_crash() -> None:
    text = "".join(" " * 2 * depth + f"- level {depth}\n" for depth in range(200))
    assert units(text)[0] == ("", "level 0")
    assert parse(">" * 5000 + " deep").text

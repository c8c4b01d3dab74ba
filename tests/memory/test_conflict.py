"""Same, alike, opposite: tables of pairs that are, and of pairs that only look like it."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.memory import unit_id
from distill.memory.evidence.conflict import links, preferred, with_conflicts
from distill.records import MemoryUnit, Scope, Span


def unit(
    text: str, *heading: str, source: str = "CLAUDE.md", paths: tuple[str, ...] = (), line: int = 1
) -> MemoryUnit:
    span = Span(source=source, start=0, end=1, line=line, digest="sha256:0")
    return MemoryUnit(
        id=unit_id(text, heading), text=text, heading=heading, spans=(span,), scope=Scope(paths=paths)
    )


def found(*texts: str) -> list[tuple[str, str]]:
    return [(link.sort, link.because) for link in links([unit(text) for text in texts]).links]


CONTRADICT = [
    ("Use pnpm in this repository.", "Run `npm ci` first."),
    ("Always use pnpm.", "Always use yarn."),
    ("The package manager is `bun`.", "Install with `yarn install`."),
    ("Use `uv` for Python packages, not pip.", "Run `pip install -e .` to begin."),
    ("Prefer tabs.", "Indent with spaces, four of them."),
    ("We use vitest.", "Use jest for every new test."),
    ("Always pass `--frozen` to `uv sync`.", "Never pass `--frozen` to `uv sync`."),
    ("Use `git push --force-with-lease`.", "Never use `git push --force-with-lease`."),
    ("Commit generated files.", "Do not commit generated files."),
    ("You must sign commits.", "Never sign commits."),
    ("The relay port is 6120.", "The relay port is 6121."),
    ("The default branch of Heron is `main`.", "The default branch of Heron is `trunk`."),
    ("The owner of the relay is Ulla.", "The owner of the relay is Arno."),
    ("Heron's request timeout: 30s", "Heron's request timeout: 45s"),
    ("The staging database lives at db1.example", "The staging database lives at db2.example"),
]
AGREE = [
    ("Use pnpm, not npm.", "Never use npm here."),
    ("Use pnpm in this repository.", "Use pnpm, never yarn or npm."),
    ("Run `npm test`.", "Run `yarn build`."),  # habits on both sides: nobody said that one is the rule
    ("Use npm or pnpm.", "Use pnpm."),
    ("Publish with `npm publish`.", "Use pnpm."),
    ("Managed with Yarn 1, do not use npm or pnpm.", "Run `yarn install` first."),
    ("Use pnpm.", "Run `npm install -g heronry` once."),
    ("Use `pnpm -C web dev` to see it.", "Run `npm ci` in `app`."),
    ("Use uv.", "Run `pip install uv` first."),
    ("Never push to main.", "Always push to a branch."),
    ("Use `--force` when the lock is stale.", "Never use `--force`."),
    ("Do not commit generated files.", "Never commit generated files."),
    ("The relay port is 6120.", "The mirror port is 6121."),
    ("The relay port is 6120.", "The relay's port is `6120`."),
    ("The build is slow.", "The build is reproducible."),
    ("Run the tests before a commit.", "Do not run the tests on a laptop."),
    ("Ulla is the owner of the relay.", "Ulla is the owner of the mirror."),
    ("Set `lampMode: on`", "Set `lampMode: off`"),  # steps of two procedures
    ("Use single quotes.", "Use single quotes in Python."),
]


@pytest.mark.parametrize(("one", "other"), CONTRADICT)
def test_a_contradiction_is_linked_both_ways(one: str, other: str) -> None:
    units = [unit(one), unit(other)]
    for pair in (units, units[::-1]):
        said = links(pair)
        assert [link.sort for link in said.links] == ["contradiction"], said
        first, second = with_conflicts(pair, said)
        assert (first.conflicts, second.conflicts) == ((second.id,), (first.id,))


@pytest.mark.parametrize(("one", "other"), AGREE)
def test_what_agrees_or_speaks_of_something_else_is_not_a_contradiction(one: str, other: str) -> None:
    assert [sort for sort, _ in found(one, other) if sort == "contradiction"] == []


@pytest.mark.parametrize(
    ("one", "other", "sort"),
    [
        ("Keep the mascot out of error pages.", "**Keep** the mascot out of error pages", "same"),
        ("Keep the mascot out of error pages.", "Keep the mascot out of the error pages.", "alike"),
        ("The relay restarts every night at 03:00.", "The relay restarts every night at 04:00.", None),
        ("Log in as Ulla to see the dashboard.", "Log in as Arno to see the dashboard.", None),
        ("Call `start()` to begin the whole show.", "Call `stop()` to begin the whole show.", None),
        ("Errors are shown to the user at once.", "Errors are not shown to the user at once.", None),
        ("Short one.", "Short two.", None),
    ],
)
def test_duplicates(one: str, other: str, sort: str | None) -> None:
    said = [how for how, _ in found(one, other) if how != "contradiction"]
    assert said == ([sort] if sort else [])
    first, second = (unit(one), unit(other))
    if sort:
        assert with_conflicts((first, second), links((first, second))) == (first, second)


def test_a_few_words_are_the_same_only_under_the_same_heading() -> None:
    said = links([unit("Port: 80", "Web"), unit("Port: 80", "Mail"), unit("port: 80.", "Web")])
    assert [(link.first[-10:], link.sort) for link in said.links] == [
        (unit("Port: 80", "Web").id[-10:], "same")
    ]
    said = links([unit("Port: 80", "Web"), unit("Port: 81", "Mail"), unit("Port: 82", "Web")])
    assert [link.because for link in said.links] == ["“80” or “82”"]


def test_scopes_that_cannot_meet_do_not_contradict() -> None:
    web, app = (unit("Use pnpm.", paths=("web/**",)), unit("Use yarn.", paths=("app/**",)))
    assert links([web, app]).links == ()
    assert len(links([web, unit("Use yarn.", paths=("web/ui/**",))]).links) == 1
    assert len(links([web, unit("Use yarn.")]).links) == 1


@pytest.mark.parametrize(
    ("one", "other", "best"),
    [
        ("AGENTS.md", "web/AGENTS.md", 1),
        ("web/AGENTS.md", "AGENTS.md", 0),
        ("web/AGENTS.md", "app/AGENTS.md", None),
        ("CLAUDE.md", "web/CLAUDE.md", None),
        ("AGENTS.md", "AGENTS.md", None),
        ("AGENTS.md", "web/CLAUDE.md", None),
    ],
)
def test_one_is_preferred_only_where_the_format_says_so(one: str, other: str, best: int | None) -> None:
    pair = (unit("Use pnpm.", source=one), unit("Use yarn.", source=other))
    assert preferred(*pair) == (None if best is None else pair[best].id)
    (link,) = links(pair).links
    assert link.preferred == preferred(*pair)


def many(count: int) -> list[MemoryUnit]:
    verbs = "keep move start stop watch paint count mend".split()
    things = "relay mirror mascot lamp kettle bridge ferry tower garden clock".split()
    return [
        unit(
            f"{verbs[n % 8]} the {things[n // 8 % 10]} of room{n} near desk {n} as Ulla{n % 97} asked for it"
        )
        for n in range(count)
    ]


def test_ten_thousand_units_take_seconds_and_time_grows_linearly() -> None:
    took = {}
    for count in (1_000, 10_000):
        units = many(count)
        begin = time.process_time()
        links(units)
        took[count] = time.process_time() - begin
    assert took[10_000] < 10
    assert took[10_000] < 25 * max(took[1_000], 0.05)


def test_units_that_share_all_their_words_are_bounded_and_counted() -> None:
    names = ["".join(chr(97 + int(digit)) for digit in str(n)) for n in range(3_000)]
    units = [unit(f"The same long words stand here again {name}.") for name in names]
    begin = time.process_time()
    said = links(units)
    assert time.process_time() - begin < 10
    assert said.skipped > 0


PIECES = "use never always pnpm npm `npm ci` --force the port is 80 : = not ``` ** | \u200b é . - instead"
pieces = st.sampled_from(PIECES.split(" "))


@given(st.lists(st.lists(pieces, max_size=12).map(" ".join), max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_units_are_linked_without_a_fault_and_never_to_themselves(texts: list[str]) -> None:
    units = [unit(text) for text in texts]
    said = links(units)
    assert all(link.first != link.second for link in said.links)
    ids = {one.id for one in units}
    for one in with_conflicts(units, said):
        assert set(one.conflicts) <= ids - {one.id}

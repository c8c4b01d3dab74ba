"""Which readers of the grammar can say anything of a clause, by the words in it: most of a memory is facts.

A reader is asked only when the clause holds a word of each set in its row (`§` is code or a path). A set
names every word of which some form of the reader needs one; the tests hold the table to sentences of every
form. Not covered: what the readers make of it.
"""

from __future__ import annotations

import re

from harness_compile.lower.programs.commands import DEPTH

WORD = re.compile(r"[a-z]+|[→>§]")
NO = "never not no avoid refrain forbidden prohibited banned disallowed stop under strictly".split()
MOMENT = (
    "before prior after when whenever if once upon on for with at as until unless without only finish end "
    "conclude wrap final last must always ensure make require requires need needs pass passes changes "
    "edits done "
    "run re format lint test verify validate use follow submit do sync type check look search first "
    "needed".split()
)
CHECKED = (  # what may be owed where no command stands in the sentence
    "test tests suite suites lint linter linters linting formatter formatters formatting format type "
    "typecheck "
    "style build builds checks hooks commit precommit prek issues issue prs pr pull file files lints "
    "code".split()
)
ASKED = (
    "ask asks asked asking approval approve approved approves permission confirmation confirm confirmed "
    "consent "
    "authorized authorised authorization discussed discuss discussion consult review reviewed verify "
    "double told "
    "tell tells instructed directed explicitly request requested requests wants want seek say says agreed "
    "agreement sign wait await accept accepted allowed welcome submit open rejected closed banned".split()
)
# Words of which one must be there, of each set in a row: (set, set, …).
NEEDS: dict[str, tuple[frozenset[str], ...]] = {
    "message": (
        frozenset(
            "commit commits pr prs pull merge issue issues title titles subject message messages comment "
            "comments "
            "conventional semantic angular co coauthor attribution ai sign signed signoff body blank line "
            "header "
            "summary scope dco emoji emojis".split()
        ),
    ),
    "pull": (frozenset("pr prs pull base target default branch branches against draft drafts".split()),),
    "only": (frozenset(["only", "outside", "stay"]),),
    "ask": (frozenset(ASKED) | {"check"},),
    "require": (frozenset(MOMENT) | frozenset(NO), frozenset(CHECKED) | {"§"}),
    "prefer": (
        frozenset(
            "use uses using run prefer favor favour install go choose call default stick reach add manage "
            "execute "
            "search build test lint format do find look instead over not never rather replace package "
            "managed only "
            "always must pass provide specify include set supply prefix commands scripts code manager "
            "than place "
            "opposed → >".split()
        ),
        frozenset(word for word in DEPTH if word.isalpha()) | {"§", "node", "docker"},
    ),
    "shared": (
        frozenset("session sessions chat chats context contexts channel channels conversation".split()),
        frozenset("main shared group direct private public".split()),
    ),
    "tests": (frozenset(["test", "tests"]), frozenset("§")),
    "source": (
        frozenset(
            "edit edits editing change changes changing modify modifications update updates updated "
            "updating adjust make "
            "treat "
            "consider regard add record put write document log note track describe store place only".split()
        ),
    ),
    "forbid": (
        frozenset(NO)
        | frozenset(
            "read frozen immutable off limits disable turn treat consider regard keep mark leave hands "
            "out away "
            "instead rather".split()
        ),
    ),
    "content": (frozenset(NO),),
    "context": (frozenset("read reading load review consult check open".split()), frozenset("§")),
    "skill": (frozenset(["skill"]), frozenset("§")),
}


def words_of(text: str) -> frozenset[str]:
    """The words of a clause, its arrows, and `§` where it names code."""
    return frozenset(WORD.findall(text))


def may(reader: str, words: frozenset[str]) -> bool:
    """Whether a reader can match a clause of these words."""
    return not any(wanted.isdisjoint(words) for wanted in NEEDS[reader])

"""Which training questions give a probe away."""

import pytest

from distill.check.contamination import OVERLAP, SAME, SHOWN, Held, contaminated
from distill.check.probes import make

MEMORY = """# Rules
- Always run `pnpm test` before you push to the main branch.
- The amber-kestrel service listens on port 4417 in every region that we have.
"""
CLOZE = "Continue the memory: Always run `pnpm test` before"
PORT = "Give the port number on which clients can reach amber-kestrel."


@pytest.mark.parametrize(
    ("probe", "training", "reason"),
    [
        (PORT, PORT, SAME),
        (PORT, "give the port number on which clients can reach `amber-kestrel`", SAME),
        (PORT, "Which port does amber-kestrel use?", None),
        (PORT, "Please give the port number on which clients can reach amber-kestrel today.", OVERLAP),
        (PORT, "Give the port number of the database that all of them need.", None),
        # both quote the memory: what they share is not the question
        (
            "Who says that the amber-kestrel service listens on port 4417 in every region?",
            "Is it true that the amber-kestrel service listens on port 4417 in every region?",
            None,
        ),
        (CLOZE, "Complete: Always run `pnpm test` before", SHOWN),
        (CLOZE, "Complete: `pnpm test` before", SHOWN),  # the same cut, with less shown
        (CLOZE, "Complete: Always run `pnpm test` before you", None),
        (CLOZE, "Complete: Always run", None),
        (CLOZE, "Continue the memory: Always run `pnpm", None),
    ],
)
def test_what_gives_a_probe_away(probe: str, training: str, reason: str | None) -> None:
    made = make("u", probe, "4417", "contains", "written")
    assert contaminated([made], [training], MEMORY) == ({made.id: reason} if reason else {})
    assert Held([made], MEMORY).collides(training) == reason


def test_empty_inputs() -> None:
    assert contaminated([], ["Which port?"], "") == {}
    assert contaminated([make("u", PORT, "4417", "contains", "written")], [], MEMORY) == {}

"""Properties of reading any Markdown: no crash, spans that are true, cuts that only remove.

Texts come from hypothesis, from the fixtures, and from a corpus of real files where there is one (the
directory that MEMORY_DISTILL_CORPUS names).
"""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadMemoryError
from distill.memory import Memory, context_text, cut, read
from distill.memory.evidence.personal import veil
from distill.memory.markdown import parse
from distill.memory.segment import segment, words
from distill.records import digest

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("MEMORY_DISTILL_CORPUS", ROOT.parent / "shared" / "corpus"))
FIXTURES = ROOT / "tests" / "fixtures" / "memory"
NAMES = ("*.md", ".cursorrules")

inline = st.text(st.sampled_from("ab A1.:!?`*_[]()<>|@#-+\\\té€ \ufeff\u2028\"'&/~="), max_size=40)
line = st.one_of(
    inline,
    st.builds(
        lambda indent, mark, text: " " * indent + mark + text,
        st.integers(0, 7),
        st.sampled_from(
            ["- ", "* ", "1. ", "2) ", "> ", "# ", "## ", "```", "~~~", "| ", "@a.md", "<!-- ", "-->", "---"]
        ),
        inline,
    ),
    st.sampled_from(
        ["", "", "| a | b |", "|---|---|", "| 1 | 2 |", "Do this:", "```", "A b c. D e f g. It is."]
    ),
)
markdown = st.builds(
    lambda lines, end: end.join(lines),
    st.lists(line, max_size=25),
    st.sampled_from(["\n", "\n", "\r\n", "\r"]),
)


@given(markdown)
@settings(max_examples=400, deadline=None)
def test_any_text_has_pieces_in_order_within_it(text: str) -> None:
    page = parse(text)
    pieces, carriers = segment(page, "a.md")
    assert all(0 <= piece.start < piece.end <= len(text) for piece in pieces)
    assert all(one.end <= two.start for one, two in itertools.pairwise(pieces))
    assert all(text[piece.start : piece.end].strip() == text[piece.start : piece.end] for piece in pieces)
    assert all(words(text[piece.start : piece.end]) for piece in pieces)
    assert all(0 <= one.start < one.end <= one.reach <= len(text) for one in carriers)


@given(markdown, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_memory_is_true_to_its_file(tmp_path_factory, text: str, random) -> None:
    path = tmp_path_factory.mktemp("any") / "notes.md"
    path.write_bytes(text.encode())
    try:
        memory = read([("agents_md", path)])
    except BadMemoryError:
        return
    true_to_its_file(memory, path.parent)
    cuts_only_remove(memory, frozenset(unit.id for unit in memory.units if random.random() < 0.5))


def test_fixtures_are_true_to_their_files() -> None:
    memory = read([("auto", FIXTURES / "repo")])
    true_to_its_file(memory, FIXTURES / "repo")


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not here")
def test_real_files_are_true_to_themselves() -> None:
    files = sorted(path for pattern in NAMES for path in (CORPUS / "dev").rglob(pattern) if path.is_file())
    assert files
    seen = 0
    for path in files:
        memory = read([("agents_md", path)])
        seen += len(memory.units)
        true_to_its_file(memory, path.parent)
        cuts_only_remove(memory, frozenset(unit.id for unit in memory.units[::2]))
        everything = context_text(memory, frozenset(unit.id for unit in memory.units))
        assert len(everything) <= 200, path
    assert seen > 10_000


def true_to_its_file(memory: Memory, root: Path) -> None:
    """Every span of every unit, cut from the file as bytes, is the text it came from."""
    raw = {document.path: (root / document.path).read_bytes() for document in memory.documents}
    for document in memory.documents:
        assert len(document.text.encode()) == len(raw[document.path])
        assert document.digest == digest(raw[document.path])
    texts = {document.path: document.text.encode() for document in memory.documents}
    for unit in memory.units:
        for span in unit.spans:
            piece = raw[span.source][span.start : span.end]
            assert digest(piece) == span.digest
            assert veil(words(texts[span.source][span.start : span.end].decode()))[0] == unit.text
            assert unit.secret or words(piece.decode()) == unit.text
            before = raw[span.source][: span.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            assert span.line == before.count(b"\n") + 1


def cuts_only_remove(memory: Memory, without: frozenset[str]) -> None:
    """What stays is in the order of the file, and a memory less nothing is itself."""
    for document in memory.documents:
        assert cut(memory, document, frozenset(), False) == document.text
        left = iter(document.text.split())
        assert all(word in left for word in cut(memory, document, without, False).split())

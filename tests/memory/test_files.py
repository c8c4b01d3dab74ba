"""Bad memory files: one sentence each."""

from pathlib import Path

import pytest

from distill.errors import BadMemoryError
from distill.memory import read
from distill.memory.files import MAX_BYTES, Lines, read_text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "FILE: there is no such memory file; check the path in the recipe"),
        (b"", "FILE: is empty; write a memory into it, or leave it out of the recipe"),
        (b"\xef\xbb\xbf \r\n\n", "FILE: is empty; write a memory into it, or leave it out of the recipe"),
        (b"one\ntwo\0\n", "FILE:2: is binary (a NUL byte), not text; name a text file"),
        (b"one\ntwo\nt\xf6ne\n", "FILE:3: is not UTF-8 text (byte 0xf6); save it as UTF-8"),
        (
            b"word " * (MAX_BYTES // 4),
            "FILE: is 5.0 MiB, and a memory file may have at most 4 MiB; "
            "split it, or leave out what is not memory",
        ),
        (b"---\nowner: me\n---\n<!-- later -->\n", "FILE: holds nothing to remember; write a memory into it"),
    ],
)
def test_a_bad_memory_is_one_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "notes.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadMemoryError) as error:
        read([("auto", path)])
    assert str(error.value) == sentence.replace("FILE", str(path))


def test_a_directory_without_memory_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadMemoryError) as error:
        read([("agents_md", tmp_path)])
    assert (
        str(error.value)
        == f"{tmp_path}: no memory was found here (AGENTS.md); name the memory file in the recipe"
    )


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\r\nb\rc\nd", "é\nü\r\n\u2028x\n\n€"])
def test_lines_are_those_of_markdown_and_bytes_those_of_the_file(text: str) -> None:
    lines = Lines(text)
    assert len(lines) == text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    for offset in range(len(text) + 1):
        assert lines.byte(offset) == len(text[:offset].encode())


def test_a_text_is_the_file_byte_for_byte(tmp_path: Path) -> None:
    raw = "\ufeffone\r\ntwo\n".encode()
    (tmp_path / "a.md").write_bytes(raw)
    assert read_text(tmp_path / "a.md").encode() == raw

"""A memory in the run directory: `memory.jsonl` holds the units, `memory.json` the documents; both masked.

Also the residual memory that a plan leaves. Whether what is stored is up to date is asked in `stage`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from distill.errors import RecordError
from distill.memory.documents import Document, Memory
from distill.memory.markdown import COMMENT
from distill.records import (
    Header,
    MemoryUnit,
    Record,
    read_json,
    read_jsonl,
    write_atomic,
    write_json,
    write_jsonl,
)


class Documents(Record):
    """Content of `memory.json`."""

    kind: str = "memory"
    version: int = 1
    inputs: dict[str, str]
    documents: tuple[Document, ...]
    warnings: tuple[str, ...] = ()


class Residual(Record):
    """Content of `residual/index.json`: which file of the residual is which document of the memory."""

    kind: str = "residual"
    version: int = 1
    inputs: dict[str, str]
    files: dict[str, str]  # path of the document -> path under residual/


def save(memory: Memory, units: Path, documents: Path) -> None:
    """Write both files; the units last, so that where they are, the documents are. Raises OSError."""
    inputs = memory.inputs()
    write_json(documents, Documents(inputs=inputs, documents=memory.documents, warnings=memory.warnings))
    write_jsonl(units, Header(kind="memory", inputs=inputs), memory.units)


def load(units: Path, documents: Path, mend: str) -> Memory:
    """Read both files. Raises RecordError naming `mend` when one is torn or they are not of one reading;
    OSError.
    """
    header, found = read_jsonl(units, MemoryUnit, mend=mend)
    stored = read_json(documents, Documents, mend=mend)
    if stored.inputs != header.inputs:
        raise RecordError(f"is not of the same reading as {documents.name}", file=units, mend=mend)
    return Memory(documents=stored.documents, units=tuple(found), warnings=stored.warnings)


def save_residual(directory: Path, texts: dict[str, str], inputs: dict[str, str]) -> dict[str, str]:
    """Write one file per document that has something left; the files of an earlier plan go. Raises OSError.

    Returns the path under `directory` of each document. Documents outside the root keep their path without
    its `..`; one without a word left has no file.
    """
    index = directory / "index.json"
    before = (
        read_json(index, Residual, mend=f"delete {directory} and plan again").files if index.is_file() else {}
    )
    files: dict[str, str] = {}
    for path, text in texts.items():
        inside = PurePosixPath(*[part for part in PurePosixPath(path).parts if part not in ("..", "/")])
        while str(inside) in files.values() or str(inside) == index.name:
            inside = inside.with_name(f"_{inside.name}")
        if re.search(r"\w", COMMENT.sub("", text)):
            files[path] = str(inside)
            write_atomic(directory / inside, text.encode())
    for gone in set(before.values()) - set(files.values()):
        if (directory / gone).is_file():
            os.unlink(directory / gone)
    write_json(index, Residual(inputs=inputs, files=files))
    return files

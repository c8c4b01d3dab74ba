"""What is stored about an installation: entries with their places, changes of files, receipts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from distill.records import Record, Span

FileFormat = Literal["json", "jsonc", "json5", "toml", "yaml", "text", "file"]


class Installed(Record):
    """One entry of a bundle in a file. `pointer` is a JSON pointer whose last part is `-` for an element of a
    list, the mark of a block in a text, and empty for a whole file. `value` is what stands there (for a whole
    file the digest of its bytes). `lead` and `tail` were written around it. Not `owned`: it stood there
    before, and stays.
    """

    rules: tuple[str, ...] = ()
    mechanism: str = "permission"
    path: str
    pointer: str = ""
    value: Any = None
    format: FileFormat
    lead: str = ""
    tail: str = ""
    owned: bool = True
    executable: bool = False


class Container(Record):
    """A list, map or whole file (`of` file) that was made to hold entries, and goes when it holds nothing; or
    one that was empty (`of` gap), and gets back what was between its brackets.
    """

    path: str
    pointer: str = ""
    lead: str = ""
    tail: str = ""
    of: Literal["member", "value", "gap", "file"] = "member"


class Source(Record):
    """Where a rule's memory line stood when it was installed."""

    rule: str
    unit: str
    span: Span
    seen: bool


class Edit(Record):
    """What happens to one file: its bytes before and after (None: there is none)."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    path: str
    format: FileFormat
    before: bytes | None
    after: bytes | None
    executable: bool = False


class Change(Record):
    """What happened to one file, by the digests of its bytes; `made` are folders that were made for it."""

    path: str
    real: str
    before: str | None
    after: str | None
    mode: int | None = None
    made: tuple[str, ...] = ()


class ChangeSet(Record):
    """What `apply` will do, and nothing else: edits against the bytes that were read, what will be installed
    then, and what has to be said about it.
    """

    root: str
    home: str
    bundle: str
    harness: str
    digest: str
    edits: tuple[Edit, ...] = ()
    installed: tuple[Installed, ...] = ()
    containers: tuple[Container, ...] = ()
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    replaces: str | None = None


class Receipt(Record):
    """What one apply did. The preimages are kept by digest beside it; `sources` are the memory lines of its
    rules, `stamp` says where it was written.
    """

    id: str
    stamp: str = ""
    time: str
    root: str
    home: str
    bundle: str
    harness: str
    digest: str
    changes: tuple[Change, ...] = ()
    installed: tuple[Installed, ...] = ()
    containers: tuple[Container, ...] = ()
    sources: tuple[Source, ...] = ()
    replaces: str | None = None
    undone: bool = False


class Undone(Record):
    """What one rollback did: the receipts taken back, files restored to the byte, files where somebody's own
    changes stayed, and what has to be said.
    """

    receipts: tuple[str, ...]
    restored: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

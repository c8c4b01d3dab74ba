"""Records and files: what crosses a file boundary, and how it is written so that no reader meets half of it.

Covers the frozen base class, digests, atomic writes, JSON and JSONL with a header, a JSONL that a resumable
stage appends to, and the types of the memory side. It does not know what a stage is (see `stage`) nor any
file's name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from distill.errors import RecordError

Kind = Literal["fact", "preference", "procedure", "constraint", "episode"]
Place = Literal["weights", "harness", "tokens"]
Level = Literal["managed", "user", "project", "local", "agent"]


class Record(BaseModel):
    """Base of every type that is stored: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


R = TypeVar("R", bound=Record)


class Header(Record):
    """First line of a JSONL file: what it holds and the digests of what it was made from."""

    kind: str
    version: int = 1
    inputs: dict[str, str] = {}


class Span(Record):
    """Where a text stands: bytes `start:end` of the file `source`, its 1-based `line`, their digest."""

    source: str
    start: int
    end: int
    line: int
    digest: str
    revision: str | None = None


class Scope(Record):
    """For whom and where a unit holds: whose memory it is, and the globs it is for (none: everywhere)."""

    level: Level = "project"
    paths: tuple[str, ...] = ()


class MemoryUnit(Record):
    """One statement that stands alone. `text` is its own words, `heading` the path of headings above it.

    `marks` are what its format says of it in so many words, none where it says nothing: role (of its file:
    daily, heartbeat, index, skill, …), loads (always, by path, on demand, never), read_only, status, type,
    label, observed, modified, created_at, updated_at, expiration_date, valid_at, invalid_at, expired_at,
    personal (what private things its words held, now masked), refers (its words that point at something
    outside it); and from past sessions used, corrected, reminded, sessions,
    used_on (days), last_corrected.
    """

    id: str
    text: str
    heading: tuple[str, ...] = ()
    kind: Kind = "fact"
    scope: Scope = Scope()
    spans: tuple[Span, ...] = ()
    first_seen: str | None = None
    last_changed: str | None = None
    edits: int = 0
    stable: bool = True
    why: str = ""
    conflicts: tuple[str, ...] = ()
    secret: bool = False
    marks: dict[str, str] = {}

    @property
    def statement(self) -> str:
        """`Heading > Sub-heading: text`, which can be read without the file around it."""
        return f"{' > '.join(self.heading)}: {self.text}" if self.heading else self.text


class Route(Record):
    """Where one unit will live, because of what, and what it costs in context (an estimate, see `plan`)."""

    unit: str
    to: Place
    because: str
    tokens: int


class Plan(Record):
    """One route per unit, in the order of the memory."""

    routes: tuple[Route, ...]

    def units(self, place: Place) -> tuple[str, ...]:
        """Ids of the units that live in `place`."""
        return tuple(route.unit for route in self.routes if route.to == place)


def digest(data: str | bytes) -> str:
    """`sha256:<hex>` of bytes, or of a text's UTF-8."""
    return "sha256:" + hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def digest_file(path: str | Path) -> str:
    """`sha256:<hex>` of a file's bytes. Raises OSError."""
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def plain(value: Any) -> Any:
    """A Record, or a structure holding Records, as plain JSON values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def digest_of(value: Any) -> str:
    """Digest of a Record or JSON value in canonical form (sorted keys, no spaces)."""
    return digest(json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write a whole file or nothing: parents made, temporary beside it, fsync, replace. Raises OSError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: str | Path, value: Any) -> None:
    """Write a Record or JSON value, indented, atomically. Raises OSError."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomic(path, (text + "\n").encode())


def read_json(path: str | Path, cls: type[R], *, mend: str | None = None) -> R:
    """Read one Record. `mend` names the command that makes the file anew. Raises RecordError, OSError."""
    try:
        return cls.model_validate_json(Path(path).read_bytes())
    except ValidationError as error:
        raise RecordError(f"not a whole {cls.__name__} ({_first(error)})", file=path, mend=mend) from None


def _line(record: Record) -> bytes:
    return record.model_dump_json().encode() + b"\n"


def write_jsonl(path: str | Path, header: Header, records: Iterable[Record]) -> None:
    """Write a header line and one line per record, atomically. Raises OSError."""
    write_atomic(path, _line(header) + b"".join(_line(record) for record in records))


def read_jsonl(path: str | Path, cls: type[R], *, mend: str | None = None) -> tuple[Header, list[R]]:
    """Read what `write_jsonl` wrote. Raises RecordError naming the line and `mend`, the command to rerun;
    OSError.
    """
    header, records = None, []
    for number, line in enumerate(Path(path).read_bytes().splitlines(keepends=True), start=1):
        try:
            if not line.endswith(b"\n"):
                raise RecordError("the file ends in the middle of a line", file=path, line=number, mend=mend)
            if header is None:
                header = Header.model_validate_json(line)
            else:
                records.append(cls.model_validate_json(line))
        except ValidationError as error:
            name = "header" if header is None else cls.__name__
            raise RecordError(f"not a {name} ({_first(error)})", file=path, line=number, mend=mend) from None
    if header is None:
        raise RecordError("the file is empty", file=path, mend=mend)
    return header, records


def _first(error: ValidationError) -> str:
    """The first complaint of pydantic in a few words."""
    detail = error.errors()[0]
    key = ".".join(str(part) for part in detail["loc"])
    return f"{key}: {detail['msg'].lower()}" if key else detail["msg"].split(":")[0].lower()


def resume_jsonl(path: str | Path, header: Header, cls: type[R]) -> list[R]:
    """Open an append-only JSONL for a resumable stage; the records that are already there, in order.

    A file with another header (made from other inputs) or without a whole one is begun anew. A torn last
    line, which is all that a kill can leave, is cut off. Raises RecordError on any other damage; OSError.
    """
    path = Path(path)
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if not whole.startswith(_line(header)):
        write_atomic(path, _line(header))
        return []
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return read_jsonl(path, cls)[1]


def append_record(path: str | Path, record: Record) -> None:
    """Append one line and flush it. After a kill the file holds whole lines and at most one torn one. Raises
    OSError.
    """
    with open(path, "ab") as file:
        file.write(_line(record))

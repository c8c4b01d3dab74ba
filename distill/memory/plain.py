"""Plain JSONL memories: one unit a line, a JSON string or an object with `text` and optional `kind` and
`scope`.

Exports of memory services with their own field names are not covered.
"""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, ValidationError

from distill.errors import BadMemoryError
from distill.memory.files import Lines
from distill.records import Kind, Scope


class Line(BaseModel):
    """What a line may say."""

    model_config = ConfigDict(extra="forbid", strict=True)
    text: str
    kind: Kind | None = None
    scope: Scope | None = None


def parse(text: str, name: str) -> list[tuple[int, int, Line]]:
    """Character offsets and content of each line that is not blank. Raises BadMemoryError naming the line."""
    lines, found = Lines(text), []
    for index in range(len(lines)):
        raw = lines.line(index)
        value = raw.strip("\ufeff \t")
        if not value:
            continue
        start = lines.starts[index] + raw.index(value)
        try:
            said = json.loads(value)
            line = Line.model_validate_json(json.dumps({"text": said} if isinstance(said, str) else said))
        except ValidationError as error:
            detail = error.errors()[0]
            key = ".".join(map(str, detail["loc"])) or "the line"
            raise BadMemoryError(
                f"{key}: {detail['msg'][:1].lower()}{detail['msg'][1:]}",
                file=name,
                line=index + 1,
                mend='write "words" or {"text": "words", "kind": "fact"}',
            ) from None
        except (ValueError, RecursionError) as error:
            fault = (
                "nested too deep" if isinstance(error, RecursionError) else getattr(error, "msg", "a number")
            )
            raise BadMemoryError(
                f"is not JSON ({fault})", file=name, line=index + 1, mend="mend that line"
            ) from None
        found.append((start, start + len(value), line))
    return found

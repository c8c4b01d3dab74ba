"""The recipe that `distill init` writes: sources filled in, every other key at its default with what it does.

It is made from the schema in `recipe`, so it cannot fall behind it.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from distill.errors import printable
from distill.recipe import Base, Format, Recipe, Stable

WIDTH = 104
SHOWN = 4  # files named in a comment


def starter(found: Sequence[tuple[str, Path, tuple[Path, ...]]], target: Path, out: str) -> str:
    """The text of a recipe that is stored at `target`, for memories as `find_memory` gives them."""
    lines = [
        "# A memory compiled: what lasts into an adapter, the rest left in context.",
        f"#   distill plan {target}     where each unit goes, and why",
        f"#   distill run {target}      the whole, resuming where it stopped",
        "# Keys behind a # stand at their default. To change one take its # away, and that of its section.",
        "version: 1",
        *_key("seed", Recipe.model_fields["seed"], ""),
        "# The run directory, relative to the current directory. Each recipe needs its own.",
        f"out: {json.dumps(out, ensure_ascii=False)}",
        "memory:",
        "  # In the order in which the agent loads them; paths are relative to this file.",
        *textwrap.wrap(
            f"A format is one of {', '.join(get_args(Format))}. An export, `jsonl`, may say which field of a "
            "row holds what (fields: {text: body}); `sessions` are logs: evidence, and never trained on.",
            WIDTH - 4,
            initial_indent="  # ",
            subsequent_indent="  # ",
        ),
        "  sources:",
    ]
    for kind, path, files in found:
        place = Path(os.path.relpath(path, target.parent)).as_posix()
        names = [
            Path(os.path.relpath(file, path if path.is_dir() else path.parent)).as_posix() for file in files
        ]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        said = json.dumps(place, ensure_ascii=False)
        lines.append(f"    - {{format: {kind}, path: {said}}}   # {', '.join(names[:SHOWN])}{more}")
    lines += ["  stable:", *(f"    {line}" for line in _section(Stable))]
    lines += ["", "base:", *_key("model", Base.model_fields["model"], "  ")]
    lines += _commented("  ", _section(Base, ("model",)))
    for name, field in Recipe.model_fields.items():
        if name not in ("version", "seed", "out", "memory", "base"):
            lines += ["", *_commented("", _nested(name, field.annotation))]
    return "\n".join(printable(line) for line in lines) + "\n"


def _commented(indent: str, lines: Iterable[str]) -> list[str]:
    return [f"{indent}# {line}" for line in lines]


def _nested(name: str, model: Any) -> Iterator[str]:
    yield f"{name}:"
    yield from (f"  {line}" for line in _section(model))


def _section(model: type[BaseModel], skipped: Sequence[str] = ()) -> Iterator[str]:
    """Every key of a section, at its default."""
    for name, field in model.model_fields.items():
        if name in skipped:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _nested(field.alias or name, field.annotation)
        else:
            yield from _key(field.alias or name, field, "")


def _key(name: str, field: FieldInfo, indent: str) -> Iterator[str]:
    """A key at its default below its description."""
    for line in textwrap.wrap(field.description or "", WIDTH - len(indent) - 4):
        yield f"{indent}# {line}"
    yield f"{indent}{name}: {_yaml(field.default)}"


def _yaml(value: Any) -> str:
    return json.dumps(value, default=str) if not isinstance(value, str) else value

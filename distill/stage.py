"""Which files of a run directory are made from what: names, and the question "is this up to date?".

Every stored output names its inputs by digest: a JSONL in its header line, a JSON file in a top-level
`inputs`. A stage first asks `fresh()` whether there is anything to do, and `require()` for what it reads.
This module runs nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from distill.errors import StaleError
from distill.records import digest_file

UNREADABLE = (OSError, json.JSONDecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Run:
    """A run directory and the files of the floor's stages in it. Later stages keep theirs beside these."""

    out: Path

    @property
    def units(self) -> Path:
        return self.out / "memory.jsonl"

    @property
    def memory(self) -> Path:
        return self.out / "memory.json"

    @property
    def plan(self) -> Path:
        return self.out / "plan.jsonl"

    @property
    def residual(self) -> Path:
        return self.out / "residual"


def inputs_of(path: str | Path) -> dict[str, str] | None:
    """The digests a file says it was made from; None where it is missing, torn or says nothing.

    Reads only the first line of a `.jsonl`; of any other file the whole, which must be a JSON object.
    """
    path = Path(path)
    try:
        if path.suffix == ".jsonl":
            with open(path, "rb") as file:
                value = json.loads(file.readline())
        else:
            value = json.loads(path.read_bytes())
    except UNREADABLE:
        return None
    inputs = value.get("inputs") if isinstance(value, dict) else None
    return inputs if isinstance(inputs, dict) else None


def fresh(output: str | Path, inputs: dict[str, str]) -> bool:
    """Whether `output` is there, whole enough to name its inputs, and made from exactly these."""
    return inputs_of(output) == inputs


def require(path: str | Path, command: str, inputs: dict[str, str] | None = None) -> str:
    """Digest of an input file of a stage. Raises StaleError naming `command`, which makes it.

    With `inputs`, the file must also have been made from exactly these (its own inputs have not moved).
    """
    path = Path(path)
    if not path.is_file():
        raise StaleError("is not there yet", file=path, mend=f"run `{command}` first")
    if inputs is not None:
        found = inputs_of(path)
        if found is None:
            raise StaleError("does not say what it was made from", file=path, mend=f"run `{command}` again")
        moved = sorted(name for name in inputs.keys() | found.keys() if inputs.get(name) != found.get(name))
        if moved:
            raise StaleError(
                f"is stale: {', '.join(moved)} changed", file=path, mend=f"run `{command}` again"
            )
    return digest_file(path)

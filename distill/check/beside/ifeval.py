"""IFEval: whether answers follow instructions that a program can check, by the base and with the adapter.

The prompts are the user's file, in the form in which IFEval is published: a JSON object a line with `key`,
`prompt`, `instruction_id_list` and `kwargs`. The checks are those of `if-verifiable` (extra `ifeval`). A
prompt is followed where all its instructions are; loosely also where they are without the first or the last
line, or without asterisks. Not covered: fetching the data; shares of instructions, which the paper also has.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from distill.errors import DistillError, RecordError
from distill.records import Record

LONGEST = 1024  # tokens of an answer: instructions ask for up to some hundred words
TRIAL = "One sentence. Another one."


class Prompt(Record):
    """A line of IFEval."""

    key: int | str
    prompt: str
    instruction_id_list: tuple[str, ...]
    kwargs: tuple[dict[str, Any], ...]


class Followed(NamedTuple):
    """Whether an answer follows all instructions of its prompt, to the letter and loosely."""

    strictly: bool
    loosely: bool


def prompts_of(path: Path) -> list[Prompt]:
    """The prompts of a file, each tried with the checks. Raises RecordError naming file and line,
    DistillError without the checks or their data, OSError."""
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            prompt = Prompt.model_validate(json.loads(line))
            if not len(prompt.instruction_id_list) == len(prompt.kwargs) > 0:
                raise ValueError("has not one kwargs for each instruction")
            followed(prompt, TRIAL)
        except (ValueError, TypeError, KeyError) as fault:
            raise RecordError(
                f"is no prompt of IFEval: {_words(fault)}",
                file=path,
                line=number,
                mend="it wants key, prompt, instruction_id_list and kwargs, as IFEval is published",
            ) from None
        found.append(prompt)
    if not found:
        raise RecordError("holds no prompt", file=path, mend="give IFEval's file of prompts")
    return found


def _words(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(fault).split()) or type(fault).__name__


def followed(prompt: Prompt, answer: str) -> Followed:
    """Raises ValueError for an instruction that is not known, and what the checks raise for wrong kwargs."""
    with _checks() as (registry, evaluate):
        unknown = [name for name in prompt.instruction_id_list if name not in registry]
        if unknown:  # the package would leave it out
            raise ValueError(f"the instruction {unknown[0]} is not known")
        for name, said in zip(prompt.instruction_id_list, prompt.kwargs, strict=True):
            wanted = registry[name](name).get_instruction_args_keys()
            if missing := [key for key in wanted if said.get(key) is None]:  # it would make a value up
                raise ValueError(f"{name} wants {', '.join(missing)}")
        _, scores = evaluate(
            answer, list(prompt.instruction_id_list), list(prompt.kwargs), prompt.prompt, registry
        )
    return Followed(scores.binary_strict == 1, scores.binary_loose == 1)


@contextlib.contextmanager
def _checks() -> Iterator[tuple[dict[str, Any], Any]]:
    try:
        import langdetect
        from if_verifiable.common import evaluate_instructions
        from if_verifiable.ifeval import INSTRUCTION_DICT
    except ImportError as fault:
        raise DistillError(
            "if-verifiable is not installed", mend="pip install 'memory-distill[ifeval]'"
        ) from fault
    langdetect.DetectorFactory.seed = 0
    try:
        yield INSTRUCTION_DICT, evaluate_instructions
    except LookupError as fault:
        if "punkt" not in str(fault):
            raise
        raise DistillError(
            "IFEval counts sentences with punkt_tab of NLTK, which is not here",
            mend="python -m nltk.downloader punkt_tab",
        ) from fault


def compared(
    prompts: Sequence[Prompt], base: Sequence[str], adapter: Sequence[str]
) -> tuple[tuple[Followed, Followed], ...]:
    """For each prompt whether the base followed it, and whether the base with the adapter did."""
    return tuple(
        (followed(prompt, one), followed(prompt, other))
        for prompt, one, other in zip(prompts, base, adapter, strict=True)
    )

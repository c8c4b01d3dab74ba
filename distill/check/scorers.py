"""Scorers: what an answer is worth, 0.0 or 1.0, given a reference that is a literal span of the memory.

`exact`, `contains`, `choice` and `tool_call` compare normalised text and ask no model. Not covered:
paraphrase (a right answer in other words scores 0, in every arm alike) and padding (an answer that lists
everything passes `contains`; the length of answers is bounded by whoever generates them).

Normalisation, the same for answer and reference: Unicode NFC, curly quotes made straight, backticks and `**`
dropped, quotes around words dropped, blanks collapsed, final `.,;:!?` dropped. Case is dropped only where the
reference is plain words ("before each commit"); a reference that looks like a name or code (a digit, `_`,
`/`, `.`, a capital after the first letter of a word) keeps its case, because `readme.md` is not `README.md`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

STRAIGHT = str.maketrans("‘’“”«»", '\'\'""""')
STRONG = re.compile(r"(?<![\w/*])\*\*(?=\S)([^*]+?)\*\*(?![\w/*])")
QUOTED = re.compile(r"(?<!\w)[\"'](?=\S)|(?<=\S)[\"'](?!\w)")
ABSTAINS = re.compile(r"\bi (?:do not|don't|cannot|can't) (?:know|say|tell)\b", re.IGNORECASE)
NAME = re.compile(r"[\d_/.@#\\]|\w[A-Z]")
INPUT = ("input", "arguments", "parameters")
JOINED = r"[-./\\@+~]"  # what joins two words into one name: `amber-kestrel`, `src/lib`, `1.2`


def normal(text: str) -> str:
    """The text in the form in which texts are compared, case kept."""
    text = unicodedata.normalize("NFC", text).translate(STRAIGHT).replace("`", "")
    text = QUOTED.sub("", STRONG.sub(r"\1", text))
    return " ".join(text.split()).rstrip(".,;:!? ")


def _pair(reference: str, answer: str) -> tuple[str, str]:
    reference, answer = normal(reference), normal(answer)
    return (reference, answer) if NAME.search(reference) else (reference.casefold(), answer.casefold())


def abstains(answer: str) -> bool:
    """Whether an answer says that it does not know."""
    return bool(ABSTAINS.search(answer.translate(STRAIGHT)))


def exact(reference: str, answer: str) -> float:
    """1.0 if the answer is the reference and nothing else."""
    wanted, given = _pair(reference, answer)
    return float(bool(wanted) and wanted == given)


def contains(reference: str, answer: str) -> float:
    """1.0 if the reference stands in the answer as a whole name: `44` is not in `4417`, `src/lib` not in
    `src/lib/x`.

    An answer that says it does not know scores 0.0 whatever else it says, unless the reference says so too.
    """
    if abstains(answer) and not abstains(reference):
        return 0.0
    return float(_whole(*_pair(reference, answer), joined=True))


def _whole(wanted: str, given: str, joined: bool) -> bool:
    if not wanted:
        return False
    before, after = "", ""
    if re.match(r"\w", wanted):
        before = (
            r"(?<!\w)"
            + (rf"(?<!\w{JOINED})" if joined else "")
            + (r"(?<!\d[:,])" if wanted[0].isdigit() else "")
        )
    if re.search(r"\w\Z", wanted):
        after = (
            r"(?!\w)"
            + (rf"(?!{JOINED}\w)" if joined else "")
            + (r"(?![:,]\d)" if wanted[-1].isdigit() else "")
        )
    return bool(re.search(before + re.escape(wanted) + after, given))


def choice(reference: str, answer: str, choices: Sequence[str]) -> float:
    """1.0 if the answer names the reference and no other choice, or is its letter (`B`, `(b)`, `B) …`)."""
    letter = re.match(r"\(?([A-Za-z])(?:[).:]|\Z)", answer.strip())
    if (
        letter
        and (at := ord(letter[1].upper()) - ord("A")) < len(choices)
        and not exact(letter[1], answer) * any(exact(option, letter[1]) for option in choices)
    ):
        return float(exact(reference, choices[at]))
    named = [option for option in choices if contains(option, answer)]
    longest = [
        option for option in named if not any(option != other and contains(option, other) for other in named)
    ]
    return float(len(longest) == 1 and exact(reference, longest[0]) == 1.0)


def tool_call(reference: str, answer: str) -> float:
    """1.0 if the reference stands in a value of the call's input; where the answer is no call, as `contains`.

    A call is a JSON object with `tool` or `name`, and `input`, `arguments` or `parameters`. In a value the
    reference may be part of a longer name (`fozi` in `git checkout -b fozi/login`), but not of a longer word.
    """
    given = list(calls(answer))
    if not given:
        return contains(reference, answer)
    return float(
        any(_whole(*_pair(reference, value), joined=False) for call in given for value in _values(call))
    )


def calls(answer: str) -> Iterator[Any]:
    """The inputs of the tool calls that an answer holds as JSON, in order."""
    for call in objects(answer):
        yield from (call[key] for key in INPUT if key in call)


def neutral(answer: str) -> dict[str, Any] | None:
    """The first tool call of an answer as `{"tool": …, "input": {…}}`, which is how guards know calls; or
    None.
    """
    for call in objects(answer):
        given = next((call[key] for key in INPUT if key in call), None)
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (json.JSONDecodeError, RecursionError):
                given = None
        tool = call.get("tool", call.get("name"))
        if isinstance(tool, str) and isinstance(given, dict):
            return {"tool": tool, "input": given}
    return None


def objects(answer: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of an answer that name a tool, in order."""
    decoder, at = json.JSONDecoder(), answer.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(answer, at)
        except (json.JSONDecodeError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict) and ("tool" in value or "name" in value):
                yield value
        at = answer.find("{", end)


def _values(value: Any) -> Iterator[str]:
    """The values of a call's input as texts; arguments that are JSON in a string are texts too."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _values(item)
    elif value is not None:
        yield str(value)


def score(scorer: str, reference: str, answer: str, choices: Sequence[str] = ()) -> float:
    """The answer's value by the scorer of that name. Raises KeyError for a name that is none of the four."""
    if scorer == "choice":
        return choice(reference, answer, choices)
    return {"exact": exact, "contains": contains, "tool_call": tool_call}[scorer](reference, answer)

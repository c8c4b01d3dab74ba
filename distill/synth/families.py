"""The words in which the teacher is asked to write questions: one prompt a family.

Self-study has no template generator: every question is written by a model that reads one line of the memory
(Cartridges, arXiv 2506.06266, uses five such seed prompts; the mix of families follows 2603.01097). The
same prompts go
to the embedded base model and to any other chat model.

Not covered: who answers (`generate.py`), and how many questions a unit gets (`coverage.py`).
"""

from __future__ import annotations

FAMILIES: dict[str, str] = {
    "recall": "Write one question whose answer is in this line of the memory: {line}",
    "apply": "Write one task or situation in which this line of the memory decides the answer: {line}",
    "reverse": "Write one question whose answer is what this line of the memory is about: {line}",
    "summary": "Write one request to quote this line of the memory: {line}",
    "abstain": "Write one question close to this line that the memory does not answer: {line}",
    "replay": "Write one request that has nothing to do with any memory.",
}

BESIDE = ("replay", "near", "reading")
"""Families that no unit is taught by: they are asked without the memory, or with another one in context."""

PROBE = 'Write one exam question whose answer is "{span}", from this line of the memory: {line}'
"""Probes are asked for in other words than training questions, so that a base model answers with other
forms."""

CLOZE_PROBE = "Continue the memory: {start}"
"""A probe that any base model understands: the reference is the words of the memory that follow `start`."""

MEMORY = "Memory:\n{memory}"
"""The system turn of whoever has the memory in context: the teacher and arm `tokens`. Nothing follows it."""

UNKNOWN = "I do not know."
"""What an abstaining answer says."""

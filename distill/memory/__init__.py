"""An agent's memory in files: reading it, its units and their places, and the text an agent would have in
context.
"""

from distill.memory.documents import Carrier, Document, Memory, context_text, cut, residual
from distill.memory.faithful import staying
from distill.memory.find import find_memory, unchanged
from distill.memory.read import common, read, unit_id
from distill.memory.secrets import redact

__all__ = [
    "Carrier",
    "Document",
    "Memory",
    "common",
    "context_text",
    "cut",
    "find_memory",
    "read",
    "redact",
    "residual",
    "staying",
    "unchanged",
    "unit_id",
]

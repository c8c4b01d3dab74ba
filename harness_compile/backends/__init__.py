"""One small module per harness: what it can do, in tables, and the native files that make it ask the guard.

A backend is found by its name in `MODULES` and imported only when it is wanted. See `base` for the contract.
"""

from __future__ import annotations

from importlib import import_module

from distill.errors import UsageError
from harness_compile.backends.base import Backend

MODULES = ("claude_code", "letta_code", "pi", "openclaw", "deepagents", "dcode")


def backend(name: str) -> Backend:
    """The backend of a harness. Raises UsageError for a name that there is none of."""
    if name not in MODULES:
        raise UsageError(f"there is no harness {name}", mend=f"it is one of {', '.join(MODULES)}")
    try:
        return import_module(f"harness_compile.backends.{name}").BACKEND
    except ModuleNotFoundError as error:
        if error.name != f"harness_compile.backends.{name}":
            raise
        raise UsageError(f"{name} cannot be compiled for yet", mend="choose another harness") from None

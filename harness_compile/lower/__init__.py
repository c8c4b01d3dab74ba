"""Lowering: from a memory unit to rules, exactly or not at all."""

from harness_compile.lower.lower import (
    Account,
    Conflict,
    Lowering,
    account_of,
    known_checks,
    lower,
    lower_all,
)

__all__ = ["Account", "Conflict", "Lowering", "account_of", "known_checks", "lower", "lower_all"]

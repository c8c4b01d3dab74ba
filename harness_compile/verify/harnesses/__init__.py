"""One module a harness: how its real binary is found, started headless, and asked to call a tool."""

from __future__ import annotations

from harness_compile.verify.harnesses.base import Driver


def drivers() -> dict[str, Driver]:
    """Every driver by the name of its backend."""
    from harness_compile.verify.harnesses import (
        claude_code,
        dcode,
        deepagents,
        letta_code,
        openclaw,
        pi,
    )

    return {
        one.DRIVER.harness: one.DRIVER for one in (claude_code, letta_code, pi, openclaw, deepagents, dcode)
    }

"""What a compiled bundle makes of one call, for a loop that plays the harness.

The bundle's own policy decides, by the guard that ships in it. Not covered: how a real harness asks (`live`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from harness_compile.given import policy_of
from harness_compile.runtime import guard

STOPS = ("deny", "require", "ask")  # nobody is there to be asked


@dataclass(frozen=True)
class Decision:
    """What a bundle's guard makes of one call. `effect` is what it asks of the harness; `message` says why
    and, where the rule knows it, what to do instead."""

    effect: Literal["allow", "warn", "require", "ask", "deny"]
    rule: str
    message: str

    @property
    def stops(self) -> bool:
        """Whether the call does not run where nobody is there to be asked."""
        return self.effect in STOPS


def guarded(bundle_dir: Path, call: dict[str, Any], session: Sequence[dict[str, Any]] = ()) -> Decision:
    """What a compiled bundle makes of a neutral call after the calls of `session`: its own policy, its own
    answer where it cannot tell. A call without `root` is made in a project with no files. Raises RecordError
    where there is no bundle or a damaged one."""
    path = bundle_dir / "guard.json"
    policy, index = _policy(bundle_dir, path.stat().st_mtime_ns if path.is_file() else 0)
    said = guard.decide(
        index,
        whole(call),
        [whole(one) for one in session],
        on_error=policy.get("on_error", "deny"),
        nobody=policy.get("nobody", "ask"),
        protect=tuple(policy.get("protect", ())),
        home=os.path.expanduser("~"),
    )
    instead = f" Instead: {said['instead']}" if said["instead"] else ""
    return Decision(said["decision"], said["rule"], said["message"] + instead)


@lru_cache(maxsize=8)
def _policy(place: Path, changed: int) -> tuple[dict[str, Any], Any]:
    return policy_of(guard, place)


def whole(call: dict[str, Any]) -> dict[str, Any]:
    """A call with what it leaves out: a project with no files, on the branch `feature`."""
    return {"root": "/project", "cwd": "/project", "exists": [], "branch": "feature", **call}

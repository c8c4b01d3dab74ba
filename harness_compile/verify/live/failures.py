"""What a harness does when the guard cannot answer: one forbidden and one harmless call, nothing else.

Whoever calls says how the installed bundle is broken. Not covered: what is wanted then (`on_error`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness_compile import bundle as bundles
from harness_compile.verify.harnesses import drivers
from harness_compile.verify.live.place import Place, throw_away
from harness_compile.verify.live.probes import named_programs, probes
from harness_compile.verify.live.session import Seen
from harness_compile.verify.live.verify import drive, policy_of


def attempt(bundle: Path, programs: Path, installing: Callable[[Place, Path], None]) -> list[Seen] | None:
    """What came of the first call that must fire and the first that must not; where the harness made neither,
    what it said last. None where the harness is not there. Raises DistillError, OSError."""
    said = bundles.load(bundle)
    driver = drivers()[said.harness]
    program = driver.find(programs)
    if program is None:
        return None
    rules = bundles.effective(said)
    found = [one for one in probes(rules, said.on_error)[1:] if not one.alone]
    chosen = [next(one for one in found if one.wanted == wanted) for wanted in ("refused", "runs")]
    with throw_away(named_programs(chosen), program.path, program.home) as at:
        installing(at, bundle)
        ended, came = drive(driver, program, at, rules, policy_of(bundle, said), chosen)
    last = " ".join((ended.out + ended.err).split())[-600:]
    return [replace(one, said=last) if one.observed == "no answer" else one for one in came]

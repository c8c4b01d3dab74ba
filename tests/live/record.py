"""Records the payloads of every harness that is installed: PROGRAMS [HARNESS ...] on the command line.

They go to tests/fixtures/payloads/<harness>/<version>/; what differs from another version is printed. What a
newer version does:

    python -m harness_compile.verify.harnesses.install .cache/newest --newest
    python -m tests.live.record .cache/newest
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from harness_compile.backends import backend
from harness_compile.backends.base import Options
from harness_compile.bundle import Account, Lowered, compile_lowered, write
from harness_compile.verify.harnesses import drivers
from harness_compile.verify.live.record import keep
from tests.live.rules import RULES

OUT = Path(__file__).parents[1] / "fixtures" / "payloads"
# Enough to see every tool, event and shape; each case that needs a session of its own costs a start.
CASES = {
    "no-force-push": 18,
    "generated": 12,
    "no-env": 2,
    "lint-before-tag": 1,
    "after-sql": 2,
    "start": 1,
    "tip": 1,
    "check-at-end": 1,
    "no-merge": 2,
}


def main(programs: Path, names: list[str]) -> None:
    rules = [one.model_copy(update={"cases": one.cases[: CASES[one.id]]}) for one in RULES if one.id in CASES]
    for name, driver in drivers().items():
        if (names and name not in names) or driver.find(programs) is None:
            continue
        with tempfile.TemporaryDirectory() as top:
            lowered = Lowered(tuple(rules), Account(), {})
            bundle = write(compile_lowered(lowered, backend(name), Options()), top)
            keep(bundle, OUT, programs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

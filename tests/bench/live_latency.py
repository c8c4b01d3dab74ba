"""Seconds that a tool call takes in a real harness, with and without a bundle: median and p95.

    python -m tests.bench.live_latency PROGRAMS [HARNESS ...]

Each harness plays one session of CALLS shell calls that do nothing, without the bundle, with it, and again
without it, so that a machine that gets slower in between shows. The time of a call is that from the end of
the model's answer to the arrival of the request with the result, seen from the model's side.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from harness_compile.backends import backend
from harness_compile.backends.base import Options
from harness_compile.bundle import compile_rules, write
from harness_compile.verify.harnesses import drivers
from harness_compile.verify.harnesses.base import PROMPT, Driver, Program, run
from harness_compile.verify.live.place import throw_away
from harness_compile.verify.live.verify import install
from harness_compile.verify.scripted_model import Part, Script, ScriptCall, ScriptTurn, call_id, serving
from tests.live.rules import RULES

CALLS = 40
FIRST = 3  # calls that are not counted: caches are filled by them


def session(driver: Driver, program: Program, bundle: Path | None) -> list[float]:
    """Milliseconds of each call."""
    with throw_away((), program.path, program.home) as at:
        if bundle is not None:
            install(at, bundle)
        native = driver.native({"tool": "Bash", "input": {"command": "true"}}, at)
        assert native is not None
        call = ScriptCall(name=native[0], input=native[1])
        turns = (*(ScriptTurn(calls=(call,)) for _ in range(CALLS)), ScriptTurn(text="Finished."))
        with serving(Script(parts=(Part(turns=turns),))) as model:
            driver.prepare(at, model.url)
            limit = driver.begin + driver.turn * CALLS
            run(driver.start(program, at, model.url, PROMPT), at, program, model.url, limit)
            took = [model.took(call_id(0, n, 0)) for n in range(FIRST, CALLS)]
    return [1000 * one for one in took if one is not None]


def line(name: str, way: str, times: list[float]) -> str:
    if not times:
        return f"{name:12} {way:8} no call came back"
    middle, high = np.percentile(times, 50), np.percentile(times, 95)
    return f"{name:12} {way:8} n {len(times):3}  median {middle:7.1f} ms  p95 {high:7.1f} ms"


def main(programs: Path, names: list[str]) -> None:
    few = [rule for rule in RULES if rule.event == "pre_tool"]
    for name, driver in drivers().items():
        program = driver.find(programs)
        if names and name not in names:
            continue
        if program is None:
            print(f"{name:12} not there")
            continue
        with tempfile.TemporaryDirectory() as top:
            bundle = write(compile_rules(few, backend(name), Options()), top)
            for way, installed in (("without", None), ("with", bundle), ("without", None)):
                print(line(name, way, session(driver, program, installed)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

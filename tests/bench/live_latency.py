"""What a tool call takes in a real harness, with and without a bundle: median, p95, their ratio, CPU time.

    python -m tests.bench.live_latency [HARNESS ...] [--programs DIR] [--calls N]

After `make live` has installed the harnesses. Each plays one session of N shell calls that do nothing without
the bundle, two with it, and one more without it, so that a machine that gets slower in between counts for
both. The time of a call is that from the end of the model's answer to the arrival of the request with the
result, seen from the model's side; the first calls are not counted, they fill caches. CPU time is that of the
harness and all that it started, over all calls of a session, start and end included in both.
"""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from distill.errors import DistillError, faults
from distill.records import write_json
from harness_compile.backends import backend
from harness_compile.backends.base import Options
from harness_compile.bundle import compile_rules, write
from harness_compile.verify.harnesses import drivers
from harness_compile.verify.harnesses.base import PROMPT, Driver, Program, run
from harness_compile.verify.live.place import throw_away
from harness_compile.verify.live.verify import PROGRAMS, install
from harness_compile.verify.scripted_model import Part, Script, ScriptCall, ScriptTurn, call_id, serving
from tests.live.rules import RULES

FIRST = 3  # calls that are not counted
ORDER = ("without", "with", "with", "without")
PATIENCE = 4.0  # times what a driver allows for a turn: the machine may be busy


def session(driver: Driver, program: Program, bundle: Path | None, calls: int) -> tuple[list[float], float]:
    """Milliseconds of each counted call, and CPU milliseconds of the session for each call. Raises
    DistillError where not one call came back."""
    with throw_away((), program.path, program.home) as at:
        if bundle is not None:
            install(at, bundle)
        native = driver.native({"tool": "Bash", "input": {"command": "true"}}, at)
        assert native is not None
        call = ScriptCall(name=native[0], input=native[1])
        turns = (*(ScriptTurn(calls=(call,)) for _ in range(calls)), ScriptTurn(text="Finished."))
        with serving(Script(parts=(Part(turns=turns),))) as model:
            driver.prepare(at, model.url)
            limit = PATIENCE * (driver.begin + driver.turn * calls)
            before = used()
            ended = run(driver.start(program, at, model.url, PROMPT), at, program, model.url, limit)
            spent = used() - before
            took = [model.took(call_id(0, n, 0)) for n in range(FIRST, calls)]
    good = [1000 * one for one in took if one is not None]
    if not good:
        raise DistillError(f"no call came back (status {ended.status}): {(ended.err or ended.out)[-200:]}")
    return good, 1000 * spent / calls


def used() -> float:
    """CPU seconds of all that was started and has ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def ratio(times: list[float], base: list[float], share: float) -> tuple[float, float, float]:
    """The ratio of two percentiles with its 95% interval (bootstrap of calls)."""
    random = np.random.default_rng(0)
    drawn = [
        np.percentile(random.choice(times, len(times)), share)
        / np.percentile(random.choice(base, len(base)), share)
        for _ in range(2000)
    ]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(np.percentile(times, share) / np.percentile(base, share)), float(low), float(high)


def measured(name: str, program: Program, calls: int) -> dict[str, object]:
    """All sessions of one harness. Raises DistillError, OSError."""
    driver = drivers()[name]
    few = [rule for rule in RULES if rule.event == "pre_tool"]
    times: dict[str, list[float]] = {"without": [], "with": []}
    spent: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as top:
        bundle = write(compile_rules(few, backend(name), Options()), top)
        for way in ORDER:
            took, cpu = session(driver, program, bundle if way == "with" else None, calls)
            times[way] += took
            spent[way].append(cpu)
    found: dict[str, object] = {"harness": name, "version": driver.pinned, "rules": len(few)}
    for way in ("without", "with"):
        middle, high = np.percentile(times[way], (50, 95))
        cpu = sum(spent[way]) / len(spent[way])
        found[way] = {"n": len(times[way]), "median_ms": middle, "p95_ms": high, "cpu_ms_a_call": cpu}
        print(
            f"{name:12} {way:8} n {len(times[way]):3}  median {middle:7.1f} ms  p95 {high:7.1f} ms  "
            f"CPU {cpu:7.1f} ms a call",
            flush=True,
        )
    for word, share in (("median", 50), ("p95", 95)):
        value, low, high = ratio(times["with"], times["without"], share)
        found[f"{word}_ratio"] = [value, low, high]
        print(f"{name:12} {word:8} with / without {value:.2f} ({low:.2f} to {high:.2f})", flush=True)
    return found


@faults("python -m tests.bench.live_latency")
def main(
    harness: Annotated[list[str] | None, typer.Argument(help="By default all.")] = None,
    programs: Annotated[Path, typer.Option(help="Where they are installed.")] = PROGRAMS,
    calls: Annotated[int, typer.Option(min=FIRST + 2, help="Calls in a session.")] = 40,
) -> None:
    """Time tool calls in the real harnesses, with and without a bundle."""
    found = []
    for name, driver in drivers().items():
        if harness and name not in harness:
            continue
        program = driver.find(programs)
        if program is None:
            print(f"{name:12} is not there: make live installs it")
            continue
        try:
            found.append(measured(name, program, calls))
        except DistillError as error:  # the others can be timed all the same
            print(f"{name:12} could not be timed: {error}", flush=True)
    if found:
        (programs / "results").mkdir(parents=True, exist_ok=True)
        write_json(programs / "results" / "latency.json", found)


if __name__ == "__main__":
    typer.run(main)

"""What the compiler and the guard cost: time to compile a memory, time of a guarded call.

    python -m tests.bench.guard compile     # 100, 1,000 and 10,000 units, read, lowered, one bundle a harness
    python -m tests.bench.guard latency     # p50 and p95 of a call by number of rules and by mechanism

Latency is taken in turns: in every round each mechanism answers the same call once, so that what else the
machine does falls on all of them alike. Beside the guard stands what people write by hand: a Python hook that
reads one file per rule and searches its regular expression in the command or the path, for the same rules.
`wall` is what an agent waits for, `cpu` the processor time of the processes, which a busy machine changes
less. Ratios are of medians, with 95 % intervals by bootstrap over the rounds.
"""

from __future__ import annotations

import importlib
import itertools
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from distill.memory import read
from distill.records import Span, digest
from harness_compile import bundle
from harness_compile import rules as r
from harness_compile.backends import MODULES, backend
from harness_compile.backends.base import Options
from harness_compile.runtime import guard, payloads
from tests.bench.machine import machine, spread

app = typer.Typer(add_completion=False, no_args_is_help=True)
SIZES = (100, 1_000, 10_000)
COUNTS = (1, 10, 100, 1_000, 10_000)
ROUNDS = 3  # of compiling
RUNTIME = Path(guard.__file__).parent
SPAN = Span(source="NOTES.md", start=0, end=1, line=1, digest=digest(b"made up"))

SENTENCES = (
    "Never run `npm run task{n}`.",
    "Do not edit files in `area{n}/`.",
    "Never run `git push origin branch{n}`.",
    "Ask before running `make deploy{n}`.",
    "Run `make check{n}` before every commit.",
    "Never run `kubectl delete namespace room{n}`.",
    "Prefer short functions in part {n}.",
    "Files in `gen{n}/` are generated: do not edit them.",
    "The service number {n} listens on port 2{n}.",
    "Team {n} meets on Mondays.",
)

BY_HAND = """import json, pathlib, re, sys
given = json.load(sys.stdin).get("tool_input", {})
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.md")):
    head, _, message = path.read_text().partition("---\\n")
    said = dict(line.split(": ", 1) for line in head.splitlines())
    if re.search(said["pattern"], given.get(said["field"], "")):
        print(message, file=sys.stderr)
        sys.exit(2)
"""
SHIM = """
import { ask, project } from %s;
const place = project("pi", %s), calls = JSON.parse(process.argv[1]);
for (const input of calls) {
  const start = performance.now();
  await ask("pi", place, { type: "tool_call", toolName: "bash", input, cwd: %s, sessionId: "s" });
  console.log(performance.now() - start);
}
"""
COMMANDS = (
    "git status",
    "cd src && ls -la | head -5",
    "tool3 apply",
    "python -m pytest -q tests 2>&1 | tail -20",
    "echo done > build/note.txt",
)


def made_up(count: int) -> list[r.Rule]:
    """Rules about as many commands as folders."""
    whens: list[r.Predicate] = [
        r.Command(program=(f"tool{n}",), sub=(("apply",),))
        if n % 2
        else r.Path(access=("write", "delete"), globs=(f"/area{n}/**",))
        for n in range(1, count + 1)
    ]
    return [
        r.Rule(id=f"r{n}", when=when, effect="deny", message=f"Not {n}.", unit="u", span=SPAN)
        for n, when in enumerate(whens, start=1)
    ]


def by_hand(folder: Path, count: int) -> None:
    folder.mkdir()
    for n in range(1, count + 1):
        field, pattern = ("command", rf"\btool{n}\s+apply\b") if n % 2 else ("file_path", rf"\barea{n}/")
        (folder / f"r{n}.md").write_text(f"field: {field}\npattern: {pattern}\n---\nNot {n}.\n")


@contextmanager
def laid_out(count: int) -> Iterator[Path]:
    """A project with so many rules, for the guard and by hand."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for harness in ("claude_code", "pi"):
            folder = root / ".harness-compile" / harness
            folder.mkdir(parents=True)
            policy = r.Policy(
                root="../..",
                protect=("**/.harness-compile/**", "**/.claude/settings.json"),
                log="decisions.jsonl",
                state="sessions",
                rules=tuple(made_up(count)),
            )
            for file, data in guard.policy_files(policy).items():
                (folder / file).write_bytes(data)
        shim = root / ".harness-compile/pi/shim.json"
        shim.write_text('{"events": ["pre_tool"], "hide": [], "attended": false, "on_error": "deny"}')
        own = root / "own"
        own.mkdir()
        for file in ("guard.py", "payloads.py", "ask_guard.mjs"):
            shutil.copy(RUNTIME / file, own)
        (own / "shim.json").write_text(json.dumps({"python": sys.executable, "timeout_ms": 60_000}))
        by_hand(root / "by-hand", count)
        (root / "by_hand.py").write_text(BY_HAND)
        yield root


def payload(root: Path, command: str) -> str:
    call = {"tool": "Bash", "input": {"command": command}, "cwd": str(root), "root": str(root)}
    return json.dumps(payloads.payload("claude_code", call))


Made = TypeVar("Made")
Times = tuple[float, float]  # milliseconds of wall clock and of processor time


def process(argv: list[str], text: str, refused: bool | None) -> Times:
    """One process. The answer must be the right one: a hook that fails is fast."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(argv, input=text.encode(), capture_output=True)
    wall = time.perf_counter() - begin
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert refused is None or (done.returncode == 2) is refused, done.stderr.decode()
    return wall * 1e3, (now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime) * 1e3


def in_process(root: Path, text: str, refused: bool) -> Times:
    policy = str(root / ".harness-compile/claude_code/guard.json")
    begin, used = time.perf_counter(), time.process_time()
    status, _, _ = guard.handle("claude_code", policy, text)
    times = (time.perf_counter() - begin) * 1e3, (time.process_time() - used) * 1e3
    assert (status == 2) is refused
    return times


def shim(root: Path, node: str, rounds: int) -> list[Times]:
    """The guard as a shim in a JavaScript host asks it; all rounds in one host, its start apart."""
    home, here = json.dumps(str(root / "own/ask_guard.mjs")), json.dumps(str(root))
    calls = [{"command": COMMANDS[n % len(COMMANDS)]} for n in range(rounds)]
    argv = [node, "--input-type=module", "-e", SHIM % (home, here, here), json.dumps(calls)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [(float(line), float("nan")) for line in done.stdout.split()]


def measured(count: int, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds (rounds x wall, cpu) of every mechanism at so many rules."""
    found: dict[str, list[Times]] = {}
    with laid_out(count) as root:
        own = guard.launch_command(str(root / "own"), "claude_code", sys.executable)
        own[-1] = str(root / ".harness-compile/claude_code/guard.json")
        jobs: dict[str, Callable[[str, bool], Times]] = {
            "python that does nothing": lambda text, refused: process(
                [sys.executable, "-I", "-S", "-c", "pass"], text, None
            ),
            "guard, in process": lambda text, refused: in_process(root, text, refused),
            "guard, process of a hook": lambda text, refused: process(own, text, refused),
            "one file per rule, by hand": lambda text, refused: process(
                [sys.executable, str(root / "by_hand.py"), str(root / "by-hand")], text, refused
            ),
        }
        for number in range(-1, rounds):  # one round to warm up
            command = COMMANDS[number % len(COMMANDS)]
            for name, job in jobs.items():
                times = job(payload(root, command), command == "tool3 apply" and count >= 3)
                if number >= 0:
                    found.setdefault(name, []).append(times)
        node = shutil.which("node")
        if node:
            found["guard, asked by a JavaScript shim"] = shim(root, node, rounds)
    return {name: np.array(times) for name, times in found.items()}


def interval(one: np.ndarray, other: np.ndarray) -> str:
    """The ratio of two medians over the same rounds, and where it lies in 95 of 100 resamplings."""
    draws = np.random.default_rng(0).integers(0, len(one), (2_000, len(one)))
    low, high = np.percentile(np.median(one[draws], 1) / np.median(other[draws], 1), (2.5, 97.5))
    return f"{np.median(one) / np.median(other):.2f} ({low:.2f} to {high:.2f})"


def table(*columns: str) -> Table:
    made = Table(box=None, header_style="dim")
    for number, name in enumerate(columns):
        made.add_column(name, justify="left" if number == 1 else "right")
    return made


@app.command()
def latency(
    rounds: Annotated[int, typer.Option(help="Calls per mechanism and number of rules.")] = 40,
) -> None:
    """Print p50 and p95 of a call by number of rules and mechanism, the guard beside a hook by hand."""
    shown = table("rules", "mechanism", "wall p50 ms", "wall p95 ms", "cpu p50 ms", "n", "wall / by hand")
    for count in COUNTS:
        found = measured(count, rounds)
        for name, times in found.items():
            wall, cpu = times[:, 0], times[:, 1]
            ratio = (
                interval(wall, found["one file per rule, by hand"][:, 0]) if name.startswith("guard,") else ""
            )
            shown.add_row(
                f"{count:,}",
                name,
                *(f"{value:.1f}" for value in (*np.percentile(wall, (50, 95)), np.median(cpu))),
                str(len(times)),
                ratio,
            )
    Console(width=130).print(shown)
    print(machine())


@app.command("compile")
def compile_() -> None:
    """Print seconds of processor time from a memory to the bundles of all harnesses, at three sizes: medians,
    with their range."""
    importlib.import_module("harness_compile.lower")  # its import is no part of a step
    shown, took = table("units", "step", "cpu s"), dict[tuple[int, str], list[float]]()
    for size in [size for _ in range(ROUNDS) for size in SIZES]:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            lines = itertools.islice(itertools.cycle(SENTENCES), size)
            text = "".join(f"- {line.format(n=n)}\n" for n, line in enumerate(lines))
            (root / "CLAUDE.md").write_text(f"# Notes\n\n{text}")
            memory = _step(took, size, "read", lambda root=root: read([("auto", root)], root))
            with _timed_cases() as spent:
                lowered = _step(took, size, "lower", lambda memory=memory: bundle.lower_memory(memory))
            took.setdefault((size, "  of it, deriving and checking cases"), []).append(spent[0])
            for one in map(backend, MODULES):
                _step(
                    took,
                    size,
                    f"compile and write, {one.name}",
                    lambda one=one, lowered=lowered, root=root: bundle.write(
                        bundle.compile_lowered(lowered, one, Options()), root / "build"
                    ),
                )
    for (size, what), spans in sorted(took.items(), key=lambda item: item[0][0]):
        shown.add_row(f"{size:,}", what, spread(spans))
    Console(width=110).print(shown)
    print(machine())


@contextmanager
def _timed_cases() -> Iterator[list[float]]:
    """Seconds of processor time that the cases of rules take while they are lowered."""
    place, spent = importlib.import_module("harness_compile.lower.lower"), [0.0]
    real = place.cases_for

    def timed(rule: r.Rule):
        begin = time.process_time()
        found = real(rule)
        spent[0] += time.process_time() - begin
        return found

    place.cases_for = timed  # type: ignore[attr-defined]
    try:
        yield spent
    finally:
        place.cases_for = real  # type: ignore[attr-defined]


def _step(took: dict[tuple[int, str], list[float]], size: int, name: str, job: Callable[[], Made]) -> Made:
    begin = time.process_time()
    made = job()
    what = f"{name} ({len(made.rules):,} rules)" if isinstance(made, bundle.Lowered) else name
    took.setdefault((size, what), []).append(time.process_time() - begin)
    return made


if __name__ == "__main__":
    app()

"""The commands of an adapter's life: verify, trace, promote, rollback, gc, forget, port, merge, export.

They are given a run directory, which knows its recipe. What needs torch is imported inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from distill import screen
from distill.bar import Bars
from distill.errors import Exit, UsageError, faults
from distill.life import words

app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Json = Annotated[bool, typer.Option("--json", help="Print the machine form instead of the table.")]


@app.command(epilog="distill verify runs/quickstart\n\ndistill verify runs/quickstart --root sha256:…")
@faults("distill")
def verify(
    run: RunPath,
    root: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="The manifest's root, as you kept it elsewhere.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Derive every digest again, from memory to report; exit code 3 names the first broken link."""
    from distill.life.verify import verify as links_of

    links = links_of(run, root)
    if as_json:
        screen.print_json([vars(link) for link in links])
    else:
        words.show_links(links, run)
    if links[-1].fault:
        raise typer.Exit(Exit.BELOW)


@app.command(
    epilog="distill trace runs/quickstart --unit amber-heron\n\ndistill trace runs/quickstart --sample 12"
)
@faults("distill")
def trace(
    run: RunPath,
    unit: Annotated[str | None, typer.Option(metavar="UNIT", help="A unit's id, or how it begins.")] = None,
    sample: Annotated[
        str | None, typer.Option(metavar="SAMPLE", help="A sample's row, or how its digest begins.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Walk the chain of a unit or a sample: line of memory, samples, targets, adapter, score."""
    from distill.life.trace import trace_sample, trace_unit

    if (unit is None) == (sample is None):
        raise UsageError("trace takes a unit or a sample", mend="add --unit UNIT or --sample SAMPLE")
    found = trace_unit(run, unit) if unit is not None else trace_sample(run, str(sample))
    if as_json:
        screen.print_json(found)
    else:
        words.show_trace(found)


@app.command(epilog="distill promote runs/quickstart\n\ndistill promote runs/quickstart --force")
@faults("distill")
def promote(
    run: RunPath,
    force: Annotated[
        bool, typer.Option("--force", help="Even where a gate did not pass; it is recorded.")
    ] = False,
) -> None:
    """Keep the run's adapter as a version and point RUN/current to it, if every gate passed."""
    from distill.life import versions
    from distill.life.serving import served

    step = versions.promote(run, force)
    words.show_step(run, step)
    words.show_served(served(run / "current"))


@app.command(epilog="distill rollback runs/quickstart")
@faults("distill")
def rollback(run: RunPath) -> None:
    """Point RUN/current back to the version before."""
    from distill.life import versions

    words.show_step(run, versions.rollback(run))


@app.command(epilog="distill gc runs/quickstart\n\ndistill gc runs")
@faults("distill")
def gc(
    place: Annotated[Path, typer.Argument(metavar="RUN|DIR", help="A run directory, or one of runs.")],
) -> None:
    """Drop what no later build of the same memory will use: old cache entries, finished checkpoints."""
    from distill.life.gc import collect, runs_of

    words.show_freed([collect(run) for run in runs_of(place)])


@app.command(epilog="distill forget runs/quickstart amber-heron-runs")
@faults("distill")
def forget(
    run: RunPath,
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="A unit's id, or how it begins.")],
) -> None:
    """Remove a unit that you deleted from the memory: samples, cache, reports, versions; build without it."""
    from distill.life import build

    with Bars() as bars:
        report, told = build.forget(run, unit, bars)
    words.show_forgotten(run, *told)
    if not report.passed:
        raise typer.Exit(Exit.BELOW)


@app.command(epilog="distill port runs/mine --to Qwen/Qwen3-4B-Instruct-2507 --out runs/mine-4b")
@faults("distill")
def port(
    run: RunPath,
    to: Annotated[str, typer.Option(metavar="MODEL", help="The new base: a hub id or a model directory.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The new run directory.")],
) -> None:
    """Carry a run over to another base: the same questions, answers and targets of the new one."""
    from distill.life import build
    from distill.report import print_report

    with Bars() as bars:
        report = build.port(run, to, out, bars)
    print_report(report)
    words.show_report(out)
    if not report.passed:
        raise typer.Exit(Exit.BELOW)


@app.command(epilog="distill merge runs/quickstart\n\ndistill merge runs/quickstart --out models/with-memory")
@faults("distill")
def merge(
    run: RunPath,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the model is written; RUN/merged by default.")
    ] = None,
) -> None:
    """Merge the adapter into its base, as safetensors, and judge the merged model by every gate again."""
    from distill.life import build
    from distill.report import print_report

    place = out or run / "merged"
    with Bars() as bars:
        report = build.merge(run, place, bars)
    print_report(report)
    words.show_merged(place)
    if not report.passed:
        raise typer.Exit(Exit.BELOW)


@app.command(epilog="distill export runs/quickstart --to gguf")
@faults("distill")
def export(
    run: RunPath,
    to: Annotated[Literal["gguf"], typer.Option(metavar="FORM", help="gguf: a LoRA for llama.cpp.")] = "gguf",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where it is written; RUN/gguf/adapter.gguf by default."),
    ] = None,
) -> None:
    """Write the adapter in the form of another program: a GGUF file that llama.cpp loads beside its base."""
    from distill.life.export import export as written

    place = out or run / to / "adapter.gguf"
    words.show_exported(place, written(run, place))

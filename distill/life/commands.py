"""The commands of an adapter's life: verify, trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distill import screen
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

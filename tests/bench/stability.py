"""How well `stability` foretells which units of a memory survive, on real revisions of real files.

    python -m tests.bench.stability CORPUS

CORPUS holds `index.jsonl`, whose rows of kind `history` are successive revisions of files. What is known at
the middle revision of a file (its words and the history of the earlier half) decides for every unit whether
it is stable; the later half shows whether its words are still there, letter for letter. Precision: of units
called stable, the share that survives the next revision. Recall: of survivors, the share called stable. A
file is a cluster: intervals are from resampling whole files. The half of the files that words and thresholds
were chosen on (`dev`, by a hash of the name) and the other are shown apart, and also all files whose earlier
half spans a day or more: of a file that was begun within the hour, nothing can have stood.

A plan asks for more than stability: a unit with a version, price, count or identifier stays in tokens even
when it is stable, since weights keep such values badly; the row *and no value that moves* counts so. Dates
speak against lasting, and other values do not: that was chosen on `dev` alone.

Not covered: whether a line that stayed was still true.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from distill.memory import read
from distill.memory.evidence.history import Past, past_of
from distill.memory.evidence.lineage import Lineage
from distill.memory.evidence.stable import MIN_AGE_DAYS, Evidence, stability, volatile
from distill.memory.segment import words as words_of
from distill.records import MemoryUnit

RESAMPLES = 5000


@dataclass(frozen=True)
class Seen:
    """One unit at the middle revision: what was known of it, what was said, and how many revisions it saw."""

    file: str
    unit: MemoryUnit
    past: Past | None
    today: date
    days: int  # from the first revision to the middle one
    stable: bool
    survived: int  # of the later revisions, in a row
    later: int


def load(corpus: Path) -> dict[str, list[dict]]:
    """The revisions of each file, oldest first."""
    rows = map(json.loads, (corpus / "index.jsonl").read_text().splitlines())
    files: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        if row["kind"] == "history":
            files[f"{row['repo']}/{row['path']}"].append(row)
    return {name: sorted(rows, key=lambda row: row["rev_index"]) for name, rows in sorted(files.items())}


def is_dev(name: str) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0


def watch(corpus: Path, name: str, revisions: Sequence[dict]) -> list[Seen]:
    """The units of a file's middle revision and what became of them."""
    texts = [(corpus / row["file"]).read_text() for row in revisions]
    middle = (len(revisions) - 1) // 2
    followed = Lineage()
    for row, text in zip(revisions[: middle + 1], texts, strict=False):
        followed.step(row["commit"], row["date"], {name: text})
    path = corpus / revisions[middle]["file"]
    memory = read([("agents_md", path)], root=path.parent)
    documents = {document.path: document.text for document in memory.documents}
    history = followed.now(name)
    histories = {path.name: history} if history else {}
    today = date.fromisoformat(revisions[middle]["date"][:10])
    days = (today - date.fromisoformat(revisions[0]["date"][:10])).days
    later = [" ".join(text.split()) for text in texts[middle + 1 :]]
    found = []
    for unit in memory.units:
        past = past_of(unit, documents, histories)
        named = unit.model_copy(  # the role of a file is in its name
            update={"spans": tuple(s.model_copy(update={"source": name}) for s in unit.spans)}
        )
        stable, _ = stability(named, Evidence(past=past, today=today))
        span = unit.spans[0]  # personal data is covered in the text of a unit, and not in its document
        raw = documents[span.source].encode()[span.start : span.end].decode()
        words = " ".join(words_of(raw).split())
        survived = next((at for at, text in enumerate(later) if words not in text), len(later))
        found.append(Seen(name, unit, past, today, days, stable, survived, len(later)))
    return found


def old(seen: Seen) -> bool:
    """The first baseline: age alone."""
    if seen.past is None:
        return False
    return (seen.today - date.fromisoformat(seen.past.last_changed[:10])).days >= MIN_AGE_DAYS


CALLS: dict[str, Callable[[Seen], bool]] = {
    "stability": lambda seen: seen.stable,
    "and no value that moves": lambda seen: seen.stable and not volatile(seen.unit.text),
    "age alone": old,
    "everything stable": lambda seen: True,
}


def share(
    rows: Sequence[Seen], of: Callable[[Seen], bool], good: Callable[[Seen], bool]
) -> tuple[float, ...]:
    """A pooled share with its 95 % interval from resampling files."""
    files = sorted({seen.file for seen in rows})
    hits = np.array([[sum(of(s) and good(s) for s in rows if s.file == f) for f in files],
                     [sum(of(s) for s in rows if s.file == f) for f in files]], dtype=float)  # fmt: skip
    drawn = np.random.default_rng(0).integers(0, len(files), (RESAMPLES, len(files)))
    top, bottom = hits[0][drawn].sum(axis=1), hits[1][drawn].sum(axis=1)
    values = top[bottom > 0] / bottom[bottom > 0]
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
    return hits[0].sum() / max(1.0, hits[1].sum()), float(low), float(high)


def show(value: tuple[float, ...]) -> str:
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"


def main(corpus: Path) -> None:
    """Print precision and recall of `stability` and of two baselines."""
    files = load(corpus)
    rows = [seen for name, revisions in files.items() for seen in watch(corpus, name, revisions)]
    table = Table(box=None, header_style="dim")
    for column in ("files", "units", "called by", "stable", "precision: next", "to the last", "recall"):
        table.add_column(column, justify="left" if column == "called by" else "right")
    for label, keep in (
        ("dev", lambda seen: is_dev(seen.file)),
        ("other", lambda seen: not is_dev(seen.file)),
        ("all", lambda seen: True),
        ("a day or more", lambda seen: seen.days > 0),
    ):
        part = [seen for seen in rows if keep(seen)]
        count = len({seen.file for seen in part})
        for who, call in CALLS.items():
            table.add_row(
                f"{label} {count}",
                str(len(part)),
                who,
                str(sum(map(call, part))),
                show(share(part, call, lambda seen: seen.survived > 0)),
                show(share(part, call, lambda seen: seen.survived == seen.later)),
                show(share(part, lambda seen: seen.survived > 0, call)),
            )
    Console(width=140).print(table)
    by_file = Table(box=None, header_style="dim")
    for column in ("file", "units", "survive", "precision", "recall"):
        by_file.add_column(column)
    for name in files:
        part = [seen for seen in rows if seen.file == name]
        said, lived = [s for s in part if s.stable], [s for s in part if s.survived]
        by_file.add_row(
            f"{hashlib.sha256(name.encode()).hexdigest()[:6]} {'dev' if is_dev(name) else 'other'}",
            str(len(part)),
            f"{len(lived) / len(part):.3f}",
            f"{sum(s.survived > 0 for s in said) / len(said):.3f}" if said else "none called stable",
            f"{sum(s.stable for s in lived) / len(lived):.3f}" if lived else "none survived",
        )
    Console(width=140).print(by_file)


if __name__ == "__main__":
    typer.run(main)

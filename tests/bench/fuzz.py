"""Every reader on anything for some minutes: only units or one clear error, true spans, a plan, a residual.

    python -m tests.bench.fuzz --minutes 10

Each round has a seed of its own, from `--first` up, so that two runs can see different examples; a crash is
shrunk, printed by hypothesis with its example, and ends the run with exit code 1.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.memory.test_formats_fuzz import FILES, KINDS, a_directory, a_file, contents, trees

ROUND = 200  # examples


def main(
    minutes: Annotated[float, typer.Option(help="How long to go on.")] = 10.0,
    first: Annotated[int, typer.Option(help="The first seed.")] = 0,
) -> None:
    """Fuzz every reader; print how many examples were tried."""
    end, tried, turn = time.monotonic() + 60 * minutes, 0, first
    options = settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )

    @options
    @given(trees, contents, KINDS, FILES)
    def one_round(tree: dict[str, bytes], raw: bytes, kind: str, name: str) -> None:
        with tempfile.TemporaryDirectory() as root:
            (Path(root) / "tree").mkdir()
            a_directory(Path(root) / "tree", tree)
            (Path(root) / "file").mkdir()
            a_file(Path(root) / "file", raw, kind, name)
        nonlocal tried
        tried += 1

    while time.monotonic() < end:
        seed(turn)(one_round)()
        turn += 1
    print(f"{tried:,} directories and as many files, each in a format and as what it is taken for")
    print(f"no crash in {minutes:g} minutes, seeds {first} to {turn - 1}")


if __name__ == "__main__":
    typer.run(main)

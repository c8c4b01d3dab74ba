"""Progress on stderr: one bar per piece of long work, with an estimate; plain lines where there is no
terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Bars:
    """Use as a context; call `tell(words, done, total)` as often as you like."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]left[/]"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, tuple[int, float]] = {}
        self._said: set[str] = set()

    def __enter__(self) -> Bars:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, value, trace)

    def tell(self, words: str, done: int, total: int, note: str = "") -> None:
        """Moves the bar named `words`. `note` is shown behind its name and may change."""
        if words not in self._tasks:
            self._tasks[words] = (int(self._progress.add_task(words, total=total)), time.monotonic())
        task, began = self._tasks[words]
        self._progress.update(task, completed=done, total=total, description=f"{words} {note}".strip())  # type: ignore[arg-type]
        if done >= total and words not in self._said:
            self._said.add(words)
            if not self._console.is_terminal:
                self._console.print(
                    f"{words} {note}".strip() + f": {total} in {time.monotonic() - began:.0f} s", markup=False
                )

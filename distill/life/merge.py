"""An adapter merged into its base: a whole model in safetensors, for whatever cannot load an adapter.

The merged model is judged again by every arm and gate, because rounding in its number type is part of it.
Not covered: the judging itself (`check/`), quantizing the merged model.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill.errors import StaleError
from distill.train.adapter import load_adapter
from distill.train.model import Base, load_base

JUDGED = (  # what a check reads at the top of a run
    "memory.jsonl",
    "judged.jsonl",
    "before.jsonl",
    "probes.jsonl",
    "probes.notes.json",
    "spent.json",
)
FOLDERS = ("synth", "train", "adapter")


class Switched:
    """A base and a merged model behind the face of a model with an adapter: `disable_adapter` is the base."""

    def __init__(self, base: Any, merged: Any):
        self._base, self._merged, self._now = base, merged, merged

    @contextlib.contextmanager
    def disable_adapter(self) -> Iterator[None]:
        before, self._now = self._now, self._base
        try:
            yield
        finally:
            self._now = before

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._now(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now, name)


def merge(said: dict[str, str], adapter: Path, place: Path) -> None:
    """Writes the merged model and its tokenizer to `place`, whole or not at all.

    `said` names the base (model, dtype, device). A base that was held in fewer bits for training is loaded in
    its own number type. Raises ModelError, StaleError where there is no adapter, OSError.
    """
    if not (adapter / "card.json").is_file():
        raise StaleError("has no adapter yet", file=adapter.parent, mend="run `distill run` first")
    base = load_base(said["model"], "none", said["dtype"], said["device"])
    merged = load_adapter(base, adapter).model.merge_and_unload()
    fresh = place.with_name(f".{place.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    merged.save_pretrained(fresh, safe_serialization=True)
    base.tokenizer.save_pretrained(fresh)
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)


def beside(base: Base, place: Path) -> Base:
    """A base whose arms with an adapter are answered by the merged model in `place`. It must be bare."""
    merged = load_base(str(place), "none", str(base.model.dtype).removeprefix("torch."), str(base.device))
    base.model = Switched(base.model, merged.model)
    return base


def view(run: Path, place: Path) -> Path:
    """A run directory in `place` to judge in: probes, samples and training of the run, and nothing judged."""
    made = place / "judged"
    made.mkdir(parents=True, exist_ok=True)
    for name in JUDGED:
        if (run / name).is_file():
            shutil.copy(run / name, made / name)
    for name in FOLDERS:
        if not (made / name).is_symlink():
            (made / name).symlink_to((run / name).resolve(), target_is_directory=True)
    return made

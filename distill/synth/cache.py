"""What the model wrote and answered, kept under a digest of all it depends on, so that it is done once.

A question depends on its prompt (which holds the unit's statement), how often that prompt is asked, the
sampling, the seed, and on the base model, its template and this package's own code (`code`). An answer
depends on the question, the unit's statement, the lines of the memory that the question is near
(`evidence.py`) and the same rest. The batch something was computed in is no part of a key: with a sampled
text it is part of the chance, with an answer it moves the last bits of a float.

Work in progress is in `open/`, in pieces that are files; when a stage is done, one rename makes a pack of it.
Until then what is known does not change, so that a run that was killed makes the same pieces again and ends
with the same bytes. Not covered: what is dropped of it later (`life/forget.py`).
"""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from distill.records import Header, Record, append_record, digest_of, resume_jsonl, write_atomic, write_json
from distill.synth.dataset import join, pack
from distill.synth.teacher import Answer

PIECE = 128  # questions of one piece, unless a batch holds more: what a kill can cost
CODE = (
    "synth/cache.py",
    "synth/teacher.py",
    "synth/teachers.py",
    "synth/logprobs.py",
    "train/targets.py",
    "train/model.py",
)
Tell = Callable[[int, int], None]  # done, in all
Asked = TypeVar("Asked", str, tuple[str, str])


class Texts(Record):
    """What was written for one prompt that was asked `len(texts)` times."""

    key: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """One answer: row `row` of the tensors of its part."""

    text: str
    ended: bool
    part: dict[str, torch.Tensor]
    row: int


@functools.cache
def code() -> str:
    """Digest of the modules that decide what a model writes and answers, without their comments."""
    root = Path(__file__).parents[1]
    return digest_of([ast.dump(ast.parse((root / name).read_bytes())) for name in CODE])


class Cache:
    """The cache of one run. `owner` is the digest of the stage that works now: what another stage left open
    is kept as it is. `batch` is how many questions the model is asked at once: no piece holds fewer, where
    there are more."""

    def __init__(self, folder: Path, owner: str, stage: str, batch: int = 1) -> None:
        self.piece = max(PIECE, batch)
        self.folder, self.open, self.stage = folder, folder / "open", stage
        self.used: dict[str, None] = {}
        self.made: Counter[str] = Counter()
        if (self.open / "owner.json").exists() and _json(self.open / "owner.json").get("owner") != owner:
            self._commit()
        write_json(self.open / "owner.json", {"owner": owner})
        self._texts = {key: texts for path in packed(folder, "*.jsonl") for key, texts in read_texts(path)}
        self._answers: dict[str, tuple[Path, int]] = {}
        for path in packed(folder, "*.safetensors"):
            for row, key in enumerate(keys_of(path)):
                self._answers.setdefault(key, (path, row))
        self._parts: dict[Path, tuple[list[str], dict[str, torch.Tensor]]] = {}

    def write(
        self,
        name: str,
        prompts: Sequence[str],
        depends: Sequence[Any],
        write: Callable[[list[str]], list[str]],
        tell: Tell = lambda done, total: None,
    ) -> list[str]:
        """One text a prompt, in their order. Equal prompts are one entry: how often one is asked is part of
        its key.

        `write(prompts)` is asked for what is not known, in pieces that hold all askings of a prompt. `name`
        is that of the file, `depends` what the texts depend on beside the prompts.
        """
        times = Counter(prompts)
        keys = {prompt: digest_of([*depends, prompt, count]) for prompt, count in times.items()}
        self.used.update(dict.fromkeys(keys.values()))
        missing = [prompt for prompt, key in keys.items() if key not in self._texts]
        found = {key: self._texts[key] for key in keys.values() if key in self._texts}
        total = sum(times[prompt] for prompt in missing)
        if missing:
            path = self.open / f"{name}.jsonl"
            header = Header(kind="written", inputs={"wanted": digest_of([keys[p] for p in missing])})
            there = resume_jsonl(path, header, Texts)
            at = done = 0
            for piece in _pieces(missing, times, self.piece):
                asked = [prompt for prompt in piece for _ in range(times[prompt])]
                known = there[at : at + len(piece)]
                if len(known) < len(piece):
                    tell(done, total)
                    texts = iter(write(asked))
                    made = [
                        Texts(key=keys[p], texts=tuple(next(texts) for _ in range(times[p]))) for p in piece
                    ]
                    for record in made[len(known) :]:
                        append_record(path, record)
                    known, there = made, there[: at + len(known)]
                found.update({record.key: record.texts for record in known})
                at, done = at + len(piece), done + len(asked)
            self.made["questions"] += total
        tell(total, total)
        given = {key: iter(texts) for key, texts in found.items()}
        return [next(given[keys[prompt]]) for prompt in prompts]

    def answer(
        self,
        name: str,
        questions: Sequence[Asked],
        depends: Sequence[Sequence[Any]],
        answer: Callable[[list[Asked]], list[Answer]],
        tell: Tell = lambda done, total: None,
    ) -> list[Answered]:
        """One answer a question with its targets, in their order; `depends` has what each depends on. A
        question is a text, or a text and what is in context."""
        keys = [digest_of([*what, question]) for what, question in zip(depends, questions, strict=True)]
        self.used.update(dict.fromkeys(keys))
        wanted = dict(zip(keys, questions, strict=True))
        missing = [key for key in wanted if key not in self._answers]
        where = {key: self._answers[key] for key in wanted if key in self._answers}
        for at in range(0, len(missing), self.piece):
            tell(at, len(missing))
            piece = missing[at : at + self.piece]
            path = self.open / f"{name}-{at:06d}.safetensors"
            if keys_of(path) != piece:
                write_part(path, piece, answer([wanted[key] for key in piece]))
            where.update({key: (path, row) for row, key in enumerate(piece)})
        self.made["answers"] += len(missing)
        tell(len(missing), len(missing))
        return [self._answer(*where[key]) for key in keys]

    def _answer(self, path: Path, row: int) -> Answered:
        if path not in self._parts:
            self._parts[path] = read_part(path)
        texts, tensors = self._parts[path]
        return Answered(texts[row], bool(tensors["ended"][row]), tensors, row)

    def close(self) -> None:
        """Makes a pack of what is open, and says which entries the stage used. Raises OSError."""
        write_json(self.folder / f"{self.stage}.used.json", {"keys": list(self.used)})
        self._commit()

    def _commit(self) -> None:
        """One rename: the pack is there whole, or everything is still open."""
        if not any(path.suffix in (".jsonl", ".safetensors") for path in self.open.iterdir()):
            shutil.rmtree(self.open)
            return
        number = 1 + max((int(p.name) for p in self.folder.iterdir() if p.name.isdigit()), default=0)
        os.rename(self.open, self.folder / f"{number:04d}")


def packed(folder: Path, pattern: str) -> Iterator[Path]:
    """The files of all packs, the oldest pack first."""
    return (path for pack in sorted(folder.glob("[0-9]*")) for path in sorted(pack.glob(pattern)))


def read_texts(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The entries of a file of texts; a torn last line, all that a kill can leave, is none."""
    for line in path.read_bytes().split(b"\n")[1:-1]:
        with contextlib.suppress(ValueError):
            record = Texts.model_validate_json(line)
            yield record.key, record.texts


def write_part(path: Path, keys: Sequence[str], answers: Sequence[Answer]) -> None:
    """Answers and their targets, with keys and texts in the file's metadata. Old or new, never half."""
    meta = {"keys": json.dumps(list(keys)), "texts": json.dumps([a.text for a in answers])}
    ended = torch.tensor([a.ended for a in answers])
    write_atomic(path, save({**pack(answers), "ended": ended}, metadata=meta))


def keys_of(path: Path) -> list[str]:
    """The keys of a part; none where it is missing or torn."""
    try:
        with safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
            return json.loads((file.metadata() or {})["keys"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return []


def read_part(path: Path) -> tuple[list[str], dict[str, torch.Tensor]]:
    """Texts and tensors of a part. Raises OSError, SafetensorError."""
    with safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return json.loads((file.metadata() or {})["texts"]), tensors


def used(folder: Path) -> set[str]:
    """The keys that the last finished stages used."""
    return {key for path in folder.glob("*.used.json") for key in _json(path).get("keys", [])}


def prune(folder: Path, keep: Callable[[str, Sequence[str]], bool]) -> tuple[int, int]:
    """Drops the entries of all packs that are not to be kept: `keep(key, texts)`. Files are written anew,
    with what stays as it was. Returns entries dropped and bytes freed. Raises OSError."""
    dropped = freed = 0
    for path in packed(folder, "*.*"):
        before = path.stat().st_size
        if path.suffix == ".jsonl":
            lines = path.read_bytes().split(b"\n")
            entries = list(read_texts(path))
            stay = [Texts(key=key, texts=texts) for key, texts in entries if keep(key, texts)]
            data = b"".join([lines[0] + b"\n", *(r.model_dump_json().encode() + b"\n" for r in stay)])
        elif path.suffix == ".safetensors" and (entries := keys_of(path)):
            texts, tensors = read_part(path)
            rows = [row for row, key in enumerate(entries) if keep(key, (texts[row],))]
            stay, data = rows, b""
            if rows:
                kept = join([(tensors, row) for row in rows])
                meta = {
                    name: json.dumps([of[row] for row in rows])
                    for name, of in (("keys", entries), ("texts", texts))
                }
                data = save({**kept, "ended": tensors["ended"][rows]}, metadata=meta)
        else:
            continue
        if len(stay) == len(entries) and stay:
            continue
        dropped += len(entries) - len(stay)
        if stay:
            write_atomic(path, data)
        else:
            path.unlink()
        freed += before - (path.stat().st_size if stay else 0)
    for place in folder.glob("[0-9]*"):
        if not any(path.suffix in (".jsonl", ".safetensors") for path in place.iterdir()):
            shutil.rmtree(place)
    return dropped, freed


def _pieces(prompts: Sequence[str], times: Counter[str], most: int) -> Iterator[list[str]]:
    """Prompts in pieces of at most so many askings, so that they fill whole batches; a prompt that is asked
    more often is a piece of its own."""
    piece: list[str] = []
    held = 0
    for prompt in prompts:
        if piece and held + times[prompt] > most:
            yield piece
            piece, held = [], 0
        piece.append(prompt)
        held += times[prompt]
    if piece:
        yield piece


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}

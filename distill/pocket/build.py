"""Trains the pocket model: `python -m distill.pocket.build`, or `--evaluate` to print the scores of the one
shipped. `--size small` trains another, of three fifths of the size and another vocabulary, for tests.

A small Qwen3 learns to read a memory. Memories grow from 8 to 56 units with time; Muon moves the matrices and
AdamW the rest (Jordan 2024); the loss is on answers only. An interrupted run continues from its last
checkpoint. Not covered: a GPU recipe (it runs on one, but the figures are from two CPU cores).
"""

from __future__ import annotations

import json
import platform
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch.nn import functional as F

from distill.pocket import turns as T
from distill.pocket import world as W
from distill.pocket.circuit import seed_reading, shrink, widen
from distill.pocket.muon import Muon
from distill.pocket.tokenizer import ASSISTANT, END, PAD, SYSTEM, USER, pieces, train_tokenizer
from distill.synth.families import MEMORY

WEIGHTS = Path(__file__).parent / "weights"
SHAPE: dict[str, Any] = dict(
    hidden_size=160,
    num_hidden_layers=4,
    num_attention_heads=6,
    num_key_value_heads=6,
    head_dim=64,
    intermediate_size=480,
)


class Size(NamedTuple):
    """Entries of the tokenizer, units of the last memories, words of prose at most, and the layers' shape."""

    vocabulary: int
    largest: int
    prose: int
    shape: dict[str, Any]


SIZES = {
    "pocket": Size(3072, 56, 330, SHAPE),
    "small": Size(2048, 24, 150, SHAPE | dict(num_hidden_layers=3, intermediate_size=240)),
}
SMALLEST = 8  # units of the first memories
AGAIN = 24  # units of the first memories where given weights go on
GROWN, FALLING = 0.75, 0.4  # share of the time in which memories grow; in which the learning rate falls


def rarity(tok: Any, seed: int = 0) -> torch.Tensor:
    """How much each token tells about the line it is in: (vocabulary,), 0 for one in every line, 1 for one in
    three hundred or fewer."""
    r, seen, total = random.Random(seed), torch.ones(len(tok)), 0
    for _ in range(400):
        w = W.world(r, 8)
        texts = w.text.split("\n") + [x for t in T.turns(r, w, 8) for x in (t.question, t.answer)]
        for ids in tok([" " + x for x in texts], add_special_tokens=False)["input_ids"]:
            seen[list(set(ids))] += 1
        total += len(texts)
    for special in tok.all_special_ids:
        seen[special] = total
    return ((seen / total).log() / torch.tensor(0.003).log()).clamp(0, 1)


def new_model(tok: Any, seed: int = 0, shape: dict[str, Any] = SHAPE) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tok),
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            pad_token_id=0,
            eos_token_id=4,
            bos_token_id=None,
            **shape,
        )
    )
    seed_reading(model, rarity(tok), seed)
    return model


def episode(r: random.Random, level: int, prose: int = SIZES["pocket"].prose) -> tuple[str, list[T.Turn]]:
    """One memory of at most `level` units, or `prose` words, and the turns about it."""
    kind = r.random()
    if kind < 0.13:
        return "", T.turns_without_memory(r, r.randint(6, 20))
    n = r.randint(2, level)
    if kind < 0.32:
        memory = W.section(r, r.randint(10, min(8 * level, prose)))
    elif kind < 0.52:  # many entities with one relation: the kind of value gives nothing away
        memory = W.world(r, n, prose=0.0, focus=r.choice(("relation", "relation", "entity")))
    elif kind < 0.76:
        memory = W.world(r, min(n, 20), prose=0.1, rules=0.6)
    else:
        memory = W.world(r, n, prose=r.choice((0.0, 0.1, 0.3)))
    return memory.text, T.turns(r, memory, 8 + n * 3 // 5)


def encode(tok: Any, memory: str, turns: list[T.Turn]) -> tuple[list[int], list[tuple[int, int, str]]]:
    """Token ids of a conversation and the (start, end, skill) of each answer, its end token included."""
    parts = ["\n" + MEMORY.format(memory=memory)] if memory else []
    for t in turns:
        parts += [f" {t.question}", f" {t.answer}"]
    pieces = tok(parts, add_special_tokens=False)["input_ids"]
    system, user, assistant, end = (tok.convert_tokens_to_ids(x) for x in (SYSTEM, USER, ASSISTANT, END))
    ids: list[int] = [system, *pieces.pop(0), end] if memory else []
    spans = []
    for i, t in enumerate(turns):
        ids += [user, *pieces[2 * i], end, assistant]
        start = len(ids)
        ids += [*pieces[2 * i + 1], end]
        spans.append((start, len(ids), t.skill))
    return ids, spans


def batches(
    tok: Any, r: random.Random, state: dict[str, Any], tokens: int, prose: int, pool: int = 96
) -> Iterator[list[Any]]:
    """Batches of episodes of like length, about `tokens` padded tokens each; the level is read anew for each
    pool."""
    while True:
        items = sorted(
            (encode(tok, *episode(r, state["level"], prose)) for _ in range(pool)), key=lambda x: len(x[0])
        )
        out: list[list[Any]] = [[]]
        for item in items:
            if out[-1] and (len(out[-1]) + 1) * len(item[0]) > tokens:
                out.append([])
            out[-1].append(item)
        r.shuffle(out)
        yield from out


def collate(items: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in items)
    ids, weight = torch.zeros(len(items), width, dtype=torch.long), torch.zeros(len(items), width)
    for i, (row, spans) in enumerate(items):
        ids[i, : len(row)] = torch.tensor(row)
        for start, end, _ in spans:
            weight[i, start:end] = (end - start) ** -0.5
    return ids, weight


def train(
    out: Path,
    minutes: float,
    seed: int,
    tokens: int,
    threads: int,
    lr: float,
    adam_lr: float,
    resume: bool,
    start: Path | None = None,
    keep_every: float = 240,
    size: str = "pocket",
) -> None:
    """Trains for `minutes`, in all, and writes weights, tokenizer and training.json to `out`; a checkpoint
    every `keep_every` seconds, from which `resume` goes on. With `start`, a folder of weights and tokenizer,
    it begins there, with larger memories; where that model is larger than `size`, a key of SIZES, it is cut
    down to it, for a tokenizer of its own."""
    from transformers import AutoTokenizer, Qwen3ForCausalLM

    if size not in SIZES:
        raise typer.BadParameter(f"no size {size}; there are {', '.join(SIZES)}")
    vocabulary, largest, prose, shape = SIZES[size]
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    if resume and not (out / "state.pt").exists():
        raise typer.BadParameter(f"there is no checkpoint in {out}")
    if start and not (start / "config.json").exists():
        raise typer.BadParameter(f"there is no model in {start}")
    known = out if resume else start
    tok = AutoTokenizer.from_pretrained(known) if known else None
    given = tok
    if tok is None or len(tok) > vocabulary:
        tok = train_tokenizer(seed, vocabulary)
    if start and not resume:
        model = Qwen3ForCausalLM.from_pretrained(start, dtype=torch.float32)
        if model.config.num_attention_heads < shape["num_attention_heads"]:
            torch.manual_seed(seed)
            model = widen(model, shape["num_attention_heads"])
        if tok is not given:
            layers = range(shape["num_hidden_layers"])
            model = shrink(model, layers, shape["intermediate_size"], pieces(given, tok))
        model.train()
    else:
        model = new_model(tok, seed, shape).train()
    smallest = min(AGAIN, largest) if start else SMALLEST
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = Muon(matrices, lr=lr, momentum=0.95, weight_decay=0.01)
    adam = torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
    state: dict[str, Any] = {"step": 0, "level": smallest, "tokens": 0, "seconds": 0.0, "right": {}}
    parts = {"model": model, "muon": muon, "adam": adam}
    if resume:
        saved = torch.load(out / "state.pt", weights_only=True)
        state = saved["state"]
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    state |= {"minutes": minutes, "seed": seed}
    source = batches(tok, random.Random(seed * 7919 + state["step"]), state, tokens, prose)
    began, shown, kept = time.monotonic() - state["seconds"], 0.0, state["seconds"]
    while (spent := time.monotonic() - began) < minutes * 60:
        done = spent / (minutes * 60)
        state["level"] = smallest + int((largest - smallest) * min(1.0, done / GROWN) ** 1.3)
        items = next(source)
        ids, weight = collate(items)
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        pick = weight[:, 1:] > 0
        logits = model.lm_head(hidden[pick])
        target, w = ids[:, 1:][pick], weight[:, 1:][pick]
        loss = (F.cross_entropy(logits, target, reduction="none") * w).sum() / w.sum()
        scale = min(1.0, (state["step"] + 1) / 40) * min(1.0, (1 - done) / FALLING)
        slowly = min(1.0, max(0.25, state["step"] / 800))  # Muon's first steps would undo the head start
        for opt, top in ((muon, lr * slowly), (adam, adam_lr)):
            for group in opt.param_groups:
                group["lr"] = top * scale
            opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adam.step()
        state["step"] += 1
        state["tokens"] += int((ids != 0).sum())
        right = torch.zeros(pick.shape, dtype=torch.bool)
        right[pick] = logits.argmax(-1) == target
        mean = state["right"]
        for row, (_, spans) in zip(right, items, strict=True):
            for a, b, skill in spans:
                mean[skill] = 0.995 * mean.get(skill, 0.0) + 0.005 * float(row[a - 1 : b - 1].all())
        if spent > shown:
            shown = spent + 30
            scores = " ".join(f"{k} {v:.2f}" for k, v in sorted(mean.items()))
            print(
                f"{spent:6.0f}s step {state['step']} units {state['level']} loss {loss:.3f} "
                f"{state['tokens'] / max(spent, 1):.0f} tok/s | {scores}",
                flush=True,
            )
        if spent >= kept + keep_every:
            kept = state["seconds"] = spent
            save(model, tok, out, state)
            torch.save(
                {"state": state, **{n: part.state_dict() for n, part in parts.items()}}, out / "state.tmp"
            )
            (out / "state.tmp").replace(out / "state.pt")
    state["seconds"] = time.monotonic() - began
    save(model, tok, out, state)
    (out / "state.pt").unlink(missing_ok=True)


def save(model: Any, tok: Any, out: Path, state: dict[str, Any]) -> None:
    import copy

    half = copy.deepcopy(model).to(torch.bfloat16)
    half.generation_config.pad_token_id = tok.convert_tokens_to_ids(PAD)
    half.generation_config.eos_token_id = tok.convert_tokens_to_ids(END)
    half.save_pretrained(out)
    tok.save_pretrained(out)
    facts = {k: state[k] for k in ("step", "level", "tokens", "seconds", "right", "minutes", "seed")}
    facts |= {"torch": torch.__version__, "python": platform.python_version()}
    (out / "training.json").write_text(json.dumps(facts, indent=1) + "\n")


def main(
    out: Annotated[Path, typer.Option(help="Where the weights go.")] = WEIGHTS,
    minutes: Annotated[
        float, typer.Option(help="Training time; more is better until about two hours on two cores.")
    ] = 86,
    seed: int = 0,
    tokens: Annotated[int, typer.Option(help="Padded tokens of a step.")] = 4096,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    lr: Annotated[float, typer.Option(help="Muon's learning rate.")] = 0.015,
    adam_lr: Annotated[float, typer.Option(help="AdamW's learning rate.")] = 0.004,
    resume: Annotated[bool, typer.Option(help="Continue from the last checkpoint in --out.")] = False,
    size: Annotated[str, typer.Option(help=f"The model's size: {', '.join(SIZES)}.")] = "pocket",
    start: Annotated[
        Path | None, typer.Option(help="A folder of weights and tokenizer to begin with, not anew.")
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Print the scores of the weights in --out; train nothing.")
    ] = False,
    card: Annotated[
        bool, typer.Option("--card", help="With --evaluate: write the model card beside the weights.")
    ] = False,
    corpus: Annotated[
        Path | None, typer.Option(help="A folder of real Markdown files for the cloze score.")
    ] = None,
) -> None:
    """Train the pocket model, or print its scores."""
    if evaluate:
        from distill.pocket.evaluate import report

        report(out, corpus, card)
    else:
        train(out, minutes, seed, tokens, threads, lr, adam_lr, resume, start, size=size)


if __name__ == "__main__":
    typer.run(main)

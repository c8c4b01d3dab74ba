"""Trains the pocket model: `python -m distill.pocket.build`, or `--evaluate` to print the scores of the one
shipped.

A small Qwen3 learns to read a memory. The curriculum grows memories from 2 to 48 units as accuracy allows;
Muon moves the
matrices and AdamW the rest (Jordan 2024); the loss is on answers only. An interrupted run continues
from its last checkpoint. Not covered: a GPU recipe (it runs on one, but the figures are from two CPU cores).
"""

from __future__ import annotations

import json
import platform
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch.nn import functional as F

from distill.pocket import world as W
from distill.pocket.circuit import seed_copying
from distill.pocket.muon import Muon
from distill.pocket.tokenizer import ASSISTANT, END, PAD, SYSTEM, USER, train_tokenizer
from distill.synth.families import MEMORY

WEIGHTS = Path(__file__).parent / "weights"
SHAPE: dict[str, Any] = dict(
    hidden_size=160,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=4,
    head_dim=64,
    intermediate_size=480,
)


def new_model(vocab: int, seed: int = 0) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=vocab,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            pad_token_id=0,
            eos_token_id=4,
            bos_token_id=None,
            **SHAPE,
        )
    )
    seed_copying(model, seed)
    return model


def episode(r: random.Random, level: int, matching: bool = False) -> tuple[str, list[W.Turn]]:
    """One memory of at most `level` units and the turns about it; `matching` while telling entities apart
    is being learned."""
    kind = r.random()
    if kind < 0.07:
        return "", W.turns_without_memory(r, r.randint(3, 12))
    n = r.randint(2, level)
    turns = 8 + n // 3
    if matching and kind < 0.8:  # many entities, one or two relations: the value's type gives nothing away
        memory = W.render(r, W.fact_lines(r, n, False, "relation"))
        return memory.text, W.recalls(r, memory, turns)
    if kind < 0.25:
        memory = W.section(r, min(r.randint(8, 12 + 7 * level), 330))
    elif kind < 0.55:
        memory = W.world(r, n, prose=0.0, focus=r.choice(("relation", "relation", "entity")))
    else:
        memory = W.world(r, n, prose=r.choice((0.0, 0.1, 0.3)))
    return memory.text, W.turns(r, memory, turns)


def encode(tok: Any, memory: str, turns: list[W.Turn]) -> tuple[list[int], list[tuple[int, int, str]]]:
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
    tok: Any, r: random.Random, state: dict[str, Any], tokens: int, pool: int = 96
) -> Iterator[list[Any]]:
    """Batches of episodes of like length, about `tokens` padded tokens each; level and stage are read anew
    for each pool."""
    while True:
        items = sorted(
            (encode(tok, *episode(r, state["level"][0], state["matching"])) for _ in range(pool)),
            key=lambda x: len(x[0]),
        )
        out: list[list[Any]] = [[]]
        for item in items:
            if out[-1] and (len(out[-1]) + 1) * len(item[0]) > tokens:
                out.append([])
            out[-1].append(item)
        r.shuffle(out)
        yield from out


def copies(
    r: random.Random, vocab: int, rows: int = 48, width: int = 64
) -> tuple[torch.Tensor, torch.Tensor]:
    """Warm-up: random tokens with a stretch that comes twice, at any distance; the second one is to be
    predicted.

    Forms the copying heads in minutes, where questions alone take a quarter of an hour. Ids below `vocab`
    are used.
    """
    ids, weight = torch.zeros(rows, width, dtype=torch.long), torch.zeros(rows, width)
    for i in range(rows):
        row = [r.randrange(5, vocab) for _ in range(width)]
        n = r.randint(6, width // 2 - 4)
        a = r.randint(0, width - 2 * n - 1)
        b = r.randint(a + n, width - n)
        row[b : b + n] = row[a : a + n]
        ids[i] = torch.tensor(row)
        weight[i, b + 1 : b + n] = 1.0
    return ids, weight


def collate(items: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in items)
    ids, weight = torch.zeros(len(items), width, dtype=torch.long), torch.zeros(len(items), width)
    for i, (row, spans) in enumerate(items):
        ids[i, : len(row)] = torch.tensor(row)
        for start, end, skill in spans:
            weight[i, start:end] = (0.5 if skill in ("write", "exam") else 1.0) / (end - start) ** 0.5
    return ids, weight


def train(
    out: Path,
    minutes: float,
    seed: int,
    tokens: int,
    threads: int,
    lr: float,
    resume: bool,
    start: Path | None,
) -> None:
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    tok = train_tokenizer(seed)
    tok.save_pretrained(out)
    model = new_model(len(tok), seed).train()
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = Muon(matrices, lr=lr, momentum=0.95, weight_decay=0.01)
    adam = torch.optim.AdamW(rest, lr=lr * 0.15, betas=(0.9, 0.95), weight_decay=0.0)
    state: dict[str, Any] = {
        "step": 0,
        "level": [3],
        "tokens": 0,
        "seconds": 0.0,
        "ema": {},
        "vocab": len(tok),
        "matching": True,
    }
    if resume and (out / "state.pt").exists():
        saved = torch.load(out / "state.pt", weights_only=True)
        state = saved["state"]
        model.load_state_dict(saved["model"])
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
    elif start:  # weights that can copy already, with a fresh optimizer
        before = json.loads((start / "training.json").read_text())
        model.load_state_dict(type(model).from_pretrained(start, dtype=torch.float32).state_dict())
        state |= {"vocab": 0, "matching": False, "level": before["level"], "tokens": before["tokens"]}
    state |= {"minutes": minutes, "seed": seed}
    r = random.Random(seed * 7919 + state["step"])
    source = batches(tok, r, state, tokens)
    ema, began, shown, kept = state["ema"], time.monotonic() - state["seconds"], 0.0, state["seconds"]
    while (spent := time.monotonic() - began) < minutes * 60:
        warm = state["vocab"] > 0  # random tokens first, then the world
        items = [] if warm else next(source)
        ids, weight = copies(r, state["vocab"]) if warm else collate(items)
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        pick = weight[:, 1:] > 0
        logits = model.lm_head(hidden[pick])
        target, w = ids[:, 1:][pick], weight[:, 1:][pick]
        loss = (F.cross_entropy(logits, target, reduction="none") * w).sum() / w.sum()
        left = 1 - spent / (minutes * 60)
        scale = min(1.0, (state["step"] + 1) / 40) * min(1.0, left / 0.15)
        for opt, top in ((muon, lr), (adam, lr * 0.15)):
            for g in opt.param_groups:
                g["lr"] = top * scale
            opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adam.step()
        state["step"] += 1
        state["tokens"] += int((ids != 0).sum())
        right = torch.zeros(pick.shape, dtype=torch.bool)
        right[pick] = logits.argmax(-1) == target
        if warm:
            copied = right[pick].float().mean().item()
            ema["copy"] = 0.8 * ema.get("copy", 0.0) + 0.2 * copied
            if ema["copy"] > 0.6:
                state["vocab"] = 0
        for i, (_, spans) in enumerate(items):
            for a, b, skill in spans:
                ema[skill] = 0.997 * ema.get(skill, 0.0) + 0.003 * float(right[i, a - 1 : b - 1].all())
        if state["matching"] and ema.get("match", 0.0) > 0.85:
            state["matching"] = False
        if (
            not state["matching"]
            and ema.get("recall", 0) > 0.75
            and ema.get("cloze", 0) > 0.6
            and state["level"][0] < 48
        ):
            state["level"][0] += max(1, state["level"][0] // 5)
            ema["recall"] = min(ema["recall"], 0.7)
        if spent > shown:
            shown = spent + 30
            scores = " ".join(f"{k} {v:.2f}" for k, v in sorted(ema.items()))
            print(
                f"{spent:6.0f}s step {state['step']} units {state['level'][0]} loss {loss:.3f} "
                f"{state['tokens'] / max(spent, 1):.0f} tok/s | {scores}",
                flush=True,
            )
        if spent > kept + 240:
            kept = spent
            state["seconds"] = spent
            torch.save(
                {
                    "state": state,
                    "model": model.state_dict(),
                    "muon": muon.state_dict(),
                    "adam": adam.state_dict(),
                },
                out / "state.tmp",
            )
            (out / "state.tmp").replace(out / "state.pt")
            save(model, tok, out, state)
    state["seconds"] = time.monotonic() - began
    save(model, tok, out, state)


def save(model: Any, tok: Any, out: Path, state: dict[str, Any]) -> None:
    import copy

    half = copy.deepcopy(model).to(torch.bfloat16)
    half.generation_config.pad_token_id = tok.convert_tokens_to_ids(PAD)
    half.generation_config.eos_token_id = tok.convert_tokens_to_ids(END)
    half.save_pretrained(out)
    facts = {k: state[k] for k in ("step", "level", "tokens", "seconds", "ema", "minutes", "seed")}
    facts |= {"torch": torch.__version__, "python": platform.python_version()}
    (out / "training.json").write_text(json.dumps(facts, indent=1) + "\n")


def main(
    out: Annotated[Path, typer.Option(help="Where the weights go.")] = WEIGHTS,
    minutes: Annotated[
        float, typer.Option(help="Training time; more is better until about two hours on two cores.")
    ] = 75,
    seed: int = 0,
    tokens: Annotated[int, typer.Option(help="Padded tokens of a step.")] = 4096,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    lr: Annotated[float, typer.Option(help="Muon's learning rate; AdamW takes 0.15 of it.")] = 0.02,
    resume: Annotated[bool, typer.Option(help="Continue from the last checkpoint in --out.")] = False,
    start: Annotated[
        Path | None, typer.Option(help="Begin with the weights in this folder (same tokenizer seed).")
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
        train(out, minutes, seed, tokens, threads, lr, resume, start)


if __name__ == "__main__":
    typer.run(main)

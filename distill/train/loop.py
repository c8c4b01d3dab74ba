"""The training loop: a frozen base, a LoRA, and the teacher's targets. Plain PyTorch on accelerate.

Sequences are drawn in an order that depends on the seed and the epoch alone; the loss is summed over answer
tokens and divided by the answer tokens of the whole optimizer step, so micro-batches, accumulation and the
number of processes (`ranks.py`) change nothing. Nor does a device whose memory is used up: the step is
taken again in smaller pieces. A checkpoint holds weights, optimizer and position: a run that is killed ends
with the same loss as one that was not. Sequences lie end to end where the model allows it (`packing.py`),
and are padded where not.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from distill.errors import ModelError
from distill.records import write_atomic
from distill.train.device import release, used_up
from distill.train.losses import topk_kl
from distill.train.model import Base
from distill.train.packing import hidden_states, packable, packing
from distill.train.ranks import Ranks, spread


@dataclass(frozen=True)
class Sample:
    """One training sequence: the student's prompt, the teacher's answer ids, and the targets of those ids."""

    prompt: list[int]
    ids: list[int]
    top_ids: torch.Tensor
    top_logp: torch.Tensor
    tail: torch.Tensor


@dataclass
class State:
    """Where a training stands. Everything that the next step depends on is in here or in the samples."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    looks: list[list[float]] = field(default_factory=list)  # [step, dev recall]
    best: float = -1.0
    best_step: int = 0
    risen: int = 0  # the step of the last look that was better than all before
    stopped: bool = False
    batch_tokens: int | None = None  # of a pass, where memory was used up and it had to be halved
    notes: list[str] = field(default_factory=list)  # what the report is to say of it


def order(n: int, batch: int, epochs: int, seed: int, fresh: int = 0) -> list[list[int]]:
    """Sample indices of every optimizer step. The last step of an epoch may be smaller. Of the last `fresh`
    samples every epoch has its own share, the others come in each."""
    steps = []
    own = fresh // epochs
    for epoch in range(epochs):
        first = n - fresh + epoch * own
        rows = [*range(n - fresh), *range(first, first + own)]
        random.Random(seed * 10_007 + epoch).shuffle(rows)
        steps += [rows[i : i + batch] for i in range(0, len(rows), batch)]
    return steps


def micro_batches(
    samples: Sequence[Sample], rows: Sequence[int], batch_tokens: int, at_least: int = 1, packed: bool = False
) -> list[list[int]]:
    """The rows of one step, by length, in pieces of at most `batch_tokens` tokens and at least `at_least`
    pieces. Padding counts as tokens unless the sequences are packed, and a piece that would be padding for
    two thirds is begun anew."""
    by_length = sorted(rows, key=lambda i: (len(samples[i].prompt) + len(samples[i].ids), i))
    most = -(-len(by_length) // at_least)
    out: list[list[int]] = [[]]
    held = 0
    for i in by_length:
        width = len(samples[i].prompt) + len(samples[i].ids)
        real = held + width
        size = real if packed else (len(out[-1]) + 1) * width
        if out[-1] and (len(out[-1]) >= most or size > batch_tokens or size > 3 * real):
            out.append([])
            held = 0
        held += width
        out[-1].append(i)
    return out


LOGITS = 1024  # answer positions whose logits are held at once


def batch_loss(
    model: Any,
    samples: Sequence[Sample],
    device: torch.device,
    pad: int,
    run: Any = None,
    packed: bool = False,
) -> torch.Tensor:
    """Summed KL of all answer tokens. Logits are made at answer positions only, some at a time; padding is
    told by length, not by id. `run` is the compiled inner model, where there is one; `packed` lays the
    sequences end to end, which the model must allow."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    run = inner.model if run is None else run  # what is compiled has no truth value
    whole = [s.prompt + s.ids for s in samples]
    width = max(map(len, whole))
    hidden = hidden_states(inner, run, whole, device) if packed else _padded(run, whole, device, pad)
    where, at = [], 0
    for s, ids in zip(samples, whole, strict=True):
        where += range(at + len(s.prompt) - 1, at + len(ids) - 1)
        at += len(ids) if packed else width
    picked = hidden[torch.tensor(where, device=device)]
    top_ids, top_logp, tail = (
        torch.cat([getattr(s, name) for s in samples]).to(device) for name in ("top_ids", "top_logp", "tail")
    )

    def part(at: slice) -> torch.Tensor:
        return topk_kl(inner.lm_head(picked[at]), top_ids[at], top_logp[at], tail[at]).sum()

    parts = [slice(i, i + LOGITS) for i in range(0, len(picked), LOGITS)]
    if len(parts) == 1:
        return part(parts[0])
    return torch.stack([checkpoint(part, at, use_reentrant=False) for at in parts]).sum()  # type: ignore[misc]


def _padded(run: Any, sequences: Sequence[Sequence[int]], device: torch.device, pad: int) -> torch.Tensor:
    """Last hidden states of rows padded at the end, (rows * width, hidden)."""
    width = max(map(len, sequences))
    ids = torch.full((len(sequences), width), pad)
    mask = torch.zeros(len(sequences), width, dtype=torch.long)
    for row, s in enumerate(sequences):
        ids[row, : len(s)] = torch.tensor(s)
        mask[row, : len(s)] = 1
    hidden = run(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).last_hidden_state
    return hidden.reshape(-1, hidden.shape[-1])


def default_lr(base: Base) -> float:
    """Peak learning rate of a LoRA where the recipe names none: 0.5 over the hidden size.

    2e-4 at the 2,560 of a 4B model, 3e-3 at the 160 of the embedded one. Narrow models want larger rates;
    in inverse proportion to the width is the rule of 2203.03466.
    """
    return 0.5 / base.model.config.get_text_config().hidden_size


def train(
    base: Base,
    samples: Sequence[Sample],
    folder: Path,
    inputs: str,
    *,
    lr: float,
    epochs: int,
    batch_size: int,
    batch_tokens: int,
    accumulate: int,
    warmup: float,
    max_steps: int | None,
    eval_every: int,
    patience: int,
    checkpoint_every: int,
    seed: int,
    compile_model: bool = False,
    fresh: int = 0,
    look: Callable[[], float] | None = None,
    say: Callable[[str], None] = lambda words: None,
    progress: Callable[[int, int, float, float | None], None] = lambda step, total, loss, recall: None,
) -> tuple[State, dict[str, torch.Tensor]]:
    """Trains the LoRA of `base` and returns the state and the best adapter weights.

    Args:
        fresh: how many of the last samples come once, in equal shares to the epochs.
        look: dev recall in [0, 1] of the student as it stands, or None; the best look is what is kept.
        inputs: digest of everything the run depends on; a checkpoint of other inputs is not resumed.
        say: called with a sentence when the device's memory was used up and passes are made smaller.
        progress: called after each step with step, steps in all, loss in nats a token, and dev recall when
        it was looked at.
    """
    from peft import set_peft_model_state_dict

    steps = order(len(samples), batch_size, epochs, seed, fresh)[:max_steps]
    if base.spread:
        spread(base.model, base.spread)
    params = [p for p in base.model.parameters() if p.requires_grad]
    ranks = Ranks(params, bool(base.spread))
    packed = packable(base.model)
    optimizer = torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.95), weight_decay=0.0)
    run = torch.compile(base.model.get_base_model().model, dynamic=True) if compile_model else None
    state, best = State(), {}
    path = folder / "checkpoint.pt"
    saved = _load(path, inputs)
    if saved:
        state, best = State(**saved["state"]), saved["best"]
        set_peft_model_state_dict(base.model, saved["adapter"])
        optimizer.load_state_dict(saved["optimizer"])
    epoch = -(-(len(samples) - fresh + fresh // epochs) // batch_size)  # patience begins after the first
    rise = max(1, round(warmup * len(steps)))
    while state.step < len(steps) and not state.stopped:
        rows, step = steps[state.step], state.step
        scale = min(1.0, (step + 1) / rise) * max(0.02, 1 - step / len(steps))
        for group in optimizer.param_groups:
            group["lr"] = lr * scale
        if not base.model.training:
            base.model.train()
        tokens = sum(len(samples[i].ids) for i in rows)
        mine, total = ranks.share(rows), None
        while total is None:
            limit = state.batch_tokens or batch_tokens
            pieces = micro_batches(samples, mine, limit, accumulate, packed) if mine else []
            total = _gradients(base, samples, ranks.even(pieces), tokens, run, packed)
            if total is None and ranks.spread:  # the others wait in the middle of a pass
                raise ModelError(
                    f"a device's memory is used up by a pass of at most {limit:,} tokens",
                    mend=f"use `--set train.batch_tokens={max(1, limit // 2)}`: the result is the same",
                )
            if total is None:
                optimizer.zero_grad(set_to_none=True)
                release(base.device)
                state.batch_tokens, note = _halved(samples, pieces, packed)
                state.notes.append(note)
                say(note)
        ranks.sum_gradients()
        total = ranks.sum(total)
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        state.step += 1
        state.losses.append(total)
        recall = None
        last = state.step == len(steps)
        if look and (last or state.step % eval_every == 0):
            base.model.eval()
            recall = ranks.first(look)
            state.looks.append([state.step, recall])
            if recall > state.best:
                state.risen = state.step
            if recall >= state.best:  # of equals the later one, which has seen more
                state.best, state.best_step = recall, state.step
                best = _copy(_adapter(base.model))
            since = sum(1 for s, _ in state.looks if s > max(state.risen, epoch))
            state.stopped = bool(patience) and since >= patience
        if last and not look:
            best = _copy(_adapter(base.model))
        if ranks.rank == 0 and (last or state.stopped or state.step % checkpoint_every == 0):
            _save(
                path,
                {
                    "inputs": inputs,
                    "state": vars(state),
                    "best": best,
                    "optimizer": optimizer.state_dict(),
                    "adapter": _copy(_adapter(base.model)),
                },
            )
        progress(state.step, len(steps), total, recall)
    base.model.eval()
    state.notes = ranks.all_said(state.notes)
    return state, best


def _gradients(
    base: Base,
    samples: Sequence[Sample],
    pieces: Sequence[Sequence[int]],
    tokens: int,
    run: Any,
    packed: bool,
) -> float | None:
    """Adds the gradients of a step, piece by piece; its loss a token, or None where the device's memory was
    used up, and what was added so far is of no use. An empty piece is a pass that adds nothing."""
    total = 0.0
    try:
        with packing(base.model.get_base_model()) if packed else contextlib.nullcontext():
            for (
                piece
            ) in pieces:  # attention stays as it is until the way back, where checkpoints make it anew
                rows = [samples[i] for i in piece] or samples[:1]
                loss = batch_loss(base.model, rows, base.device, base.pad, run, packed)
                loss = loss / tokens * bool(piece)
                loss.backward()
                total += float(loss.detach())
    except RuntimeError as fault:
        if not used_up(fault):
            raise
        return None
    return total


def _halved(samples: Sequence[Sample], pieces: Sequence[Sequence[int]], packed: bool) -> tuple[int, str]:
    """Half of the tokens of the largest piece, and what there is to say. Raises ModelError where no piece can
    be parted."""
    widths = [[len(samples[i].prompt) + len(samples[i].ids) for i in piece] for piece in pieces]
    sizes = [sum(w) if packed else len(w) * max(w) for w in widths]
    if max(map(len, pieces)) == 1:
        raise ModelError(
            f"the device's memory does not hold one sequence of {max(sizes):,} tokens in training",
            mend="hold the base in fewer bits (`--set base.quantize=nf4`), or lower synth.max_new_tokens",
        )
    half = max(1, max(sizes) // 2)
    return half, (
        f"the device's memory is used up by {max(sizes):,} tokens in one pass of training: it goes on with "
        f"{half:,}, and the result is the same"
    )


def _adapter(model: Any) -> dict[str, torch.Tensor]:
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(model, save_embedding_layers=False)  # "auto" would ask the hub


def _copy(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone().cpu().contiguous() for k, v in weights.items()}


def _save(path: Path, value: dict[str, Any]) -> None:
    import io

    path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    torch.save(value, file)
    write_atomic(path, file.getvalue())


def _load(path: Path, inputs: str) -> dict[str, Any] | None:
    """The checkpoint, or None when there is none or it belongs to another run. Files are replaced whole,
    never torn."""
    if not path.exists():
        return None
    saved = torch.load(path, weights_only=True, map_location="cpu")
    return saved if saved["inputs"] == inputs else None

"""What an 8B model reaches on a GPU at a long memory, beside the GPU's own rates; random weights, offline.

    python -m tests.bench.speed_gpu --out figures.json

Each share is of a rate measured in the same run: a large bf16 product for reading and training, a copy for
writing token by token, which reads all weights and the memory's keys and values at each step. A training step
of a frozen base is one forward and one way back to the activations; with checkpointing the forward comes once
more, and its share is said beside. Without a GPU it says "not measured". Not covered: several GPUs.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from distill.train.adapter import add_lora
from distill.train.device import peak_memory
from distill.train.loop import batch_loss
from distill.train.model import Base
from distill.train.targets import build_prefix, new_rows, reading, score, top
from tests.bench.speed import QUESTION, K, base_of, ids_of, operations, packed, seconds, step_of

QWEN3_8B = dict(
    vocab_size=151_936,
    hidden_size=4_096,
    intermediate_size=12_288,
    num_hidden_layers=36,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
)


def gpu(
    memory: int = 20_000,
    samples: int = 512,
    out: Annotated[Path | None, typer.Option(help="A JSON file for the figures.")] = None,
) -> None:
    """An 8B configuration at a long memory, in bf16 and nf4, beside the device's own rates."""
    if not torch.cuda.is_available():
        raise SystemExit("not measured: torch finds no GPU here")
    found, rows = {}, []
    rate, bandwidth = matrix_rate(), copy_rate()
    for quantize in ("none", "nf4"):
        base = base_of(QWEN3_8B, "cuda", quantize)
        figures = one_gpu(base, memory, samples)
        found[quantize] = figures
        for what, (value, unit, used, limit) in figures.items():
            most = {"matrix": rate, "bandwidth": bandwidth}.get(limit)
            rows.append(
                [quantize, what, f"{value:,.4g} {unit}", f"{used / most:.0%} of {limit}" if most else ""]
            )
        del base
        torch.cuda.empty_cache()
    title = (
        f"Qwen3-8B's shape, {memory:,} tokens; matrix {rate / 1e12:.0f} Tflop/s, {bandwidth / 1e12:.2f} TB/s"
    )
    Console(width=130).print(f"{title}\n{torch.cuda.get_device_name()}; torch {torch.__version__}")
    table = Table("weights", "what", "figure", "share", box=None)
    for row in rows:
        table.add_row(*row)
    Console(width=130).print(table)
    if out:
        out.write_text(json.dumps({"matrix": rate, "bandwidth": bandwidth, "figures": found}, indent=1))


def matrix_rate() -> float:
    """Operations a second of a large bf16 product."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    a @ b
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        a @ b
    torch.cuda.synchronize()
    return 20 * 2 * 8192**3 / (time.perf_counter() - start)


def copy_rate() -> float:
    """Bytes a second that a copy reads and writes."""
    a = torch.empty(1 << 31, dtype=torch.uint8, device="cuda")
    b = torch.empty_like(a)
    b.copy_(a)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        b.copy_(a)
    torch.cuda.synchronize()
    return 10 * 2 * a.numel() / (time.perf_counter() - start)


def one_gpu(base: Base, size: int, samples: int) -> dict[str, tuple[float, str, float, str]]:
    """Figures by name: value, unit, and what it used of which of the device's rates."""
    memory = ids_of(base, size, 1)
    prompts = [memory + ids_of(base, QUESTION, 100 + i) for i in range(samples)]
    answers = [ids_of(base, 100, 9_000 + i) for i in range(samples)]
    figures: dict[str, tuple[float, str, float, str]] = {}
    with peak_memory(base.device) as peak:
        build_prefix(base, memory[:256])
        took = seconds(base, lambda: build_prefix(base, memory))
        figures["prefix"] = (size / took, "tokens/s", operations(base, 0, size, 0) / took, "matrix")
        prefix = build_prefix(base, memory)
        score(base, prefix, prompts[:32], answers[:32], K, 32)
        took = seconds(base, lambda: score(base, prefix, prompts, answers, K, 32))
        each = QUESTION + 100
        done = samples * operations(base, size, each, 100)
        figures["scored"] = (samples * each / took, "tokens/s", done / took, "matrix")
        steps, count = 64, min(64, samples)
        took = seconds(base, lambda: generate(base, prefix, count, steps))
        moved = steps * (weight_bytes(base) + (prefix.layers[0][0].nbytes * 2 * len(prefix.layers or [])))  # type: ignore[index]
        figures["generated"] = (count * steps / took, "tokens/s", moved / took, "bandwidth")
    figures["peak, teacher"] = (peak[0] / 1e9, "GB", 0.0, "")
    prefix.layers = None
    add_lora(base, 16, 32, 0)
    base.model.train()
    many = [s for i in range(8) for s in packed(base, 32)] * 2
    tokens = sum(len(s.prompt) + len(s.ids) for s in many)
    with peak_memory(base.device) as peak:
        work = step_of(base, lambda: batch_loss(base.model, many, base.device, 0, packed=True))
        work()
        took = statistics.median(seconds(base, work) for _ in range(5))
    answered = sum(len(s.ids) for s in many)
    once = len(many) * operations(base, 0, tokens // len(many), answered // len(many))
    figures["trained"] = (
        tokens / took,
        "tokens/s",
        2 * once / took,
        "matrix",
    )
    figures["trained, with what is made anew"] = (tokens / took, "tokens/s", 3 * once / took, "matrix")
    figures["peak, student"] = (peak[0] / 1e9, "GB", 0.0, "")
    return figures


def weight_bytes(base: Base) -> int:
    return sum(p.nbytes for p in base.model.parameters())


@torch.no_grad()
def generate(base: Base, prefix: Any, count: int, steps: int) -> None:
    """So many rows, token by token over the shared prefix, targets captured."""
    with reading(base, prefix):
        rows = new_rows(base, prefix, count)
        ids = torch.tensor([ids_of(base, QUESTION, i) for i in range(count)], device=base.device)
        real = torch.ones_like(ids, dtype=torch.bool)
        for _ in range(steps):
            logits = rows.forward(base.model, ids, real, 1)[:, -1]
            top(logits, K)
            ids, real = logits.argmax(-1)[:, None], torch.ones(count, 1, dtype=torch.bool, device=base.device)


if __name__ == "__main__":
    typer.run(gpu)
